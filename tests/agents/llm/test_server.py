"""A policy whose words come from a server, over HTTP and the server's own protocol."""

import pytest
import torch
from torch.testing import assert_close

from agentlab_runner.agents.llm.policy import LanguagePolicy
from agentlab_runner.runners.errors import RunFailed, UserError
from tests.agents.causal_models import causal, tokenizer
from tests.agents.llm.conftest import screens
from tests.agents.llm.stub_server import Stub, serving

OPTIONS = {"prompt_format": "chat", "lora": {"r": 2}, "max_new_tokens": 5, "temperature": 0.7}


@pytest.fixture
def stub(tiny_folder):
    torch.manual_seed(0)
    with serving(Stub(LanguagePolicy.from_pretrained(tiny_folder, **OPTIONS))) as stub:
        yield stub


def connect(stub, folder, **server):
    quick = {"url": stub.url, "model": "base", "pause": 0.0, **server}
    return LanguagePolicy.from_pretrained(folder, **OPTIONS, server=quick)


def shake(policy):
    with torch.no_grad():
        for parameter in policy.trainable_parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    policy.server.outdated()


def test_the_server_speaks_with_the_policys_own_adapters(stub, tiny_folder):
    policy = connect(stub, tiny_folder)
    shake(policy)
    observations = screens(5)
    said = policy.generate(observations, deterministic=True)
    server, policy.server = policy.server, None
    own = policy.generate(observations, deterministic=True)
    policy.server = server
    assert [one.token_ids for one in said] == [one.token_ids for one in own]
    assert [one.text for one in said] == [one.text for one in own]
    for one, other in zip(said, own, strict=True):
        assert_close(one.logprobs, other.logprobs, rtol=0, atol=1e-4)
        assert_close(one.state, other.state, rtol=0, atol=1e-4)

    policy.generate(observations)
    pushed = [body for path, body in stub.seen if path == "/v1/load_lora_adapter"]
    assert len(pushed) == 1  # nothing has changed since
    policy(observations, [one.token_ids for one in said]).logprobs.sum().backward()
    policy.generate(observations)
    pushed = [body for path, body in stub.seen if path == "/v1/load_lora_adapter"]
    assert len(pushed) == 2
    assert stub.adapters == [pushed[1]["lora_name"]]  # the old ones are unloaded


def test_what_is_asked_of_the_server(stub, tiny_folder):
    policy = connect(stub, tiny_folder)
    torch.manual_seed(3)
    policy.generate(screens(2))
    first, second = (body for path, body in stub.seen if path == "/v1/chat/completions")
    assert first["temperature"] == 0.7
    assert first["max_tokens"] == 5
    assert first["logprobs"]
    assert first["return_token_ids"]
    assert first["seed"] != second["seed"]
    assert (first["top_p"], first["top_k"], first["min_p"], first["repetition_penalty"]) == (1.0, -1, 0.0, 1.0)
    assert first["messages"][0]["content"][0]["image_url"]["url"].startswith("data:image/png;base64,")


def test_a_model_without_eyes_is_sent_text_alone(tmp_path):
    words = tokenizer()
    words.chat_template = "{% for m in messages %}You: {{ m['content'] }}{% endfor %} I:"
    causal("llama", words).save_pretrained(tmp_path)
    words.save_pretrained(tmp_path)
    with serving(Stub(LanguagePolicy.from_pretrained(tmp_path, **OPTIONS))) as stub:
        policy = connect(stub, tmp_path)
        shake(policy)
        assert policy.generate(screens(2))
        sent = [body["messages"][0]["content"] for path, body in stub.seen if path == "/v1/chat/completions"]
        assert sorted(sent) == sorted(screen["text"] for screen in screens(2))  # both at once, either may come first


@pytest.mark.parametrize(
    "changes", [{"raw": True}, {"drop_end": True}, {"token": "secret"}, {"fail": [(503, "busy")] * 2}]
)
def test_servers_differ(stub, tiny_folder, changes, monkeypatch):
    monkeypatch.setenv("LAB_TOKEN", "secret")
    for name, value in changes.items():
        setattr(stub, name, value)
    policy = connect(stub, tiny_folder, token_env="LAB_TOKEN")
    shake(policy)
    said = policy.generate(screens(2))
    scores = policy.score(screens(2), [one.token_ids for one in said])
    own = scores.logprobs[0, : len(said[0].token_ids)].detach()
    assert_close(torch.tensor(said[0].logprobs), own, rtol=0, atol=1e-4)


def test_a_wrong_address_a_wrong_token_a_wrong_model(stub, tiny_folder, monkeypatch):
    with pytest.raises(RunFailed, match=r"127\.0\.0\.1:1/v1/models cannot be reached .*2 times; start the server"):
        connect(stub, tiny_folder, url="http://127.0.0.1:1/v1", retries=1)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    stub.token = "secret"
    with pytest.raises(UserError, match=r"/v1/models refuses the token \(401\); put the right .*OPENAI_API_KEY"):
        connect(stub, tiny_folder)
    stub.token = ""
    with pytest.raises(UserError, match=r"serves base, not other; start it with that model"):
        connect(stub, tiny_folder, model="other")
    with pytest.raises(RunFailed, match=r"/models answered 404: Not Found; check model\.server"):
        connect(stub, tiny_folder, url=stub.url.removesuffix("/v1"))


def test_faults_during_a_rollout(stub, tiny_folder):
    policy = connect(stub, tiny_folder, retries=1)
    stub.refuse_adapters = "rank 2 is too large"
    with pytest.raises(RunFailed, match=r"refuses the adapters in .*rank 2 is too large.*rank of at least 2"):
        policy.generate(screens(1))
    stub.refuse_adapters = ""
    stub.without = "token_ids"
    with pytest.raises(RunFailed, match=r"without token ids or without their log-probabilities; use vLLM"):
        policy.generate(screens(1))
    stub.without = ""
    stub.fail = [(500, "out of memory")] * 2
    with pytest.raises(RunFailed, match=r"chat/completions answered 500: out of memory, 2 times"):
        policy.generate(screens(1))
    policy = connect(stub, tiny_folder, retries=1)
    policy.server.settings.timeout = 0.5
    stub.silent = 1.5
    with pytest.raises(RunFailed, match=r"did not answer within 0\.5 seconds, 2 times; .*model\.server\.timeout"):
        policy.generate(screens(1))


def test_a_server_of_other_weights_is_found_out(stub, tiny_folder):
    policy = connect(stub, tiny_folder)
    with torch.no_grad():
        policy.model.get_base_model().lm_head.weight.mul_(3)
    with pytest.raises(RunFailed, match=r"gives tokens other probabilities than the policy .*serve the same model"):
        policy.generate(screens(2))

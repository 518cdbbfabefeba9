"""Models of every family on a device that is not the CPU, and what is kept of their frozen parts under autocast."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from agentlab_runner.agents.llm.autoui import AutoUIPolicy
from agentlab_runner.agents.llm.candidates import CandidateScorer, Question
from agentlab_runner.agents.llm.policy import LanguagePolicy
from agentlab_runner.runners.processes.trainer import Trainer
from tests.agents.causal_models import FAMILIES as READERS
from tests.agents.causal_models import text_policy
from tests.agents.llm import test_autoui, test_families
from tests.agents.llm.conftest import screens
from tests.elsewhere import Elsewhere, elsewhere, here

folder, eyes = test_autoui.folder, test_autoui.eyes
QUESTION = Question("You walk to the kitchen. To tidy up, you should", ("pick up the bowl", "walk to the bedroom"))


def test_tensors_of_two_devices_do_not_mix():
    with elsewhere() as trainer:
        there = torch.arange(6.0, device=trainer.device).view(2, 3)
        assert (there + torch.tensor(1.0)).device == trainer.device
        assert there[torch.tensor([1])].tolist() == there[[1]].tolist() == [[3.0, 4.0, 5.0]]
        for mix in (lambda: there + torch.ones(3), lambda: torch.cat([there, torch.ones(1, 3)]), there.numpy):
            with pytest.raises(RuntimeError):
                mix()


@pytest.mark.parametrize("make", test_families.FAMILIES)
def test_family_elsewhere(make):
    torch.manual_seed(0)
    policy = LanguagePolicy(*make(), max_new_tokens=3)
    seen = test_families.observations()
    expected = policy.score(seen, [(5, 6, 7), (5,), (6,), (7, 8)]).logprobs.detach()
    with elsewhere() as trainer:
        trainer.prepare(policy)
        scores = policy(seen, [(5, 6, 7), (5,), (6,), (7, 8)])
        assert_close(here(scores.logprobs.detach()), expected, atol=1e-4, rtol=0)
        scores.logprobs.sum().backward()
        policy.generate(seen)
        policy.freeze_features()
        assert all(isinstance(part, Elsewhere) for part in policy.features(seen))


def test_autoui_elsewhere(folder, eyes):
    for seen in (test_autoui.observations(), test_autoui.observations(features=False)):
        at_home, policy = (AutoUIPolicy.from_pretrained(folder, vision=eyes, max_new_tokens=3) for _ in range(2))
        expected = at_home.score(seen, [(5, 6)] * 3).logprobs.detach()
        with elsewhere() as trainer:
            trainer.prepare(policy)
            assert_close(here(policy(seen, [(5, 6)] * 3).logprobs.detach()), expected, atol=1e-4, rtol=0)
            policy.generate(seen)


@pytest.mark.parametrize("family", READERS)
def test_phrases_elsewhere(family):
    policy = text_policy(family, last_k_layers=2 if family != "gpt2" else None)
    expected = CandidateScorer(policy).score([QUESTION])[0].joint().detach()
    with elsewhere() as trainer:
        trainer.prepare(policy)
        assert_close(here(CandidateScorer(policy).score([QUESTION])[0].joint().detach()), expected, atol=1e-4, rtol=0)


def autocast():
    return Trainer(precision="bf16").accelerator.autocast()


def test_frozen_eyes_see_the_same_whoever_asks_first(tiny_folder):
    """The first to ask is the rollout, which is not autocast; after resuming it may be the learner, which is."""
    seen, said = screens(3), [(9, 10, 11)] * 3
    played, resumed = (LanguagePolicy.from_pretrained(tiny_folder, freeze_vision=True) for _ in range(2))
    with torch.no_grad():
        played.score(seen, said)
        with autocast():
            expected = played.score(seen, said).logprobs
            assert torch.equal(resumed.score(seen, said).logprobs, expected)


def test_blip2_sees_the_same_whoever_asks_first(folder, eyes):
    seen = test_autoui.observations(features=False)[0]
    played, resumed = (AutoUIPolicy.from_pretrained(folder, vision=eyes) for _ in range(2))
    for policy in (played, resumed):
        for parameter in policy.eyes[0].parameters():
            nn.init.normal_(parameter, std=0.5, generator=torch.Generator().manual_seed(0))
    with autocast():
        found = resumed._look(seen)
    assert torch.equal(found, played._look(seen))


def test_frozen_layers_are_the_same_whoever_asks_first():
    policy = text_policy(last_k_layers=2)
    (expected,) = CandidateScorer(policy).features([QUESTION])
    with autocast():
        (found,) = CandidateScorer(policy).features([QUESTION])
    assert torch.equal(found, expected)

import pytest
import torch

from agentlab_runner.agents.llm.imitation import check, fit
from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.processes.trainer import Trainer
from tests.agents.llm.conftest import action, screens

SAMPLES = list(
    zip(
        screens(6),
        [action("TYPE", typed="usb cable"), action("PRESS_ENTER"), action("DUAL_POINT", 0.1943, 0.3174)] * 2,
        strict=True,
    )
)


def test_a_few_samples_are_learnt_by_heart_and_said(policy):
    policy.max_new_tokens = 40
    told = []
    before = check(policy, SAMPLES)
    metrics = fit(
        policy, SAMPLES, Trainer(), lr=5e-3, batch_size=6, steps=150, warmup=5, validation=SAMPLES,
        report=lambda done, total, **headline: told.append((done, total, headline["loss"])),
    )
    assert before["imitation/exact_match"] == 0
    assert metrics["imitation/exact_match"] == 1
    assert metrics["imitation/token_accuracy"] == 1
    assert metrics["imitation/loss"] < 0.05
    assert [done for done, _, _ in told] == list(range(10, 151, 10))
    assert told[-1][2] < told[0][2]


def test_micro_batches_give_the_same_step(tiny_folder):
    from agentlab_runner.agents.llm.policy import LanguagePolicy

    def after(micro_batch: int) -> torch.Tensor:
        torch.manual_seed(3)
        policy = LanguagePolicy.from_pretrained(tiny_folder)
        fit(policy, SAMPLES, Trainer(), batch_size=6, steps=2, warmup=1, micro_batch=micro_batch)
        return torch.cat([parameter.flatten() for parameter in policy.trainable_parameters()])

    torch.testing.assert_close(after(6), after(4), atol=2e-4, rtol=0)


def test_nothing_to_imitate(policy):
    with pytest.raises(UserError, match="no demonstrations"):
        fit(policy, [], Trainer())

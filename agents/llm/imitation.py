"""Supervised warm start: teacher-forced cross-entropy on demonstrated utterances."""

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from agentlab_runner.agents.llm.policy import LanguagePolicy
from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.types import Observation, Trajectory

if TYPE_CHECKING:
    from agentlab_runner.runners.experiment import Report, Trainer

Sample = tuple[Observation, str]


def fit(
    policy: LanguagePolicy,
    samples: Sequence[Sample],
    trainer: "Trainer",
    *,
    lr: float = 3e-3,
    batch_size: int = 32,
    steps: int = 600,
    warmup: int = 30,
    weight_decay: float = 0.01,
    max_grad_norm: float | None = 1.0,
    micro_batch: int = 32,
    validation: Sequence[Sample] = (),
    report: "Report | None" = None,
) -> dict[str, float]:
    """Train the policy to say each sample's text on its observation.

    Loss: mean over a batch's tokens of -log pi(y_i | s, y_<i), the end token included. AdamW; the rate rises linearly
    over `warmup` steps and falls to zero along a cosine. Batches are drawn from epochs shuffled by torch's generator.

    Args:
        samples: (observation, text) pairs.
        trainer: takes the optimiser steps.
        micro_batch: samples in one forward pass; it bounds memory and leaves a step's gradient as it is.
        validation: held-out pairs; the metrics of `check` on them are added.
        report: told the step and its loss every ten steps.

    Returns:
        `imitation/loss`: mean over the last tenth of the steps, nats a token; and the metrics of `check`.

    Raises:
        UserError: if there is nothing to imitate.
    """
    if not samples:
        raise UserError("there are no demonstrations to imitate; record at least one successful episode")
    targets = [policy.encode(text) for _, text in samples]
    parameters = policy.trainable_parameters()
    optimizer = torch.optim.AdamW(parameters, lr=lr, betas=(0.9, 0.98), weight_decay=weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, warmup, steps))
    losses: list[float] = []
    policy.train()
    for step, batch in enumerate(_batches(len(samples), batch_size, steps), start=1):
        shares: list[float] = []
        pairs = [(samples[i][0], targets[i]) for i in batch]
        trainer.step(optimizer, _losses(policy, pairs, micro_batch, shares), parameters, max_grad_norm)
        schedule.step()
        losses.append(sum(shares))
        if report is not None and (step % 10 == 0 or step == steps):
            report(step, steps, loss=losses[-1])
    policy.eval()
    tail = losses[-math.ceil(steps / 10) :]
    metrics = {"imitation/loss": sum(tail) / len(tail)}
    return metrics | (check(policy, validation, micro_batch) if validation else {})


def fit_episodes(
    policy: LanguagePolicy,
    demonstrations: Sequence[Trajectory],
    trainer: "Trainer",
    report: "Report",
    *,
    validation_fraction: float = 0.0,
    **options: Any,
) -> dict[str, float]:
    """`fit` on every step of demonstrated episodes, of which the first `validation_fraction` are held out."""
    held_out = int(validation_fraction * len(demonstrations))
    samples, validation = (
        [(step.observation, step.decision.action) for trajectory in chosen for step in trajectory.steps]
        for chosen in (demonstrations[held_out:], demonstrations[:held_out])
    )
    return fit(policy, samples, trainer, validation=validation, report=report, **options)


def _losses(
    policy: LanguagePolicy, pairs: Sequence[tuple[Observation, tuple[int, ...]]], micro_batch: int, shares: list[float]
) -> Iterator[Tensor]:
    """The batch's loss in micro-batches whose sum it is; each value is also put in `shares`."""
    tokens = sum(len(ids) for _, ids in pairs)
    for start in range(0, len(pairs), micro_batch):
        observations, targets = zip(*pairs[start : start + micro_batch], strict=True)
        loss = -policy(observations, targets).logprobs.sum() / tokens
        shares.append(loss.item())
        yield loss


@torch.no_grad()
def check(policy: LanguagePolicy, samples: Sequence[Sample], batch_size: int = 32) -> dict[str, float]:
    """How well the policy says held-out texts.

    Returns:
        `imitation/token_accuracy`: share of tokens that are the likeliest after their true predecessors;
        `imitation/exact_match`: share of greedy utterances that are the text, letter by letter.
    """
    right = tokens = exact = 0
    for start in range(0, len(samples), batch_size):
        observations, texts = zip(*samples[start : start + batch_size], strict=True)
        targets = [policy.encode(text) for text in texts]
        likeliest = policy(observations, targets).logits.argmax(-1).tolist()
        for row, ids in zip(likeliest, targets, strict=True):
            right += sum(best == true for best, true in zip(row[: len(ids)], ids, strict=True))
        tokens += sum(map(len, targets))
        said = policy.generate(observations, deterministic=True)
        exact += sum(utterance.text == text for utterance, text in zip(said, texts, strict=True))
    return {"imitation/token_accuracy": right / tokens, "imitation/exact_match": exact / len(samples)}


def _batches(size: int, batch_size: int, steps: int) -> Iterator[list[int]]:
    """Indices of `steps` batches out of epochs shuffled anew; a batch may reach over two epochs."""
    order: list[int] = []
    for _ in range(steps):
        while len(order) < batch_size:
            order += torch.randperm(size).tolist()
        yield order[:batch_size]
        order = order[batch_size:]


def _rate(step: int, warmup: int, steps: int) -> float:
    """Share of the learning rate at a step counted from 0."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))

"""Supervised warm start: teacher-forced cross-entropy on demonstrated utterances."""

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from agents.llm.policy import LanguagePolicy
from runners.errors import UserError
from runners.types import Observation

if TYPE_CHECKING:
    from runners.experiment import Report
    from runners.trainer import Trainer

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

    Loss: mean over the batch's tokens of -log pi(y_i | s, y_<i), end token included. AdamW; the rate rises linearly over
    `warmup` steps and falls to zero along a cosine. Samples are drawn in epochs shuffled by torch's global generator.

    Args:
        samples: (observation, text) pairs.
        trainer: gives `device` and `step`.
        micro_batch: samples in one forward pass; a batch's gradient is the same whatever it is.
        validation: held-out pairs for the returned metrics; the training pairs are never scored for them.
        report: told the step and the loss every ten steps.

    Returns:
        `imitation/loss` (mean of the last tenth of the steps, nats a token) and, with `validation`, what `check` gives.
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
        total = sum(len(targets[i]) for i in batch)
        parts: list[float] = []

        def back_propagated(batch: list[int] = batch, total: int = total, parts: list[float] = parts) -> Iterator[Tensor]:
            for start in range(0, len(batch), micro_batch):
                rows = batch[start : start + micro_batch]
                scores = policy([samples[i][0] for i in rows], [targets[i] for i in rows])
                loss = -scores.logprobs.sum() / total
                parts.append(loss.item())
                yield loss

        trainer.step(optimizer, back_propagated(), parameters, max_grad_norm)
        schedule.step()
        losses.append(sum(parts))
        if report is not None and (step % 10 == 0 or step == steps):
            report(step, steps, loss=losses[-1])
    tail = losses[-max(1, steps // 10) :]
    metrics = {"imitation/loss": sum(tail) / len(tail)}
    return metrics | (check(policy, validation, micro_batch) if validation else {})


@torch.no_grad()
def check(policy: LanguagePolicy, samples: Sequence[Sample], batch_size: int = 32) -> dict[str, float]:
    """How well the policy says held-out texts: `imitation/token_accuracy` (teacher-forced) and `imitation/exact_match` (greedy)."""
    right = tokens = exact = 0
    for start in range(0, len(samples), batch_size):
        observations = [observation for observation, _ in samples[start : start + batch_size]]
        texts = [text for _, text in samples[start : start + batch_size]]
        targets = [policy.encode(text) for text in texts]
        scores = policy.score(observations, targets)
        best = scores.logits.argmax(-1).cpu()
        for row, ids in zip(best, targets, strict=True):
            right += int((row[: len(ids)] == torch.tensor(ids)).sum())
            tokens += len(ids)
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
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))

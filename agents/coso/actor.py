"""The actor's part of an iteration: -mean(1[A > 0] sum_i log pi(y_i | s, y_<i)) - alpha mean(H_B)."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from agentlab_runner.agents.coso.causal import CausalWeights, Ids
from agentlab_runner.agents.coso.entropy import token_entropy, weighted_entropy
from agentlab_runner.runners.frames import name_of
from agentlab_runner.runners.types import Observation

if TYPE_CHECKING:
    from agentlab_runner.agents.coso.settings import CosoSettings
    from agentlab_runner.agents.llm.policy import LanguagePolicy
    from agentlab_runner.runners.experiment import Trainer

LOG_FLOOR = math.log(1e-10)
"""Token probabilities are taken as at least 1e-10, as in the release."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One step the actor may learn from."""

    observation: Observation
    ids: Ids
    positive: bool
    """1[A > 0]."""


@dataclass(slots=True)
class Row:
    """Equal samples of one batch, computed once."""

    observation: Observation
    ids: Ids
    count: int = 0
    positives: int = 0


@dataclass(slots=True)
class Tally:
    """Sums over samples, for the metrics."""

    samples: int = 0
    positives: int = 0
    loss: float = 0.0
    entropy: float = 0.0
    weighted: float = 0.0
    norms: list[float] = field(default_factory=list)
    weights: dict[Ids, Tensor] = field(default_factory=dict)
    """B of every utterance learnt from, as it last entered the loss."""


def collapse(samples: Sequence[Sample]) -> list[Row]:
    """Samples equal in observation and utterance become one row with its multiplicity, which leaves the loss alone."""
    rows: dict[tuple[Ids, str], Row] = {}
    for sample in samples:
        row = rows.setdefault((sample.ids, name_of(sample.observation)), Row(sample.observation, sample.ids))
        row.count += 1
        row.positives += sample.positive
    return sorted(rows.values(), key=lambda row: len(row.ids))


def _separate(samples: Sequence[Sample]) -> list[Row]:
    """A row a sample, as drawn: the released outer norm depends on which rows share a micro-batch."""
    return [Row(sample.observation, sample.ids, 1, int(sample.positive)) for sample in samples]


def update_actor(
    policy: "LanguagePolicy",
    optimizer: torch.optim.Optimizer,
    batches: Sequence[Sequence[Sample]],
    settings: "CosoSettings",
    trainer: "Trainer",
    causal: CausalWeights | None,
) -> Tally:
    """One optimiser step a batch.

    Args:
        batches: draws with replacement from the steps that passed the filter, all of one size.
        causal: weighs the tokens of the entropy bonus; None adds no bonus.
    """
    tally = Tally()
    policy.train()
    parameters = policy.trainable_parameters()
    for batch in batches:
        rows = _separate(batch) if settings.entropy_norm == "released_outer" else collapse(batch)
        losses = _losses(policy, rows, len(batch), settings, causal, tally)
        tally.norms.append(trainer.step(optimizer, losses, parameters, settings.max_grad_norm))
    policy.eval()
    return tally


def _losses(
    policy: "LanguagePolicy",
    rows: Sequence[Row],
    size: int,
    settings: "CosoSettings",
    causal: CausalWeights | None,
    tally: Tally,
) -> Iterator[Tensor]:
    """A micro-batch's share of the loss, one after the other."""
    for start in range(0, len(rows), settings.micro_batch):
        part = rows[start : start + settings.micro_batch]
        scores = policy([row.observation for row in part], [row.ids for row in part])
        count = torch.tensor([row.count for row in part], dtype=torch.float32, device=scores.logprobs.device)
        positives = torch.tensor([row.positives for row in part], dtype=torch.float32, device=count.device)
        log_prob = scores.logprobs.clamp(min=LOG_FLOOR).masked_fill(~scores.mask, 0.0).sum(dim=1)
        loss = -(positives * log_prob).sum() / size
        bonus = causal is not None and settings.alpha > 0
        with torch.set_grad_enabled(bonus):
            entropy = token_entropy(scores.logits)
        if causal is not None:
            weights = causal.batch([row.ids for row in part], scores.logits, scores.mask)
            with torch.set_grad_enabled(bonus):
                weighted = weighted_entropy(entropy, weights, scores.mask, settings.entropy_norm)
            if bonus:
                loss = loss - settings.alpha * (count * weighted).sum() / size
            tally.weighted += float((count * weighted.detach()).sum())
            tally.weights |= {row.ids: w[: len(row.ids)].cpu() for row, w in zip(part, weights, strict=True)}
        tally.samples += int(count.sum())
        tally.positives += int(positives.sum())
        plain = weighted_entropy(entropy.detach(), torch.ones_like(entropy), scores.mask)
        tally.entropy += float((count * plain).sum())
        tally.loss += float(loss.detach())
        yield loss


def draw_batches(samples: Sequence[Sample], steps: int, size: int, rng: np.random.Generator) -> list[list[Sample]]:
    """`steps` batches of `size` draws with replacement."""
    return [[samples[i] for i in row] for row in rng.integers(len(samples), size=(steps, size)).tolist()]

"""PPO's part of an iteration: epochs of minibatches of the clipped surrogate, the value loss and -alpha H_B."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from agentlab_runner.agents.coso.causal import CausalWeights, Ids
from agentlab_runner.agents.coso.entropy import token_entropy, weighted_entropy
from agentlab_runner.agents.rl.ppo import ValueHead, approx_kl, policy_loss, value_loss
from agentlab_runner.runners.types import Observation

if TYPE_CHECKING:
    from agentlab_runner.agents.coso.settings import PpoSettings
    from agentlab_runner.agents.llm.policy import LanguagePolicy
    from agentlab_runner.agents.llm.utterances import TokenScores
    from agentlab_runner.runners.experiment import Trainer


@dataclass(frozen=True, slots=True)
class Said:
    """An utterance on an observation, distinct within the rollout."""

    observation: Observation
    ids: Ids
    token_weights: Tensor
    """[T], what each token's log-probability is multiplied by."""
    length: int
    """Tokens of prompt and utterance: rows of about one length share a micro-batch, which is padded to its longest."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """The N steps of an iteration, as the learner needs them."""

    said: Sequence[Said]
    """The U distinct utterances."""
    row: Tensor
    """[N] int64, which of `said` each step is; equal ones are computed once."""
    old_log_prob: Tensor
    """[N], sequence log-probability when it was sampled."""
    advantage: Tensor
    """[N]."""
    old_value: Tensor
    """[N]."""
    target: Tensor
    """[N], the return that V is to predict."""


@dataclass(slots=True)
class Tally:
    """Sums over samples, for the metrics."""

    samples: int = 0
    """Those whose log-probability was a number."""
    sums: dict[str, float] = field(default_factory=dict)
    norms: list[float] = field(default_factory=list)
    weights: dict[Ids, Tensor] = field(default_factory=dict)
    """B of every utterance learnt from, as it last entered the loss."""

    def add(self, **values: Tensor) -> None:
        for name, rows in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + float(rows.detach().sum())

    def means(self) -> dict[str, float]:
        return {name: total / max(self.samples, 1) for name, total in self.sums.items()}


def update_policy(
    policy: "LanguagePolicy",
    head: ValueHead | None,
    optimizer: torch.optim.Optimizer,
    rollout: Rollout,
    settings: "PpoSettings",
    trainer: "Trainer",
    causal: CausalWeights | None,
    rng: np.random.Generator,
) -> Tally:
    """`epochs` times over the rollout, in minibatches of nearly equal size, one optimiser step each.

    Args:
        head: predicts V; None where the advantage needs no critic.
        causal: weighs the tokens of the entropy bonus; None adds no bonus.
    """
    tally = Tally()
    policy.train()
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    n = len(rollout.row)
    for _ in range(settings.epochs):
        for rows in np.array_split(rng.permutation(n), max(1, round(n / settings.minibatch_size))):
            losses = _losses(policy, head, rollout, torch.from_numpy(rows), settings, causal, tally)
            tally.norms.append(trainer.step(optimizer, losses, parameters, settings.max_grad_norm))
    policy.eval()
    return tally


def _losses(
    policy: "LanguagePolicy",
    head: ValueHead | None,
    rollout: Rollout,
    rows: Tensor,
    settings: "PpoSettings",
    causal: CausalWeights | None,
    tally: Tally,
) -> Iterator[Tensor]:
    """A micro-batch's share of the minibatch's loss, one after the other.

        mean( -min(rho A, clip(rho) A) + c_V L_V - alpha H_B )
    """
    members: dict[int, list[int]] = {}
    for row in rows.tolist():
        members.setdefault(int(rollout.row[row]), []).append(row)
    distinct = sorted(members, key=lambda u: rollout.said[u].length)
    for start in range(0, len(distinct), settings.micro_batch):
        scored = _scored(policy, rollout.said, distinct[start : start + settings.micro_batch])
        if scored is None:
            continue
        sound, scores, log_prob = scored
        part = [rollout.said[u] for u in sound]
        device = log_prob.device
        chosen = torch.tensor([row for u in sound for row in members[u]])
        of = torch.tensor([place for place, u in enumerate(sound) for _ in members[u]], device=device)
        tally.samples += len(chosen)
        old, advantage, old_value, target = (
            column[chosen].to(device)
            for column in (rollout.old_log_prob, rollout.advantage, rollout.old_value, rollout.target)
        )
        loss = surrogate = policy_loss(log_prob[of], old, advantage, settings.clip_coef)
        if head is not None:
            states = scores.states if settings.value_trunk == "shared" else scores.states.detach()
            error = value_loss(head(states)[of], old_value, target, settings.value_clip_coef)
            loss = loss + settings.value_coef * error
            tally.add(value_loss=error)
        bonus = causal is not None and settings.alpha > 0
        with torch.set_grad_enabled(bonus):
            entropy = token_entropy(scores.logits)
        if causal is not None:
            weights = causal.batch([one.ids for one in part], scores.logits, scores.mask)
            with torch.set_grad_enabled(bonus):
                weighted = weighted_entropy(entropy, weights, scores.mask, settings.entropy_norm)[of]
            if bonus:
                loss = loss - settings.alpha * weighted
            tally.add(entropy_weighted=weighted)
            tally.weights |= {one.ids: w[: len(one.ids)].cpu() for one, w in zip(part, weights, strict=True)}
        ratio = (log_prob[of] - old).exp()
        plain = weighted_entropy(entropy.detach(), torch.ones_like(entropy), scores.mask, settings.entropy_norm)[of]
        tally.add(
            policy_loss=surrogate,
            entropy=plain,
            clipfrac=((ratio - 1.0).abs() > settings.clip_coef).float(),
            approx_kl=approx_kl(log_prob[of], old),
        )
        yield loss.sum() / len(rows)


def _scored(
    policy: "LanguagePolicy", said: Sequence[Said], which: Sequence[int]
) -> "tuple[Sequence[int], TokenScores, Tensor] | None":
    """Those of `which` whose log-probability is a number, their scores, and their log-probabilities; None if none is.

    The others are scored no more: a nan spoils the gradient of every row that shares its graph.
    """
    part = [said[u] for u in which]
    scores = policy([one.observation for one in part], [one.ids for one in part])
    log_prob = (scores.logprobs * _stacked(part, scores.logprobs)).sum(dim=1)
    sound = [u for u, good in zip(which, log_prob.isfinite().tolist(), strict=True) if good]
    if len(sound) == len(which):
        return which, scores, log_prob
    return _scored(policy, said, sound) if sound else None


def _stacked(part: Sequence[Said], like: Tensor) -> Tensor:
    """The token weights [B, T] of a batch, 0 on padding."""
    weights = torch.zeros(like.shape)
    for row, one in zip(weights, part, strict=True):
        row[: len(one.ids)] = one.token_weights
    return weights.to(like.device)

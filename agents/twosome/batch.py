"""What one update learns from: the elementary decisions of some episodes as flat tensors."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from agentlab_runner.agents.llm.candidates import Question
from agentlab_runner.agents.rl.ppo import gae
from agentlab_runner.agents.twosome.actor import Algorithm, Part, PhraseActor
from agentlab_runner.agents.twosome.critic import Critic
from agentlab_runner.agents.twosome.states import Episode


@dataclass(frozen=True, slots=True)
class Sample:
    """One decision of an episode."""

    question: Question
    parts: tuple[Part, ...]
    """The elementary decisions that make the chosen action."""
    units: tuple[int, ...]
    """Where they stand in the batch's tensors."""


@dataclass(frozen=True, slots=True)
class Batch:
    """N decisions made of U elementary ones; N = U where actions are decided whole."""

    samples: tuple[Sample, ...]
    features: Tensor
    """[U, D], what the critic sees."""
    logprobs: Tensor
    """[U], under the policy that played."""
    values: Tensor
    """[U], of the critic at that time."""
    advantages: Tensor
    """[U], not normalised."""

    @property
    def returns(self) -> Tensor:
        """[U], what the critic is to predict: A + V."""
        return self.advantages + self.values

    def groups(self, size: int) -> Iterator[list[int]]:
        """The samples in random order, as many equal groups as come nearest to `size` samples each."""
        count = max(1, round(len(self.samples) / size))
        for group in torch.randperm(len(self.samples)).tensor_split(count):
            yield group.tolist()


def advantages(
    rewards: Sequence[float],
    durations: Sequence[int],
    lengths: Sequence[int],
    values: Sequence[float],
    algo: Algorithm,
    gamma: float,
    gae_lambda: float,
) -> Tensor:
    """Semi-Markov advantages of one episode's elementary decisions; what ends it, a time limit too, is terminal.

    Whole actions:   delta_t = r_t + gamma^{k_t} V(s_{t+1}) - V(s_t)
    Token by token:  delta_j = gamma_in V_{j+1} - V_j inside an action, as above at its last token;
                     gamma_in = 1 (POAD, arXiv 2405.15821) or gamma (NTPO).

    Args:
        rewards: [T], r_t.
        durations: [T], k_t.
        lengths: [T], elementary decisions of each action.
        values: [sum of lengths].

    Returns:
        [sum of lengths] float32.
    """
    inside = gamma if algo == "ntpo" else 1.0
    spread: list[float] = []
    discounts: list[float] = []
    for reward, duration, length in zip(rewards, durations, lengths, strict=True):
        spread += [0.0] * (length - 1) + [reward]
        discounts += [inside] * (length - 1) + [gamma**duration]
    return gae(spread, values, discounts, gae_lambda)


@torch.no_grad()
def make_batch(
    episodes: Sequence[Episode], actor: PhraseActor, critic: Critic, gamma: float, gae_lambda: float
) -> Batch:
    """Look up, with the networks that played, what an update needs."""
    device = next(critic.parameters()).device
    samples: list[Sample] = []
    features: list[Tensor] = []
    logprobs: list[Tensor] = []
    lengths: list[list[int]] = []
    units = 0
    for episode in episodes:
        for question, choice in zip(episode.questions, episode.choices, strict=True):
            own = actor.parts(question)[choice]
            rows, indices = zip(*own, strict=True)
            samples.append(Sample(question, own, tuple(range(units, units + len(own)))))
            features.append(actor.scorer.features([question])[0][list(rows)])
            logprobs.append(actor.log_parts(question)[list(indices)])
            units += len(own)
        lengths.append([len(sample.parts) for sample in samples[-len(episode) :]])
    seen = torch.cat(features).to(device)
    values = critic(seen)
    own_values = iter(values.split([sum(own) for own in lengths]))
    found = [
        advantages(e.rewards, e.durations, own, next(own_values).tolist(), actor.algo, gamma, gae_lambda)
        for e, own in zip(episodes, lengths, strict=True)
    ]
    return Batch(tuple(samples), seen, torch.cat(logprobs).to(device), values, torch.cat(found).to(device))

"""SayCan (arXiv 2204.01691) with affordances learnt here: what the model would say times what the action is worth."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from agentlab_runner.agents.rl.phrases import usable
from agentlab_runner.agents.twosome.actor import PhraseActor
from agentlab_runner.agents.twosome.settings import SaycanSettings
from agentlab_runner.agents.twosome.states import question_of
from agentlab_runner.agents.twosome.vectors import VectorEpisode, network, vector_episode, vectors
from agentlab_runner.runners.types import Decision, Observation, Trajectory

if TYPE_CHECKING:
    from agentlab_runner.agents.llm.policy import LanguagePolicy
    from agentlab_runner.runners.experiment import Trainer


class SaycanAgent:
    """pi(a | s) proportional to pi_LLM(a | s) affordance(a | s), the language model staying as it is.

    The affordance is an MLP on `observation["vector"]`, trained on replayed transitions:
        value:   softmax over the admissible actions of Q / temperature, with
                 Q(s_t, a_t) -> r_t + gamma^{k_t} max_{a admissible} Q'(s_{t+1}, a), the end of an episode terminal
        effect:  sigmoid, the chance that the next observation differs from this one

    Args:
        policy: a causal language model.
        settings: those of `SaycanSettings`.
    """

    def __init__(self, policy: "LanguagePolicy", **settings: Any) -> None:
        self.settings = s = SaycanSettings(**settings)
        self.policy = policy
        self.actor = PhraseActor(policy, "twosome", s.normalisation, s.cache_mb)
        self.network: nn.Module | None = None
        self.replay: list[VectorEpisode] = []
        self.steps = 0
        """Optimiser steps taken."""

    def setup(self, trainer: "Trainer") -> None:
        self._trainer = trainer
        trainer.prepare(self.policy)

    def _build(self, inputs: int) -> nn.Module:
        if self.network is None:
            self.network, self._target = (network(inputs, self.settings.num_actions, gain=0.01) for _ in range(2))
            self._target.load_state_dict(self.network.state_dict())
            self._trainer.prepare(self.network)
            self._trainer.prepare(self._target)
            self._optimizer = torch.optim.Adam(self.network.parameters(), lr=self.settings.lr)
        return self.network

    # -- acting -------------------------------------------------------------------------------------------------------

    def begin(self, episodes: Sequence[int]) -> None:
        """Nothing is remembered between steps."""

    @torch.no_grad()
    def act(self, observations: Sequence[Observation], deterministic: bool) -> list[Decision]:
        said = self.actor.log_policies([question_of(observation) for observation in observations])
        seen = vectors(observations)
        worth = self._build(seen.shape[1])(seen.to(self._trainer.device)).cpu()
        decisions = []
        for observation, log_prior, own in zip(observations, said, worth, strict=True):
            ids = [int(i) for i in observation["action_ids"]]
            scores = log_prior + self.log_affordance(own[ids])
            choice = int(scores.argmax() if deterministic else torch.multinomial(scores.softmax(-1), 1))
            decisions.append(Decision(ids[choice]))
        return decisions

    def end(self, trajectories: Sequence[Trajectory]) -> None:
        """Nothing is remembered between steps."""

    def log_affordance(self, worth: Tensor) -> Tensor:
        """[n] of the network's outputs for the admissible actions."""
        if self.settings.affordance == "value":
            return torch.log_softmax(worth / self.settings.temperature, dim=-1)
        return F.logsigmoid(worth)

    # -- learning -----------------------------------------------------------------------------------------------------

    def learn(self, trajectories: Sequence[Trajectory], trainer: "Trainer") -> dict[str, float]:
        """Remember the episodes and take `rounds` steps of the affordance on replayed transitions."""
        s = self.settings
        self.replay += [vector_episode(t, s.num_actions, admissible_only=True) for t in usable(trajectories)]
        while sum(map(len, self.replay)) > s.capacity and len(self.replay) > 1:
            self.replay.pop(0)
        if not self.replay:
            return {}
        losses = [self._step(trainer) for _ in range(s.rounds)]
        return {"losses/affordance": sum(losses) / len(losses)} if losses else {}

    def _step(self, trainer: "Trainer") -> float:
        s = self.settings
        seen, following, allowed, actions, rewards, discounts, last = self._draw()
        own = self._build(seen.shape[1])
        chosen = own(seen).gather(1, actions[:, None]).squeeze(1)
        if s.affordance == "effect":
            loss = F.binary_cross_entropy_with_logits(chosen, (following != seen).any(dim=1).float())
        else:
            with torch.no_grad():
                ahead = self._target(following).masked_fill(~allowed, -torch.inf).amax(dim=1)
                target = rewards + discounts * torch.where(last, 0.0, ahead)
            loss = F.mse_loss(chosen, target)
        trainer.step(self._optimizer, [loss], own.parameters(), None)
        self.steps += 1
        if self.steps % s.target_every == 0:
            self._target.load_state_dict(own.state_dict())
        return float(loss.detach())

    def _draw(self) -> tuple[Tensor, ...]:
        """`batch_size` transitions with replacement, on the trainer's device."""
        table = [
            torch.cat(column)
            for column in zip(
                *(
                    (
                        e.seen[:-1],
                        e.seen[1:],
                        torch.cat([e.allowed[1:], torch.ones_like(e.allowed[:1])]),
                        e.actions,
                        e.rewards,
                        self.settings.gamma**e.durations,
                        torch.arange(len(e)) == len(e) - 1,
                    )
                    for e in self.replay
                ),
                strict=True,
            )
        ]
        rows = torch.randint(len(table[0]), (self.settings.batch_size,))
        return tuple(column[rows].to(self._trainer.device) for column in table)

    # -- keeping ------------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        learnt = None
        if self.network is not None:
            learnt = {
                "network": self.network.state_dict(),
                "target": self._target.state_dict(),
                "optimizer": self._optimizer.state_dict(),
            }
        return {"steps": self.steps, "learnt": learnt, "replay": [e.state() for e in self.replay]}

    def load_weights(self, state: Mapping[str, Any]) -> None:
        """The affordance of another run and its target, where it has made them."""
        if state["learnt"] is not None:
            own = self._build(state["learnt"]["network"]["0.weight"].shape[1])
            own.load_state_dict(state["learnt"]["network"])
            self._target.load_state_dict(state["learnt"]["target"])

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.steps = state["steps"]
        self.replay = [VectorEpisode.restored(e) for e in state["replay"]]
        self.load_weights(state)
        if state["learnt"] is not None:
            self._optimizer.load_state_dict(state["learnt"]["optimizer"])

"""The pointer: a small transformer that chooses among phrases and learns by reward alone.

PPO (arXiv 1707.06347) with semi-Markov advantages, or its surrogate on GRPO's or GiGPO's, and self-imitation
(arXiv 1806.05635): what succeeded is imitated as far as it was better than the critic expects.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from agentlab_runner.agents.pointer.episodes import Episode, Successes, decisions, episode
from agentlab_runner.agents.pointer.network import PointerNetwork, batch_of
from agentlab_runner.agents.pointer.settings import PointerSettings
from agentlab_runner.agents.pointer.states import State, state_of
from agentlab_runner.agents.rl.groups import gigpo, grpo
from agentlab_runner.agents.rl.phrases import listed_action, usable
from agentlab_runner.agents.rl.ppo import approx_kl, explained_variance, gae, normalised, policy_loss, value_loss
from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.types import Decision, Observation, Trajectory

if TYPE_CHECKING:
    from agentlab_runner.agents.llm.policy import LanguagePolicy
    from agentlab_runner.runners.experiment import Report, Trainer

TOGETHER = 32
"""States of one forward pass in learning; fewer than a minibatch has, since all are padded to the largest."""


class PointerAgent:
    """Points at one of the phrases of `observation["actions"]`; a language model given is left aside.

    Args:
        settings: those of `PointerSettings`.
    """

    def __init__(self, policy: "LanguagePolicy | None" = None, **settings: Any) -> None:
        self.settings = s = PointerSettings(**settings)
        self.network: PointerNetwork | None = None
        self.decisions = 0
        """Learnt from so far."""
        self.successes = Successes(s.replay.per_task)

    def setup(self, trainer: "Trainer") -> None:
        if trainer.processes > 1 or trainer.strategy == "fsdp":
            raise UserError("this agent learns in one process; use trainer=cpu or trainer=gpu")
        self._trainer = trainer

    def _build(self, features: int) -> PointerNetwork:
        """The network, made when the number of features is first known.

        Raises:
            UserError: if it has changed since.
        """
        if self.network is None:
            s = self.settings
            self.network = PointerNetwork(features, s.network.size, s.network.layers, s.network.heads)
            self._features = features
            self._trainer.prepare(self.network)
            self._optimizer = torch.optim.Adam(self.network.parameters(), lr=s.lr, eps=1e-5)
        if features != self._features:
            raise UserError(
                f"phrases have {features} features where this pointer has learnt to read {self._features}; "
                "play the environment it was trained on"
            )
        return self.network

    # -- acting -------------------------------------------------------------------------------------------------------

    def begin(self, episodes: Sequence[int]) -> None:
        """Nothing is remembered between steps."""

    @torch.no_grad()
    def act(self, observations: Sequence[Observation], deterministic: bool) -> list[Decision]:
        states = [state_of(observation) for observation in observations]
        policy, _ = self._policy(states)
        choices = policy.argmax(-1) if deterministic else torch.multinomial(policy.exp(), 1).squeeze(-1)
        return [
            Decision(listed_action(observation, choice), {"state": state})
            for observation, choice, state in zip(observations, choices.tolist(), states, strict=True)
        ]

    def end(self, trajectories: Sequence[Trajectory]) -> None:
        """Nothing is remembered between steps."""

    def _policy(self, states: Sequence[State]) -> tuple[Tensor, Tensor]:
        """ln pi [B, N] and V [B]."""
        network = self._build(states[0].features.shape[1])
        log_policy, values = network(batch_of(states, self._trainer.device))
        return log_policy, values

    def _chosen(self, states: Sequence[State], choices: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
        """ln pi of the choices, the policy's entropy and V, [B] each; states of about one size go together."""
        order = sorted(range(len(states)), key=lambda i: states[i].size)
        parts: list[tuple[Tensor, ...]] = []
        for start in range(0, len(order), TOGETHER):
            rows = order[start : start + TOGETHER]
            policy, values = self._policy([states[i] for i in rows])
            index = torch.tensor([choices[i] for i in rows], device=policy.device)
            entropy = -(policy.exp() * policy).sum(dim=1)  # a phrase that is not there: 0 x a finite number
            parts.append((policy.gather(1, index[:, None]).squeeze(1), entropy, values))
        back = torch.tensor(order).argsort().to(values.device)
        log_prob, entropy, values = (torch.cat(part)[back] for part in zip(*parts, strict=True))
        return log_prob, entropy, values

    # -- learning -----------------------------------------------------------------------------------------------------

    def learn(self, trajectories: Sequence[Trajectory], trainer: "Trainer") -> dict[str, float]:
        """Epochs of PPO on these episodes, then steps of self-imitation on what has succeeded so far."""
        s = self.settings
        counted = usable(trajectories)
        if not counted:
            return {"rollout/decisions": float(self.decisions)}
        episodes = [episode(trajectory) for trajectory in counted]
        if s.replay.per_task:
            for trajectory, own in zip(counted, episodes, strict=True):
                if trajectory.success:
                    self.successes.add(trajectory.task, own, s.gamma)
        self._build(episodes[0].states[0].features.shape[1])
        done = min(1.0, self.decisions / s.total_decisions) if s.total_decisions else 0.0
        self._optimizer.param_groups[0]["lr"] = (1.0 - 0.9 * done) * s.lr
        results = self._fit(episodes, trainer)
        if len(self.successes) and s.replay.steps:
            results |= self._replay(trainer)
        self.decisions += sum(map(len, episodes))
        kept = float(len(self.successes))
        return results | {"rollout/decisions": float(self.decisions), "replay/episodes": kept}

    def _fit(self, episodes: Sequence[Episode], trainer: "Trainer") -> dict[str, float]:
        s = self.settings
        states, choices = decisions(episodes)
        network = self._build(states[0].features.shape[1])
        old_log_prob, old_values = self._before(states, choices)
        advantage = normalised(self._advantages(episodes, old_values.cpu()).to(trainer.device))
        returns = self._returns(episodes, old_values.cpu()).to(trainer.device)
        minibatches = max(1, round(len(states) / s.minibatch_size))
        sums = {"policy_loss": 0.0, "value_loss": 0.0, "entropy": 0.0, "approx_kl": 0.0, "clipfrac": 0.0}
        for _ in range(s.epochs):
            for rows in torch.randperm(len(states)).tensor_split(minibatches):
                part = rows.tolist()
                log_prob, entropy, values = self._chosen([states[i] for i in part], [choices[i] for i in part])
                old = old_log_prob[rows]
                surrogate = policy_loss(log_prob, old, advantage[rows], s.clip_coef).mean()
                error = value_loss(values, old_values[rows], returns[rows], None).mean()
                loss = surrogate - s.ent_coef * entropy.mean() + s.vf_coef * error
                trainer.step(self._optimizer, [loss], network.parameters(), s.max_grad_norm)
                moved = ((log_prob - old).exp() - 1).abs().gt(s.clip_coef).float()
                found = (surrogate, error, entropy.mean(), approx_kl(log_prob, old).mean(), moved.mean())
                for name, value in zip(sums, found, strict=True):
                    sums[name] += float(value.detach()) / (s.epochs * minibatches)
        results = {f"losses/{name}": value for name, value in sums.items()}
        return results | {"losses/explained_variance": explained_variance(old_values, returns)}

    @torch.no_grad()
    def _before(self, states: Sequence[State], choices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """ln pi and V of what was done, before anything is learnt from it, [N] each."""
        log_prob, _, values = self._chosen(states, choices)
        return log_prob, values

    def _advantages(self, episodes: Sequence[Episode], values: Tensor) -> Tensor:
        """[N]; what ends an episode, a time limit too, is terminal."""
        s = self.settings
        rewards, groups = [e.rewards for e in episodes], [e.group for e in episodes]
        if s.advantage == "grpo":
            return torch.cat(grpo(rewards, groups, s.divide_by_std))
        if s.advantage == "gigpo":
            anchors = [[state.key() for state in e.states] for e in episodes]
            return torch.cat(gigpo(rewards, groups, anchors, s.gamma, s.step_coef, s.divide_by_std))
        return torch.cat(self._gae(episodes, values, s.gae_lambda))

    def _returns(self, episodes: Sequence[Episode], values: Tensor) -> Tensor:
        """What V is to predict, [N]."""
        return torch.cat(self._gae(episodes, values, self.settings.gae_lambda)) + values

    def _gae(self, episodes: Sequence[Episode], values: Tensor, gae_lambda: float) -> list[Tensor]:
        own = torch.split(values, [len(e) for e in episodes])
        return [
            gae(e.rewards, v.tolist(), [self.settings.gamma**k for k in e.durations], gae_lambda)
            for e, v in zip(episodes, own, strict=True)
        ]

    def _replay(self, trainer: "Trainer") -> dict[str, float]:
        """Steps on -ln pi(a | s) max(0, R - V(s)), and on half of its square, over decisions that led to success."""
        s, sums = self.settings.replay, {"loss": 0.0, "better": 0.0}
        for _ in range(s.steps):
            samples = self.successes.draw(s.batch_size)
            log_prob, _, values = self._chosen([x.state for x in samples], [x.choice for x in samples])
            gains = torch.tensor([x.gain for x in samples], device=values.device)
            better = (gains - values).clamp(min=0.0)
            imitation = -(log_prob * better.detach()).mean()
            loss = s.coef * (imitation + s.value_coef * 0.5 * better.square().mean())
            network = self._build(samples[0].state.features.shape[1])
            trainer.step(self._optimizer, [loss], network.parameters(), self.settings.max_grad_norm)
            sums["loss"] += float(imitation.detach()) / s.steps
            sums["better"] += float(better.detach().mean()) / s.steps
        return {f"replay/{name}": value for name, value in sums.items()}

    def imitate(
        self, demonstrations: Sequence[Trajectory], trainer: "Trainer", report: "Report"
    ) -> dict[str, float]:
        """Cross-entropy on demonstrated decisions, those of successful episodes.

        Returns:
            `imitation/loss` and `imitation/accuracy`, means over the last tenth of the steps.

        Raises:
            UserError: if there is no such episode, or a decision is none of those that were listed.
        """
        s = self.settings.imitation
        shown = [episode(t) for t in usable(demonstrations) if t.success]
        if not shown:
            raise UserError("there are no demonstrations to imitate; record at least one successful episode")
        states, choices = decisions(shown)
        network = self._build(states[0].features.shape[1])
        optimizer = torch.optim.Adam(network.parameters(), lr=s.lr, eps=1e-5)
        losses: list[float] = []
        right: list[float] = []
        for step in range(1, s.steps + 1):
            rows = torch.randint(len(states), (s.batch_size,)).tolist()
            policy, _ = self._policy([states[i] for i in rows])
            wanted = torch.tensor([choices[i] for i in rows], device=policy.device)
            loss = torch.nn.functional.nll_loss(policy, wanted)
            trainer.step(optimizer, [loss], network.parameters(), self.settings.max_grad_norm)
            losses.append(float(loss.detach()))
            right.append(float((policy.argmax(-1) == wanted).float().mean()))
            if step % 10 == 0 or step == s.steps:
                report(step, s.steps, loss=losses[-1])
        tail = max(1, s.steps // 10)
        return {"imitation/loss": sum(losses[-tail:]) / tail, "imitation/accuracy": sum(right[-tail:]) / tail}

    # -- keeping ------------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        learnt = None
        if self.network is not None:
            network, optimizer = self.network.state_dict(), self._optimizer.state_dict()
            learnt = {"features": self._features, "network": network, "optimizer": optimizer}
        return {"decisions": self.decisions, "learnt": learnt, "successes": self.successes.state()}

    def load_weights(self, state: Mapping[str, Any]) -> None:
        """The network of another run, where it has made one."""
        if state["learnt"] is not None:
            self._build(state["learnt"]["features"]).load_state_dict(state["learnt"]["network"])

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.decisions = state["decisions"]
        self.successes.restore(state["successes"])
        self.load_weights(state)
        if state["learnt"] is not None:
            self._optimizer.load_state_dict(state["learnt"]["optimizer"])

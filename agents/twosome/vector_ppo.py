"""Plain PPO on the environment's numeric observation: the baseline without language (CleanRL's shape)."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from agentlab_runner.agents.rl.phrases import usable
from agentlab_runner.agents.rl.ppo import approx_kl, explained_variance, gae, normalised, policy_loss, value_loss
from agentlab_runner.agents.twosome.settings import VectorPpoSettings
from agentlab_runner.agents.twosome.vectors import VectorEpisode, admissible, network, vector_episode, vectors
from agentlab_runner.runners.types import Decision, Observation, Trajectory

if TYPE_CHECKING:
    from agentlab_runner.agents.llm.policy import LanguagePolicy
    from agentlab_runner.runners.experiment import Trainer


class VectorPpoAgent:
    """An MLP actor and an MLP critic on `observation["vector"]`; a language model given is left aside.

    Semi-Markov advantages as TWOSOME has them, so that the two differ in what they see and how they choose alone.
    """

    def __init__(self, policy: "LanguagePolicy | None" = None, **settings: Any) -> None:
        self.settings = VectorPpoSettings(**settings)
        self.networks: nn.ModuleDict | None = None
        self.decisions = 0
        self._waiting: list[VectorEpisode] = []

    def setup(self, trainer: "Trainer") -> None:
        self._trainer = trainer

    def _build(self, inputs: int) -> nn.ModuleDict:
        """The networks, made when the size of an observation is first known."""
        if self.networks is None:
            s = self.settings
            actor, critic = network(inputs, s.num_actions, gain=0.01), network(inputs, 1, gain=1.0)
            self.networks = nn.ModuleDict({"actor": actor, "critic": critic})
            self._trainer.prepare(self.networks)
            self._optimizer = torch.optim.Adam(self.networks.parameters(), lr=s.lr, eps=1e-5)
        return self.networks

    # -- acting -------------------------------------------------------------------------------------------------------

    def begin(self, episodes: Sequence[int]) -> None:
        """Nothing is remembered between steps."""

    @torch.no_grad()
    def act(self, observations: Sequence[Observation], deterministic: bool) -> list[Decision]:
        policy = self._policy(vectors(observations), admissible(observations, self.settings.num_actions))
        actions = policy.argmax(-1) if deterministic else torch.multinomial(policy.exp(), 1).squeeze(-1)
        return [Decision(action) for action in actions.tolist()]

    def end(self, trajectories: Sequence[Trajectory]) -> None:
        """Nothing is remembered between steps."""

    def _policy(self, seen: Tensor, allowed: Tensor) -> Tensor:
        """ln pi(a | s) [N, A]; an action that may not be picked has the least number there is instead of -inf."""
        logits = self._build(seen.shape[1])["actor"](seen.to(self._trainer.device))
        if self.settings.admissible_only:
            logits = logits.masked_fill(~allowed.to(logits.device), torch.finfo(logits.dtype).min)
        return torch.log_softmax(logits, dim=-1)

    # -- learning -----------------------------------------------------------------------------------------------------

    def learn(self, trajectories: Sequence[Trajectory], trainer: "Trainer") -> dict[str, float]:
        """Wait for `batch_size` decisions of one policy, then `epochs` passes over them."""
        s = self.settings
        self._waiting += [vector_episode(t, s.num_actions, s.admissible_only) for t in usable(trajectories)]
        waiting = sum(map(len, self._waiting))
        if waiting < s.batch_size:
            return {"rollout/waiting": float(waiting)}
        episodes, self._waiting = self._waiting, []
        left = 1.0 - self.decisions / s.total_decisions if s.total_decisions else 1.0
        self._optimizer.param_groups[0]["lr"] = max(0.0, left) * s.lr
        self.decisions += waiting
        return self._fit(episodes, trainer) | {"rollout/decisions": float(self.decisions)}

    def _fit(self, episodes: Sequence[VectorEpisode], trainer: "Trainer") -> dict[str, float]:
        s, device = self.settings, trainer.device
        seen = torch.cat([e.seen[:-1] for e in episodes]).to(device)
        allowed = torch.cat([e.allowed for e in episodes]).to(device)
        actions = torch.cat([e.actions for e in episodes])[:, None].to(device)
        networks = self._build(seen.shape[1])
        with torch.no_grad():
            old_log_prob = self._policy(seen, allowed).gather(1, actions).squeeze(1)
            old_values = networks["critic"](seen).squeeze(-1)
        advantage = self._advantages(episodes, old_values).to(device)
        returns = advantage + old_values
        sums = {"policy_loss": 0.0, "value_loss": 0.0, "entropy": 0.0, "approx_kl": 0.0}
        for _ in range(s.epochs):
            for rows in torch.randperm(len(actions)).tensor_split(s.minibatches):
                policy = self._policy(seen[rows], allowed[rows])
                log_prob, old = policy.gather(1, actions[rows]).squeeze(1), old_log_prob[rows]
                values = networks["critic"](seen[rows]).squeeze(-1)
                surrogate = policy_loss(log_prob, old, normalised(advantage[rows]), s.clip_coef).mean()
                error = value_loss(values, old_values[rows], returns[rows], s.clip_coef).mean()
                entropy = -(policy.exp() * policy).sum(dim=1).mean()
                loss = surrogate - s.ent_coef * entropy + s.vf_coef * error
                trainer.step(self._optimizer, [loss], networks.parameters(), s.max_grad_norm)
                found = (surrogate, error, entropy, approx_kl(log_prob, old).mean())
                for name, value in zip(sums, found, strict=True):
                    sums[name] += float(value.detach()) / (s.epochs * s.minibatches)
        results = {f"losses/{name}": value for name, value in sums.items()}
        return results | {"losses/explained_variance": explained_variance(old_values, returns)}

    def _advantages(self, episodes: Sequence[VectorEpisode], values: Tensor) -> Tensor:
        own = torch.split(values, [len(e) for e in episodes])
        gamma, gae_lambda = self.settings.gamma, self.settings.gae_lambda
        found = [
            gae(e.rewards.tolist(), v.tolist(), (gamma**e.durations).tolist(), gae_lambda)
            for e, v in zip(episodes, own, strict=True)
        ]
        return torch.cat(found)

    # -- keeping ------------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        learnt = None
        if self.networks is not None:
            learnt = {"networks": self.networks.state_dict(), "optimizer": self._optimizer.state_dict()}
        return {"decisions": self.decisions, "learnt": learnt, "waiting": [e.state() for e in self._waiting]}

    def load_weights(self, state: Mapping[str, Any]) -> None:
        """Actor and critic of another run, where it has made them."""
        if state["learnt"] is not None:
            networks = self._build(state["learnt"]["networks"]["actor.0.weight"].shape[1])
            networks.load_state_dict(state["learnt"]["networks"])

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.decisions = state["decisions"]
        self._waiting = [VectorEpisode.restored(e) for e in state["waiting"]]
        self.load_weights(state)
        if state["learnt"] is not None:
            self._optimizer.load_state_dict(state["learnt"]["optimizer"])

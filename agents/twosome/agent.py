"""TWOSOME (arXiv 2401.14151): PPO on a language model's probabilities of admissible phrases.

Actor and critic stand on one frozen model: the actor is the model with low-rank adapters, the critic an MLP on the last
hidden state of the model without them. Token-level credit (POAD, NTPO) is the same learner with finer decisions.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from agentlab_runner.agents.llm.candidates import Question
from agentlab_runner.agents.llm.weights.adapters import load_adapters
from agentlab_runner.agents.rl.phrases import usable
from agentlab_runner.agents.rl.ppo import approx_kl, explained_variance, normalised, policy_loss, value_loss
from agentlab_runner.agents.twosome.actor import PhraseActor
from agentlab_runner.agents.twosome.batch import Batch, make_batch
from agentlab_runner.agents.twosome.critic import FILE, Critic
from agentlab_runner.agents.twosome.settings import TwosomeSettings
from agentlab_runner.agents.twosome.states import Episode, episode
from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.types import Decision, Observation, Trajectory

if TYPE_CHECKING:
    from agentlab_runner.agents.llm.policy import LanguagePolicy
    from agentlab_runner.runners.experiment import Trainer


class _TooFar(Exception):
    """The policy has moved beyond `target_kl`."""


class TwosomeAgent:
    """Chooses among the phrases of `observation["actions"]` and learns by semi-Markov PPO.

    Args:
        policy: a causal language model with adapters.
        settings: those of `TwosomeSettings`.

    Raises:
        UserError: if the model has no adapters, or `adapter` names a folder of others.
    """

    def __init__(self, policy: "LanguagePolicy", **settings: Any) -> None:
        self.settings = s = TwosomeSettings(**settings)
        if not policy.has_adapters:
            raise UserError(
                "actor and critic share a frozen model, so TWOSOME trains adapters; give the model model.lora settings"
            )
        self.policy = policy
        self.actor = PhraseActor(policy, s.algo, s.normalisation, s.cache_mb, s.micro_batch)
        self.critic = Critic(policy.model.config.get_text_config().hidden_size, s.critic_widths)
        if s.adapter is not None:
            load_adapters(policy.model, s.adapter)
            if (Path(s.adapter).expanduser() / FILE).is_file():
                self.critic.load(Path(s.adapter).expanduser())
        self.decisions = 0
        """Learnt from so far."""
        self.kl_stops = 0
        self._pace = 1.0
        """Share of the policy's scheduled rate that its steps have lately stood."""
        self._waiting: list[Episode] = []

    def setup(self, trainer: "Trainer") -> None:
        if trainer.processes > 1 or trainer.strategy == "fsdp":
            raise UserError("this agent learns in one process; use trainer=cpu or trainer=gpu")
        trainer.prepare(self.policy)
        trainer.prepare(self.critic)
        s = self.settings
        self._device = trainer.device
        self._policy_optimizer = torch.optim.AdamW(
            self.policy.trainable_parameters(), lr=s.policy_lr, eps=1e-5, weight_decay=0.0
        )
        self._value_optimizer = torch.optim.Adam(self.critic.parameters(), lr=s.value_lr, eps=1e-5)

    # -- acting -------------------------------------------------------------------------------------------------------

    def begin(self, episodes: Sequence[int]) -> None:
        """Nothing is remembered between steps."""

    def act(self, observations: Sequence[Observation], deterministic: bool) -> list[Decision]:
        return self.actor.decide(observations, deterministic)

    def end(self, trajectories: Sequence[Trajectory]) -> None:
        """Nothing is remembered between steps."""

    # -- learning -----------------------------------------------------------------------------------------------------

    def learn(self, trajectories: Sequence[Trajectory], trainer: "Trainer") -> dict[str, float]:
        """Wait for `batch_size` decisions of one policy, then update the critic and, after its warm-up, the actor.

        The actor sits out a batch in which nothing was rewarded or punished: its advantages, normalised, would be the
        critic's errors alone and lead away from what the model knows.
        """
        self._waiting += [episode(trajectory) for trajectory in usable(trajectories)]
        waiting = sum(map(len, self._waiting))
        if waiting < self.settings.batch_size:
            return {"rollout/waiting": float(waiting)}
        s = self.settings
        rewarded = any(any(e.rewards) for e in self._waiting)
        batch = make_batch(self._waiting, self.actor, self.critic, s.gamma, s.gae_lambda)
        self._waiting = []
        self._anneal()
        results = {
            "rollout/distinct_states": float(len({sample.question for sample in batch.samples})),
            "losses/explained_variance": explained_variance(batch.values, batch.returns),
            "losses/value_loss": self._fit_critic(batch, trainer),
        }
        if self.decisions >= s.critic_warmup and rewarded:
            results |= self._fit_actor(batch, trainer)
            self.actor.changed()
        self.decisions += len(batch.samples)
        return results | {"losses/kl_stops": float(self.kl_stops), "rollout/decisions": float(self.decisions)}

    def _anneal(self) -> None:
        """Both learning rates fall linearly to 0 at `total_decisions`; a warm-up of the critic comes before."""
        s = self.settings
        left = 1.0
        if s.total_decisions is not None:
            done = max(0, self.decisions - s.critic_warmup) / (s.total_decisions - s.critic_warmup)
            left = max(0.0, 1.0 - done)
        self._policy_optimizer.param_groups[0]["lr"] = left * self._pace * s.policy_lr
        self._value_optimizer.param_groups[0]["lr"] = left * s.value_lr

    def _fit_critic(self, batch: Batch, trainer: "Trainer") -> float:
        """The mean loss of the last epoch."""
        s, losses = self.settings, [0.0]
        for _ in range(s.value_epochs):
            losses = []
            for group in batch.groups(s.value_minibatch):
                units = torch.tensor([unit for i in group for unit in batch.samples[i].units], device=self._device)
                values, target = self.critic(batch.features[units]), batch.returns[units]
                clip = s.value_clip if s.value_clip is not None else float("inf")
                loss = s.vf_coef * value_loss(values, batch.values[units], target, clip).mean()
                trainer.step(self._value_optimizer, [loss], self.critic.parameters(), s.max_grad_norm)
                losses.append(float(loss.detach()))
        return sum(losses) / len(losses)

    def _fit_actor(self, batch: Batch, trainer: "Trainer") -> dict[str, float]:
        """Steps of `accumulation` minibatches each, until one has gone too far: that one is taken back (`backtrack`).

        Where the first one does, the rate is halved, and found again by a tenth a turn: what a step changes grows with
        the adapters, and Adam's steps grow when a quiet gradient wakes.
        """
        s, steps, stopped = self.settings, 0, False
        before: list[Tensor] = []
        sums: dict[str, float] = {}
        advantages = normalised(batch.advantages) if s.adv_norm == "batch" else batch.advantages
        parameters = self.policy.trainable_parameters()
        groups = (g for _ in range(s.policy_epochs) for g in batch.groups(s.policy_minibatch * s.accumulation))
        for group in groups:
            tally: dict[str, float] = {}
            losses = self._losses(batch, group, self._normalised(batch, group, advantages), tally)
            now = [p.detach().clone() for p in parameters]
            try:
                tally["grad_norm"] = trainer.step(self._policy_optimizer, losses, parameters, s.max_grad_norm)
                steps, before = steps + 1, now
            except _TooFar:
                self._policy_optimizer.zero_grad()
                self.kl_stops += 1
                stopped = True
            sums |= {name: sums.get(name, 0.0) + value for name, value in tally.items()}
            if stopped:
                break
        if s.backtrack:
            self._pace = self._pace / 2 if stopped and steps == 1 else min(1.0, 1.1 * self._pace)
            if stopped:
                with torch.no_grad():
                    for p, value in zip(parameters, before, strict=False):  # none before the first step
                        p.copy_(value)
        seen = steps + stopped
        means = {f"losses/{name}": value / (steps if name == "grad_norm" else seen) for name, value in sums.items()}
        return means | {
            "losses/policy_update_times": float(steps),
            "losses/pace": self._pace,
            "losses/total_approx_kl": sums["approx_kl"],
        }

    def _normalised(self, batch: Batch, group: Sequence[int], advantages: Tensor) -> Tensor:
        """[U], whose elements of this group's samples are normalised as `adv_norm` says."""
        s = self.settings
        if s.adv_norm == "batch":
            return advantages
        size = s.policy_minibatch if s.adv_norm == "minibatch" else len(group)
        ready = advantages.clone()
        for start in range(0, len(group), size):
            units = [unit for i in group[start : start + size] for unit in batch.samples[i].units]
            ready[units] = normalised(advantages[units])
        return ready

    def _losses(
        self, batch: Batch, group: Sequence[int], advantages: Tensor, tally: dict[str, float]
    ) -> Iterator[Tensor]:
        """Shares of one step's loss; each distinct state is computed once, for all samples of the group in it.

        Raises:
            _TooFar: after the last share, if the mean approximate KL is above the target.
        """
        s = self.settings
        states: dict[Question, list[int]] = {}
        for i in group:
            states.setdefault(batch.samples[i].question, []).append(i)
        count = sum(len(batch.samples[i].units) for i in group)
        tally |= {"policy_loss": 0.0, "entropy": 0.0, "approx_kl": 0.0, "clipfrac": 0.0}
        questions = list(states)
        for start in range(0, len(questions), s.micro_batch):
            part = questions[start : start + s.micro_batch]
            loss = torch.zeros((), device=self._device)
            for question, policy in zip(part, self.actor.state_policies(part), strict=True):
                chosen = [batch.samples[i] for i in states[question]]
                rows, indices = map(list, zip(*(own for sample in chosen for own in sample.parts), strict=True))
                units = [unit for sample in chosen for unit in sample.units]
                new, old = policy.logprobs[indices], batch.logprobs[units]
                surrogate = policy_loss(new, old, advantages[units], s.clip_coef).sum() / count
                entropy = policy.entropies[rows].sum() / count
                loss = loss + surrogate - s.ent_coef * entropy
                moved = new.detach()
                tally["policy_loss"] += float(surrogate.detach())
                tally["entropy"] += float(entropy.detach())
                tally["approx_kl"] += float(approx_kl(moved, old).sum()) / count
                tally["clipfrac"] += float(((moved - old).exp() - 1).abs().gt(s.clip_coef).sum()) / count
            yield loss
        if s.target_kl is not None and tally["approx_kl"] > s.target_kl:
            raise _TooFar

    # -- keeping ------------------------------------------------------------------------------------------------------

    def save(self, folder: str | Path) -> None:
        """Write the adapters as a standard PEFT folder and the critic beside them."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        self.policy.save_pretrained(folder)
        self.critic.save(Path(folder))

    def state_dict(self) -> dict[str, Any]:
        """Everything but the frozen model."""
        return {
            "decisions": self.decisions,
            "kl_stops": self.kl_stops,
            "pace": self._pace,
            "adapters": {name: p.detach().clone() for name, p in self.policy.named_parameters() if p.requires_grad},
            "critic": self.critic.state_dict(),
            "policy_optimizer": self._policy_optimizer.state_dict(),
            "value_optimizer": self._value_optimizer.state_dict(),
            "waiting": [
                {
                    "questions": [(question.prompt, question.candidates) for question in e.questions],
                    "choices": e.choices,
                    "rewards": e.rewards,
                    "durations": e.durations,
                }
                for e in self._waiting
            ],
        }

    def load_weights(self, state: Mapping[str, Any]) -> None:
        """Adapters and critic of another run."""
        own = {name: p for name, p in self.policy.named_parameters() if p.requires_grad}
        if odd := own.keys() ^ state["adapters"].keys():
            raise ValueError(f"only one of the two has the adapter {min(odd)}")
        with torch.no_grad():
            for name, value in state["adapters"].items():
                if value.shape != own[name].shape:
                    raise ValueError(f"{name} is {tuple(value.shape)} there and {tuple(own[name].shape)} here")
                own[name].copy_(value)
        self.actor.changed()
        self.critic.load_state_dict(state["critic"])

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.load_weights(state)
        self._policy_optimizer.load_state_dict(state["policy_optimizer"])
        self._value_optimizer.load_state_dict(state["value_optimizer"])
        self.decisions, self.kl_stops, self._pace = state["decisions"], state["kl_stops"], state["pace"]
        self._waiting = [
            Episode(
                tuple(Question(prompt, tuple(candidates)) for prompt, candidates in e["questions"]),
                tuple(e["choices"]),
                tuple(e["rewards"]),
                tuple(e["durations"]),
            )
            for e in state["waiting"]
        ]

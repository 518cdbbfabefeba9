"""DigiRL (arXiv 2406.11896) and, with an entropy bonus weighted by causal influence, CoSo (arXiv 2505.03792)."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from agentlab_runner.agents.coso.actor import Sample, Tally, draw_batches, update_actor
from agentlab_runner.agents.coso.advantage import (
    doubly_robust_advantage,
    hard_indicator,
    instruction_filter,
    released_advantage,
)
from agentlab_runner.agents.coso.causal import CausalWeights, Ids
from agentlab_runner.agents.coso.clock import Clock
from agentlab_runner.agents.coso.critics import InstructionCritic, StepCritic
from agentlab_runner.agents.coso.heatmap import heatmap, weight_histogram
from agentlab_runner.agents.coso.settings import CosoSettings
from agentlab_runner.agents.coso.steps import StepTable, step_table
from agentlab_runner.agents.llm.imitation import fit_episodes
from agentlab_runner.agents.rl.replay import TrajectoryReplay
from agentlab_runner.agents.rl.streams import generator_state, next_seed, restore_generator
from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.processes.rng import forked
from agentlab_runner.runners.types import Decision, Histogram, Observation, Picture, Step, Trajectory

if TYPE_CHECKING:
    from agentlab_runner.agents.llm.policy import LanguagePolicy
    from agentlab_runner.runners.experiment import Parser, Report, Trainer

Results = dict[str, float | Histogram | Picture]


class CosoAgent:
    """A language policy tuned by DigiRL or filtered behaviour cloning, with no, uniform or causal entropy.

    Args:
        policy: says the actions.
        parser: turns what was said into an action: `labels`, `parse`, `label`, `same`.
        settings: those of `CosoSettings`.
    """

    def __init__(self, policy: "LanguagePolicy", parser: "Parser", **settings: Any) -> None:
        self.settings = CosoSettings(**settings)
        self.policy = policy
        self.parser = parser
        self.causal = CausalWeights(policy, parser, self.settings)
        capacity = self.settings.replay_capacity
        self.replay, self.validation = TrajectoryReplay(capacity), TrajectoryReplay(max(1, capacity // 4))
        self.step_critic: StepCritic | None = None
        self.instruction_critic: InstructionCritic | None = None
        self._sizes = (0, 0)
        """Of what the critics read: text and image."""
        self.iteration = 0
        self._tables: dict[int, StepTable] = {}
        self._frozen = False
        self._rng = np.random.default_rng([self.settings.seed, 0])

    def setup(self, trainer: "Trainer") -> None:
        trainer.prepare(self.policy)
        self._trainer = trainer
        self._optimizer = torch.optim.Adam(self.policy.trainable_parameters(), lr=self.settings.lr)

    # -- acting -------------------------------------------------------------------------------------------------------

    def begin(self, episodes: Sequence[int]) -> None:
        """Nothing is remembered between steps."""

    def act(self, observations: Sequence[Observation], deterministic: bool) -> list[Decision]:
        said = self.policy.generate(observations, deterministic=deterministic)
        return [Decision(u.text, {"token_ids": u.token_ids, "logprobs": u.logprobs}) for u in said]

    def end(self, trajectories: Sequence[Trajectory]) -> None:
        """Nothing is remembered between steps."""

    # -- learning -----------------------------------------------------------------------------------------------------

    def imitate(self, demonstrations: Sequence[Trajectory], trainer: "Trainer", report: "Report") -> dict[str, float]:
        """Supervised warm start; afterwards the critics' features are taken from the policy as it then is."""
        options = self.settings.imitation.model_dump()
        metrics = fit_episodes(self.policy, demonstrations, trainer, report, **options)
        self._freeze()
        return metrics

    def learn_offline(self, trajectories: Sequence[Trajectory], trainer: "Trainer", report: "Report") -> Results:
        """DigiRL's first phase: critics and actor on fixed episodes, ranked by their reward, without entropy."""
        self._remember(_usable(trajectories))
        if not self.replay.episodes:
            raise UserError(
                "the offline phase got no episode to learn from; give a trajectory file or episodes to play"
            )
        rounds, s = self.settings.offline, self.settings
        results: Results = {}
        if s.algorithm == "digirl":
            results |= self._fit_instruction_critic(rounds.instruction_critic_rounds * s.instruction_critic_steps)
            results |= self._fit_step_critic(rounds.critic_rounds * s.critic_steps)
        kept = self._filter(by_instruction=False)
        for done in range(rounds.actor_rounds):
            results |= self._fit_actor(kept, online=False)
            report(done + 1, rounds.actor_rounds)
        return results

    def learn(self, trajectories: Sequence[Trajectory], trainer: "Trainer") -> Results:
        """One iteration: remember, update the SCM, the instruction critic, the filter, the step critic, the actor."""
        s = self.settings
        usable = _usable(trajectories)
        clock = Clock()
        with clock("features"):
            self._remember(usable)
        self.iteration += 1
        results: Results = {"rollout/lost": float(len(trajectories) - len(usable)), **self._speech(usable)}
        if not self.replay.episodes or self.iteration <= s.warmup_iterations:
            return results
        if s.entropy != "none":
            with clock("causal"):
                results |= self.causal.update(_said(self.replay), _said(self.validation), trainer)
        if s.algorithm == "digirl":
            with clock("critics"):
                results |= self._fit_instruction_critic(s.instruction_critic_steps)
        kept = self._filter(by_instruction=s.algorithm == "digirl")
        results["filter/kept"] = sum(kept) / len(kept)
        if s.algorithm == "digirl":
            with clock("critics"):
                results |= self._fit_step_critic(s.critic_steps)
        results |= self._fit_actor(kept, online=True, clock=clock)
        return results | {f"time/{name}": seconds for name, seconds in clock.seconds.items()}

    def _remember(self, trajectories: Sequence[Trajectory]) -> None:
        """Split at random into training and validation episodes; features are computed once, here."""
        if trajectories and not self._frozen:
            self._freeze()
        order = self._rng.permutation(len(trajectories))
        held_out = set(order[: int(self.settings.validation_fraction * len(trajectories))].tolist())
        for number, trajectory in enumerate(trajectories):
            seen = [*(step.observation for step in trajectory.steps), trajectory.final_observation]
            # One by one: a row's last bits depend on its batch, and a resumed run has other batches.
            features = [self.policy.features([observation]) for observation in seen]
            text, image = (torch.cat(parts).cpu() for parts in zip(*features, strict=True))
            target = self.validation if number in held_out else self.replay
            target.add(self._slim(trajectory), text=text, image=image)
        self._tables.clear()

    def _slim(self, trajectory: Trajectory) -> Trajectory:
        """Every decision with its token ids and nothing else; an imported text is encoded."""
        steps = tuple(
            Step(s.observation, Decision(s.decision.action, {"token_ids": self._ids(s.decision)}), s.reward)
            for s in trajectory.steps
        )
        return Trajectory(
            steps,
            trajectory.final_observation,
            trajectory.stop,
            trajectory.success,
            trajectory.seed,
            trajectory.task,
            trajectory.goal,
        )

    def _ids(self, decision: Decision) -> Ids:
        return tuple(decision.extras.get("token_ids") or self.policy.encode(decision.action))

    def _speech(self, trajectories: Sequence[Trajectory]) -> Results:
        said = [self._ids(step.decision) for trajectory in trajectories for step in trajectory.steps]
        if not said:
            return {}
        failed = sum(self.causal.label(ids) is None for ids in said)
        return {
            "rollout/parse_fail_rate": failed / len(said),
            "rollout/distinct_utterances": len(set(said)) / len(said),
        }

    def _freeze(self) -> None:
        self.policy.freeze_features()
        self._frozen = True

    # -- critics ------------------------------------------------------------------------------------------------------

    def _table(self, replay: TrajectoryReplay) -> StepTable:
        if id(replay) not in self._tables:
            self._tables[id(replay)] = step_table(replay, self.settings.gamma, self._trainer.device)
        return self._tables[id(replay)]

    def _critics(self, text: int, image: int) -> tuple[StepCritic, InstructionCritic]:
        if self.step_critic is None or self.instruction_critic is None:
            s = self.settings
            with forked(next_seed(self._rng)):
                self.step_critic = StepCritic(text, image, s.critic_width)
                self.instruction_critic = InstructionCritic(text, s.critic_width)
            self._sizes = text, image
            self._critic_optimizers = []
            for critic in (self.step_critic, self.instruction_critic):
                self._trainer.prepare(critic)
                self._critic_optimizers.append(torch.optim.Adam(critic.parameters(), lr=s.critic_lr))
        return self.step_critic, self.instruction_critic

    def _fit_instruction_critic(self, steps: int) -> Results:
        table = self._table(self.replay)
        _, critic = self._critics(*table.sizes)
        results: Results = {}
        for rows in self._minibatches(len(table.instruction), steps):
            loss, right = critic.loss(table.instruction[rows], table.final_return[rows])
            self._step_critic_optimizer(1, critic, loss)
            results = {"critic/instruction_loss": float(loss.detach()), "critic/instruction_acc": float(right)}
        if self.validation.episodes:
            held_out = self._table(self.validation)
            with torch.no_grad():
                _, right = critic.loss(held_out.instruction, held_out.final_return)
            results["critic/instruction_val_acc"] = float(right)
        return results

    def _fit_step_critic(self, steps: int) -> Results:
        table = self._table(self.replay)
        critic, _ = self._critics(*table.sizes)
        results: Results = {}
        for rows in self._minibatches(len(table.states), steps):
            loss, right = critic.loss(table.states[rows], table.next_states[rows], table.mc_return[rows])
            self._step_critic_optimizer(0, critic, loss)
            results = {"critic/step_loss": float(loss.detach()), "critic/step_acc": float(right)}
        if self.validation.episodes:
            held_out = self._table(self.validation)
            with torch.no_grad():
                _, right = critic.loss(held_out.states, held_out.next_states, held_out.mc_return)
            results["critic/step_val_acc"] = float(right)
        return results

    def _minibatches(self, size: int, steps: int) -> Iterator[Tensor]:
        for _ in range(steps):
            drawn = self._rng.integers(size, size=self.settings.critic_batch_size)
            yield torch.from_numpy(drawn).to(self._trainer.device)

    def _step_critic_optimizer(self, which: int, critic: torch.nn.Module, loss: Tensor) -> None:
        optimizer = self._critic_optimizers[which]
        self._trainer.step(optimizer, [loss], critic.parameters(), self.settings.critic_max_grad_norm)

    # -- actor --------------------------------------------------------------------------------------------------------

    def _filter(self, by_instruction: bool) -> list[bool]:
        """Which of the replay's episodes the actor sees."""
        rewards = np.array([trajectory.total_reward for trajectory, _ in self.replay.episodes])
        values = None
        if by_instruction:
            table = self._table(self.replay)
            values = self._critics(*table.sizes)[1].value(table.instruction).double().cpu().numpy()
        return [bool(keep) for keep in instruction_filter(rewards, values, self.settings.filter_quantile)]

    def _samples(self, kept: Sequence[bool]) -> list[Sample]:
        steps = [step for trajectory, _ in self.replay.episodes for step in trajectory.steps]
        table = self._table(self.replay)
        chosen = [kept[episode] for episode in table.episode.tolist()]
        positive = [True] * len(steps)
        if self.settings.algorithm == "digirl":
            positive = self._indicator(table).bool().tolist()
        return [
            Sample(step.observation, tuple(step.decision.extras["token_ids"]), good)
            for step, keep, good in zip(steps, chosen, positive, strict=True)
            if keep
        ]

    def _indicator(self, table: StepTable) -> Tensor:
        critic, s = self._critics(*table.sizes)[0], self.settings
        value, next_value = critic.value(table.states), critic.value(table.next_states)
        if s.advantage == "released":
            advantage = released_advantage(value, next_value, table.reward, table.mc_return, s.advantage_threshold)
            return hard_indicator(advantage)
        advantage = doubly_robust_advantage(
            value, next_value, table.reward, table.final_reward, table.remaining, s.advantage_lambda
        )
        return hard_indicator(advantage, s.advantage_threshold)

    def _fit_actor(self, kept: Sequence[bool], *, online: bool, clock: Clock | None = None) -> Results:
        s, clock = self.settings, clock or Clock()
        batches = draw_batches(self._samples(kept), s.actor_steps, s.batch_size, self._rng)
        causal = self.causal if online and s.entropy != "none" else None
        if causal is not None and causal.cacheable:
            with clock("causal"):
                causal.measured(sample.ids for batch in batches for sample in batch)
        with clock("actor"):
            tally = update_actor(self.policy, self._optimizer, batches, s, self._trainer, causal)
        return self._report(tally, len(batches))

    def _report(self, tally: Tally, steps: int) -> Results:
        results: Results = {
            "actor/loss": tally.loss / steps,
            "actor/positive_rate": tally.positives / tally.samples,
            "actor/entropy": tally.entropy / tally.samples,
            "actor/grad_norm": sum(tally.norms) / steps,
        }
        if tally.weights:
            every = torch.cat(list(tally.weights.values()))
            results |= {
                "actor/entropy_weighted": tally.weighted / tally.samples,
                "causal/mean_b": float(every.mean()),
                "causal/b": weight_histogram(tally.weights),
            }
            period = self.settings.heatmap_every
            if period and (self.iteration - 1) % period == 0:
                results["causal/heatmap"] = heatmap(tally.weights, self.policy.decode)
        return results

    # -- keeping ------------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        critics = None
        if self.step_critic is not None and self.instruction_critic is not None:
            critics = {
                "modules": [self.step_critic.state_dict(), self.instruction_critic.state_dict()],
                "optimizers": [optimizer.state_dict() for optimizer in self._critic_optimizers],
                "sizes": self._sizes,
            }
        return {
            "iteration": self.iteration,
            "frozen": self._frozen,
            "rng": generator_state(self._rng),
            "policy": self.policy.state_dict(),
            "optimizer": self._optimizer.state_dict() if self._optimizer.state else None,
            "critics": critics,
            "causal": self.causal.state_dict(),
            "replay": self.replay.state_dict(),
            "validation": self.validation.state_dict(),
        }

    def load_weights(self, state: Mapping[str, Any]) -> None:
        """Policy and critics of another run; the SCM, whose classes are those of the parser here, is trained anew."""
        self.policy.load_state_dict(state["policy"])
        self._frozen = state["frozen"]
        if state["critics"] is not None:
            critics = self._critics(*state["critics"]["sizes"])
            for critic, saved in zip(critics, state["critics"]["modules"], strict=True):
                critic.load_state_dict(saved)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.policy.load_state_dict(state["policy"])
        if state["optimizer"] is not None:
            self._optimizer.load_state_dict(state["optimizer"])
        if state["critics"] is not None:
            critics = self._critics(*state["critics"]["sizes"])
            for critic, saved in zip(critics, state["critics"]["modules"], strict=True):
                critic.load_state_dict(saved)
            for optimizer, saved in zip(self._critic_optimizers, state["critics"]["optimizers"], strict=True):
                optimizer.load_state_dict(saved)
        self.causal.load_state_dict(state["causal"], self._trainer)
        self.replay.load_state_dict(state["replay"])
        self.validation.load_state_dict(state["validation"])
        self._tables.clear()
        self.iteration, self._frozen = state["iteration"], state["frozen"]
        restore_generator(self._rng, state["rng"])


def _usable(trajectories: Sequence[Trajectory]) -> list[Trajectory]:
    """Episodes that say something of the policy: not those that the device, the judge or a person ended."""
    return [trajectory for trajectory in trajectories if trajectory.steps and trajectory.stop.counts]


def _said(replay: TrajectoryReplay) -> list[Ids]:
    return [tuple(step.decision.extras["token_ids"]) for trajectory, _ in replay.episodes for step in trajectory.steps]

"""PPO on whole utterances (RL4VLM, arXiv 2405.10292) and, with an entropy weighted by causal influence, CoSo on PPO."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from agentlab_runner.agents.coso.causal import CausalWeights, Ids
from agentlab_runner.agents.coso.clock import Clock
from agentlab_runner.agents.coso.heatmap import heatmap, weight_histogram
from agentlab_runner.agents.coso.ppo_update import Rollout, Said, Tally, update_policy
from agentlab_runner.agents.coso.settings import PpoSettings
from agentlab_runner.agents.llm.imitation import fit_episodes
from agentlab_runner.agents.llm.marker import action_starts, token_weights, well_formed
from agentlab_runner.agents.rl.groups import gigpo, grpo
from agentlab_runner.agents.rl.ppo import ValueHead, explained_variance, gae, normalised
from agentlab_runner.agents.rl.streams import generator_state, restore_generator
from agentlab_runner.runners.frames import name_of
from agentlab_runner.runners.processes.rng import forked
from agentlab_runner.runners.types import Decision, Histogram, Observation, Picture, Step, StopReason, Trajectory

if TYPE_CHECKING:
    from agentlab_runner.agents.llm.policy import LanguagePolicy
    from agentlab_runner.runners.experiment import Parser, Report, Trainer

Results = dict[str, float | Histogram | Picture]
HELD_OUT = 5
"""Every fifth utterance is kept from the SCM's training, to measure its accuracy on."""


class UtterancePpoAgent:
    """A language policy tuned by PPO, or its surrogate on GRPO's or GiGPO's advantages, with the entropy of choice.

    One environment step is one utterance, and its probability is that of all its tokens, thoughts discounted.

    Args:
        policy: says the actions.
        parser: turns what was said into an action: `labels`, `parse`, `label`, `same`.
        settings: those of `PpoSettings`.
    """

    def __init__(self, policy: "LanguagePolicy", parser: "Parser", **settings: Any) -> None:
        self.settings = PpoSettings(**settings)
        self.policy = policy
        self.causal = CausalWeights(policy, parser, self.settings)
        self.head: ValueHead | None = None
        self.iteration = 0
        self._rng = np.random.default_rng([self.settings.seed, 0])

    def setup(self, trainer: "Trainer") -> None:
        s = self.settings
        self._trainer = trainer
        trainer.prepare(self.policy)
        groups: list[dict[str, Any]] = [{"params": self.policy.trainable_parameters(), "lr": s.lr}]
        if s.advantage == "gae":
            with forked(s.seed):
                self.head = ValueHead(self.policy.hidden_size, s.value_widths)
            trainer.prepare(self.head)
            groups.append({"params": list(self.head.parameters()), "lr": s.value_lr or s.lr})
        self._optimizer = torch.optim.Adam(groups, eps=s.adam_eps)

    # -- acting -------------------------------------------------------------------------------------------------------

    def begin(self, episodes: Sequence[int]) -> None:
        """Nothing is remembered between steps."""

    @torch.no_grad()
    def act(self, observations: Sequence[Observation], deterministic: bool) -> list[Decision]:
        said = self.policy.generate(observations, deterministic=deterministic)
        values = self._values(torch.stack([utterance.state for utterance in said]))
        return [
            Decision(u.text, {"token_ids": u.token_ids, "logprobs": u.logprobs, "value": value})
            for u, value in zip(said, values, strict=True)
        ]

    def end(self, trajectories: Sequence[Trajectory]) -> None:
        """Nothing is remembered between steps."""

    # -- learning -----------------------------------------------------------------------------------------------------

    def imitate(self, demonstrations: Sequence[Trajectory], trainer: "Trainer", report: "Report") -> dict[str, float]:
        """Supervised warm start of the policy; the critic knows nothing yet."""
        return fit_episodes(self.policy, demonstrations, trainer, report, **self.settings.imitation.model_dump())

    def learn(self, trajectories: Sequence[Trajectory], trainer: "Trainer") -> Results:
        """One iteration: advantages, the SCM, then epochs of the clipped losses with the entropy bonus."""
        s, clock = self.settings, Clock()
        usable = [t for t in trajectories if t.steps and t.stop.counts]
        self.iteration += 1
        results: Results = {"rollout/lost": float(len(trajectories) - len(usable))}
        steps = [step for trajectory in usable for step in trajectory.steps]
        if not steps:
            return results
        said = [_ids(step) for step in steps]
        results |= self._speech(said)
        with clock("advantages"):
            states = [[name_of(step.observation) for step in trajectory.steps] for trajectory in usable]
            advantages, old_values = self._advantages(usable, states)
            rollout = self._rollout(steps, [key for own in states for key in own], advantages, old_values)
        if s.entropy != "none":
            with clock("causal"):
                kept, held_out = [ids for i, ids in enumerate(said) if i % HELD_OUT], said[::HELD_OUT]
                results |= self.causal.update(kept, held_out, trainer)
                if self.causal.cacheable:
                    self.causal.measured(said)
        for group, rate in zip(self._optimizer.param_groups, (s.lr, s.value_lr or s.lr), strict=False):
            group["lr"] = rate * self._decay()
        with clock("update"):
            causal = self.causal if s.entropy != "none" else None
            tally = update_policy(self.policy, self.head, self._optimizer, rollout, s, trainer, causal, self._rng)
        results |= self._report(tally, len(rollout.row))
        if self.head is not None:
            results["ppo/explained_variance"] = explained_variance(rollout.old_value, rollout.target)
            results["ppo/value"] = float(rollout.old_value.mean())
        return results | {f"time/{name}": seconds for name, seconds in clock.seconds.items()}

    def _advantages(self, trajectories: Sequence[Trajectory], states: Sequence[Sequence[str]]) -> tuple[Tensor, Tensor]:
        """Raw advantages and V at the time of acting, [N] each, over all steps."""
        s = self.settings
        rewards = [[step.reward for step in trajectory.steps] for trajectory in trajectories]
        values = [[float(step.decision.extras["value"]) for step in trajectory.steps] for trajectory in trajectories]
        old_values = torch.tensor([value for own in values for value in own])
        groups = [trajectory.seed for trajectory in trajectories]
        if s.advantage == "gae":
            ahead = self._expected_beyond(trajectories)
            episodes = zip(rewards, values, ahead, strict=True)
            found = [gae(own, expected, s.gamma, s.gae_lambda, beyond) for own, expected, beyond in episodes]
        elif s.advantage == "grpo":
            found = grpo(rewards, groups, s.divide_by_std)
        else:
            found = gigpo(rewards, groups, states, s.gamma, s.step_coef, s.divide_by_std)
        return torch.cat(found), old_values

    @torch.no_grad()
    def _expected_beyond(self, trajectories: Sequence[Trajectory]) -> list[float]:
        """V of each episode's final observation where the step limit cut it and `truncation` asks for it, else 0."""
        ahead = [0.0] * len(trajectories)
        cut = [i for i, t in enumerate(trajectories) if t.stop in (StopReason.HORIZON, StopReason.TIMEOUT)]
        if self.settings.truncation == "bootstrap":
            end = [self.policy.encode("")] * self.settings.micro_batch
            for start in range(0, len(cut), self.settings.micro_batch):
                part = cut[start : start + self.settings.micro_batch]
                seen = self.policy([trajectories[i].final_observation for i in part], end[: len(part)])
                for i, value in zip(part, self._values(seen.states), strict=True):
                    ahead[i] = value
        return ahead

    def _values(self, states: Tensor) -> list[float]:
        return [0.0] * len(states) if self.head is None else list(self.head(states).tolist())

    def _rollout(
        self, steps: Sequence[Step], states: Sequence[str], advantages: Tensor, old_values: Tensor
    ) -> Rollout:
        s = self.settings
        index: dict[tuple[str, Ids], int] = {}
        distinct: list[Said] = []
        weights: dict[Ids, Tensor] = {}
        rows, old = [], []
        for step, state in zip(steps, states, strict=True):
            ids = _ids(step)
            if ids not in weights:
                weights[ids] = token_weights(ids, self.policy.decode, s.thought_coef, s.log_prob)
            if (state, ids) not in index:
                index[state, ids] = len(distinct)
                length = len(self.policy.prompts.ids(step.observation)) + len(ids)
                distinct.append(Said(step.observation, ids, weights[ids], length))
            rows.append(index[state, ids])
            old.append(float((weights[ids] * torch.tensor(step.decision.extras["logprobs"])).sum()))
        return Rollout(
            distinct,
            torch.tensor(rows),
            torch.tensor(old),
            normalised(advantages) if s.advantage == "gae" else advantages,
            old_values,
            advantages + old_values,
        )

    def _decay(self) -> float:
        """What the learning rates are multiplied by: 1, or along a cosine to `lr_end / lr` and there on."""
        s = self.settings
        if s.lr_end is None:
            return 1.0
        share = min((self.iteration - 1) / s.lr_decay_iterations, 1.0)
        least = s.lr_end / s.lr
        return least + (1.0 - least) * 0.5 * (1.0 + math.cos(math.pi * share))

    # -- reporting ----------------------------------------------------------------------------------------------------

    def _speech(self, said: Sequence[Ids]) -> Results:
        """What was said: how much of it parses, is well formed, and differs."""
        texts = {ids: self.policy.decode(ids) for ids in dict.fromkeys(said)}
        formed = {ids: well_formed(text) for ids, text in texts.items()}
        thoughts = [self._thoughts(ids, text) for ids, text in texts.items()]
        return {
            "rollout/parse_fail_rate": sum(self.causal.label(ids) is None for ids in said) / len(said),
            "rollout/format_valid": sum(formed[ids] for ids in said) / len(said),
            "rollout/distinct_utterances": len(texts) / len(said),
            "rollout/distinct_thoughts": len(set(thoughts)) / len(said),
            "rollout/tokens": sum(map(len, said)) / len(said),
            "rollout/steps": float(len(said)),
        }

    def _thoughts(self, ids: Ids, text: str) -> str:
        """What stands before the action."""
        starts = action_starts(ids, self.policy.decode)
        return self.policy.decode(ids[: starts[-1]]) if starts else text

    def _report(self, tally: Tally, steps: int) -> Results:
        results: Results = {f"ppo/{name}": value for name, value in tally.means().items()}
        results |= {
            "ppo/grad_norm": sum(tally.norms) / len(tally.norms),
            "ppo/lr": self._optimizer.param_groups[0]["lr"],
            "ppo/skipped": 1.0 - tally.samples / (steps * self.settings.epochs),
        }
        if tally.weights:
            every = torch.cat(list(tally.weights.values()))
            results |= {"causal/mean_b": float(every.mean()), "causal/b": weight_histogram(tally.weights)}
            period = self.settings.heatmap_every
            if period and (self.iteration - 1) % period == 0:
                results["causal/heatmap"] = heatmap(tally.weights, self.policy.decode)
        return results

    # -- keeping ------------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Before the first iteration without the value head, so that all critics share one warm start."""
        return {
            "iteration": self.iteration,
            "rng": generator_state(self._rng),
            "policy": self.policy.state_dict(),
            "optimizer": self._optimizer.state_dict() if self._optimizer.state else None,
            "head": self.head.state_dict() if self.head is not None and self.iteration else None,
            "causal": self.causal.state_dict(),
        }

    def load_weights(self, state: Mapping[str, Any]) -> None:
        """Policy and, where both have one, value head of another run; the SCM is trained anew, see CosoAgent."""
        self.policy.load_state_dict(state["policy"])
        if self.head is not None and state["head"] is not None:
            self.head.load_state_dict(state["head"])

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.policy.load_state_dict(state["policy"])
        if state["optimizer"] is not None:
            self._optimizer.load_state_dict(state["optimizer"])
        if self.head is not None and state["head"] is not None:
            self.head.load_state_dict(state["head"])
        self.causal.load_state_dict(state["causal"], self._trainer)
        self.iteration = state["iteration"]
        restore_generator(self._rng, state["rng"])


def _ids(step: Step) -> Ids:
    return tuple(step.decision.extras["token_ids"])

"""The published teacher: a bandit for each kind of student (Skilled Population Curriculum, arXiv 2302.03429)."""

import logging
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from agentlab_runner.agents.spc.contexts import Contexts
from agentlab_runner.agents.spc.exp3 import mixed, softmax, updated
from agentlab_runner.agents.spc.rewards import Paid
from agentlab_runner.agents.spc.settings import Exp3ContextSettings
from agentlab_runner.agents.spc.teacher import Heard, Represents, Teacher, Vector
from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.experiment import Learner
from agentlab_runner.runners.types import Metrics

log = logging.getLogger(__name__)


class Exp3Context(Paid, Teacher):
    """Exp3 for each cluster of the student's own representation of its policy.

    In the order of the released code: the reward goes to the bandit whose cluster was active, which draws its next
    arm; *then* the newest context is added and the active cluster found anew. Until `2 * num_contexts` contexts are
    there, every episode is of a task drawn uniformly, and the clusters are active in turn; with `credit_warm_up` their
    bandits already learn then, as released, although the arm they credit is not what was played.

    One context needs no clustering and no warm-up: that is `Exp3`, and asks nothing of the agent.
    """

    settings_class = Exp3ContextSettings
    settings: Exp3ContextSettings
    kept: ClassVar[tuple[str, ...]] = (*Paid.kept, "log_weights", "arms", "seen", "centres", "active")

    def begin(self) -> None:
        self.start_paying()
        own = self.settings
        self.log_weights = np.zeros((own.num_contexts, self.size))
        first = own.first_arm == "first"
        uniform = np.full(self.size, 1 / self.size)
        self.arms = [0 if first else self.drawn(uniform) for _ in range(own.num_contexts)]
        self.contexts = Contexts(own.num_contexts, own.threshold, own.branching_factor, own.stable_ids)
        self._take_over()

    @property
    def warming_up(self) -> bool:
        return self.settings.num_contexts > 1 and self.contexts.few

    def preference(self) -> Vector:
        if self.warming_up:
            return np.full(self.size, 1 / self.size)
        return softmax(self.log_weights[self.active])

    def pick(self, count: int) -> Sequence[int]:
        if self.warming_up:
            return [int(task) for task in self.rng.integers(self.size, size=count)]
        return super().pick(count)

    def choose(self) -> int:
        return self.arms[self.active]

    def hear(self, heard: Heard) -> None:
        if self.settings.credit_warm_up or not self.warming_up:
            self._credit(heard)
        if self.settings.num_contexts > 1:
            self._see(heard.agent)

    def _credit(self, heard: Heard) -> None:
        own, bandit = self.settings, self.active
        reward = self.reward(heard, self.arms[bandit])
        if reward is not None:
            weights = updated(self.log_weights[bandit], self.arms[bandit], reward, own.alpha, own.update_rule)
            self.log_weights[bandit] = weights
            self.arms[bandit] = self.drawn(mixed(weights, own.alpha))

    def _see(self, agent: Learner) -> None:
        if not isinstance(agent, Represents):
            raise UserError(
                f"{type(agent).__name__} does not sum up its policy (it has no context), which exp3_context clusters; "
                "choose curriculum=exp3, curriculum.num_contexts=1, or an agent that does (agent=team_ppo)"
            )
        context = np.asarray(_plain(agent.context(self.settings.context)), dtype=np.float64).ravel()
        if not np.isfinite(context).all():
            log.warning("the agent's context is not finite; the curriculum leaves it out")
            return
        if len(self.contexts.seen) and len(context) != self.contexts.seen.shape[1]:
            sizes = f"{self.contexts.seen.shape[1]} and {len(context)}"
            raise UserError(f"{type(agent).__name__}.context gave {sizes} numbers, but always gives as many")
        self.contexts.add(context)
        self._take_over()

    def _take_over(self) -> None:
        known = self.contexts
        self.seen, self.centres, self.active = known.seen, known.centres, known.active

    def restored(self) -> None:
        self.contexts.restore(self.seen, self.centres, self.active)

    def report(self) -> Metrics:
        own = self.settings
        chances = mixed(self.log_weights, own.alpha)
        by_cluster = {
            f"curriculum/context{number}_prob/{name}": float(chances[number, task])
            for number in range(own.num_contexts)
            for task, name in enumerate(self.names)
        }
        return {**super().report(), "curriculum/context": float(self.active), **by_cluster}


def _plain(context: Any) -> Any:
    """A tensor as an array; what is none already stays."""
    return context.detach().cpu().numpy() if hasattr(context, "detach") else context

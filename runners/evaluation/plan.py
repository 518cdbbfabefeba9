"""Which episodes an evaluation plays: tasks x seeds x repeats, each with a number that it keeps, and further trials."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

from omegaconf import DictConfig

from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.online.rollout import EVAL, episode_seeds
from agentlab_runner.runners.types import Start, StopReason

AGAIN = (StopReason.DEVICE_LOST, StopReason.ERROR)
"""How an episode ended that is played again when the run is resumed: something else than the agent failed."""

MOST = 10**6
"""Episodes of one evaluation, further trials left aside."""


@dataclass(frozen=True)
class Plan:
    """Repeats of one start are neighbours, then come the seeds of a task, then the next task."""

    tasks: Sequence[str]
    """Empty: what the environment plays of itself."""
    seeds: Sequence[int]
    repeats: int
    trials: int = 1
    """How often a start is tried at most, by an agent that learns from having failed; the first is what is compared."""

    @classmethod
    def of(cls, cfg: DictConfig, trials: int = 1) -> Self:
        """As the config node `eval` says; a count of seeds draws those of held-out episodes.

        Raises:
            UserError: if these are more than are kept in mind.
        """
        asked = cfg.get("seeds") or cfg.episodes
        many = (asked if isinstance(asked, int) else len(asked)) * cfg.get("repeats", 1) * len(cfg.get("tasks") or [""])
        if many > MOST:
            raise UserError(f"an evaluation of {many:,} episodes was asked for; {MOST:,} are the most, ask for fewer")
        seeds = episode_seeds(cfg.seed, EVAL, count=asked) if isinstance(asked, int) else [int(seed) for seed in asked]
        return cls(list(cfg.get("tasks") or []), seeds, cfg.get("repeats", 1), trials)

    @property
    def by_task(self) -> list[Start]:
        """The first start of each task that is asked for by name."""
        return self.starts[:: len(self.seeds) * self.repeats] if self.tasks else []

    @cached_property
    def starts(self) -> list[Start]:
        """By number; an environment that goes through a list of tasks begins it anew for every task of ours."""
        asked: list[dict[str, str]] = [{"task": task} for task in self.tasks] or [{}]
        begins = [(seed, {"episode": place, **task}) for task in asked for place, seed in enumerate(self.seeds)]
        return [
            Start(group * self.repeats + repeat, seed, options)
            for group, (seed, options) in enumerate(begins)
            for repeat in range(self.repeats)
        ]

    def shown(self, many: int) -> frozenset[int]:
        """The numbers of so many episodes to record: first one of each task, then the second of each, and so on."""
        each = len(self.starts) // (len(self.tasks) or 1)
        numbers = range(self.trials * len(self.starts))
        return frozenset(sorted(numbers, key=lambda n: (n // len(self.starts), n % each, n))[:many])

    def of_trial(self, trial: int, done: Mapping[int, Mapping[str, Any]]) -> list[Start]:
        """The starts of a trial (0: the first), as far as is known; of a further one those that failed before.

        Args:
            done: lines of episodes that are over, by number.
        """
        shift = trial * len(self.starts)
        starts = [Start(start.number + shift, start.seed, start.options) for start in self.starts]
        if trial == 0:
            return starts
        before = {start.number: done.get(start.number - len(self.starts)) for start in starts}
        return [start for start in starts if _has_failed(before[start.number])]

    def missing(self, trial: int, done: Mapping[int, Mapping[str, Any]]) -> list[Start]:
        """Those to play: not over, or ended by the fault of something else than the agent."""
        starts = self.of_trial(trial, done)
        return [one for one in starts if one.number not in done or done[one.number]["stop"] in AGAIN]


def _has_failed(line: Mapping[str, Any] | None) -> bool:
    return line is not None and not line["success"] and StopReason(line["stop"]).counts

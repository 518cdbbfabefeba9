"""Which episodes an evaluation plays: tasks x seeds x repeats, each with a number that it keeps."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

from omegaconf import DictConfig

from agentlab_runner.runners.online.rollout import EVAL, Start, episode_seeds


@dataclass(frozen=True)
class Plan:
    """Repeats of one start are neighbours, then come the seeds of a task, then the next task."""

    tasks: Sequence[str]
    """Empty: what the environment plays of itself."""
    seeds: Sequence[int]
    repeats: int

    @classmethod
    def of(cls, cfg: DictConfig) -> Self:
        """As the config node `eval` says; a count of seeds draws those of held-out episodes."""
        asked = cfg.get("seeds") or cfg.episodes
        seeds = episode_seeds(cfg.seed, EVAL, count=asked) if isinstance(asked, int) else [int(seed) for seed in asked]
        return cls(list(cfg.get("tasks") or []), seeds, cfg.get("repeats", 1))

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

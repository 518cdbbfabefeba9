"""Teachers that do not listen: uniform choice, a plan, and stages in which the team doubles."""

from collections.abc import Mapping

import numpy as np

from agentlab_runner.agents.spc.settings import EpcSettings, ScheduleSettings, StagedSettings, UniformSettings
from agentlab_runner.agents.spc.teacher import Teacher, Vector
from agentlab_runner.runners.errors import UserError


class Uniform(Teacher):
    """Every task as often as every other."""

    settings_class = UniformSettings


class Staged(Teacher):
    """Stages over a course of known length, each with shares of its own."""

    settings: StagedSettings

    def begin(self) -> None:
        self.stages = [(until, self._shares(shares)) for until, shares in self.plan()]

    def plan(self) -> list[tuple[float, Mapping[str, float]]]:
        """Where each stage ends, as a share of the course, and how often it plays which task."""
        raise NotImplementedError

    @property
    def progress(self) -> float:
        """0 at the start, 1 at the end of the course."""
        counted = {"iterations": self.iterations, "env_steps": self.env_steps, "agent_steps": self.agent_steps}
        return counted[self.settings.unit] / self.settings.total

    def preference(self) -> Vector:
        return next((shares for until, shares in self.stages if self.progress < until), self.stages[-1][1])

    def _shares(self, shares: Mapping[str, float]) -> Vector:
        if unknown := sorted(shares.keys() - set(self.names)):
            raise UserError(f"curriculum.plan plays {unknown[0]!r}, but the tasks are {', '.join(self.names)}")
        weights: Vector = np.array([shares.get(name, 0.0) for name in self.names])
        weights /= weights.sum()
        return weights


class Schedule(Staged):
    """A plan made by hand; without one the tasks one after the other."""

    settings_class = ScheduleSettings
    settings: ScheduleSettings

    def plan(self) -> list[tuple[float, Mapping[str, float]]]:
        if self.settings.plan is not None:
            return [(stage.until, stage.shares) for stage in self.settings.plan]
        return [((place + 1) / self.size, {name: 1.0}) for place, name in enumerate(self.names)]


class Epc(Staged):
    """The stages of Evolutionary Population Curriculum (arXiv 2003.10423): n, 2n, 4n, ...

    A stage plays, uniformly, the tasks whose number is above half of its size and not above it, so that each task has
    one. The populations that EPC mixes and matches between stages are the learner's, and not here: one student goes on.
    """

    settings_class = EpcSettings
    settings: EpcSettings

    def plan(self) -> list[tuple[float, Mapping[str, float]]]:
        by = self.settings.by
        if lacking := [name for name, numbers in zip(self.names, self.numbers, strict=True) if numbers.get(by, 0) <= 0]:
            raise UserError(f"the task {lacking[0]!r} has no number {by!r} above 0 to double; give curriculum.by=NAME")
        sizes = [numbers[by] for numbers in self.numbers]
        stages: dict[int, dict[str, float]] = {}
        for name, size in zip(self.names, sizes, strict=True):
            stages.setdefault(int(np.ceil(np.log2(size / min(sizes)) - 1e-9)), {})[name] = 1.0
        return [((place + 1) / len(stages), stages[number]) for place, number in enumerate(sorted(stages))]

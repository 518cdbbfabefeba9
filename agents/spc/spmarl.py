"""A self-paced distribution over tasks that follows learning progress, after SPMARL (arXiv 2205.10016)."""

from typing import ClassVar

import numpy as np

from agentlab_runner.agents.spc.settings import SpmarlSettings
from agentlab_runner.agents.spc.teacher import Heard, Teacher, Vector
from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.types import Metrics

TARGET = 0.95
"""Share of the target in the distribution that is pulled towards; the rest is uniform, so that it has a divergence."""


class Spmarl(Teacher):
    """Self-paced learning whose value is the progress on each task instead of its return.

    After each choice the distribution moves to `max_p sum_k p_k LP_k - a KL(p || target)` subject to
    `KL(p || p_old) <= max_kl` (SPDL, arXiv 2004.11812, with SPMARL's measure). Over named tasks it is categorical, so
    the step is exact; SPMARL itself moves a Gaussian over the number of agents. `a` is
    `pull * sum_k p_k LP_k / KL(p || target)`, 0 for the first `pull_from` choices.

    LP is the smoothed mean absolute TD error of a task's episodes, where the agent says that (`td_error`); of one that
    cannot, the smoothed absolute change of the task's own score from one play to the next.
    """

    settings_class = SpmarlSettings
    settings: SpmarlSettings
    kept: ClassVar[tuple[str, ...]] = ("shares", "progress", "last", "choices")

    def begin(self) -> None:
        target = self.settings.target
        if target is not None and target not in self.names:
            raise UserError(f"curriculum.target is {target!r}, but the tasks are {', '.join(self.names)}")
        self.shares: Vector = np.full(self.size, 1 / self.size)
        self.progress: Vector = np.full(self.size, np.nan)
        self.last: Vector = np.full(self.size, np.nan)
        """Own mean scores at the newest plays."""
        self.choices = 0
        at = self.size - 1 if target is None else self.names.index(target)
        self._target: Vector = np.full(self.size, (1 - TARGET) / self.size)
        self._target[at] += TARGET

    def preference(self) -> Vector:
        return self.shares

    def hear(self, heard: Heard) -> None:
        self.choices += 1
        errors = heard.errors() or {}
        for task in sorted({one.task for one in heard.episodes}):
            self._note(heard, task, errors.get(self.names[task]))
        known = ~np.isnan(self.progress)
        if not known.any():
            return
        value: Vector = np.where(known, self.progress, self.progress[known].max())
        away = divergence(self.shares, self._target)
        pull = self.settings.pull * float(self.shares @ value) / max(away, 1e-6)
        pull = 0.0 if self.choices <= self.settings.pull_from else pull
        self.shares = moved(self.shares, value, self._target, pull, self.settings.max_kl)

    def _note(self, heard: Heard, task: int, error: float | None) -> None:
        found, score = error, heard.mean(task)
        if found is None and score is not None and not np.isnan(self.last[task]):
            found = abs(score - float(self.last[task]))
        if score is not None:
            self.last[task] = score
        if found is not None:
            keep = 0.0 if np.isnan(self.progress[task]) else self.settings.smoothing
            self.progress[task] = found if keep == 0 else keep * self.progress[task] + (1 - keep) * found

    def report(self) -> Metrics:
        known = zip(self.names, self.progress.tolist(), strict=True)
        return {f"curriculum/progress/{name}": value for name, value in known if np.isfinite(value)}


def divergence(first: Vector, second: Vector) -> float:
    """KL(first || second) in nats; `second` is nowhere 0."""
    inside = first > 0
    return max(0.0, float((first[inside] * np.log(first[inside] / second[inside])).sum()))


def moved(old: Vector, value: Vector, target: Vector, pull: float, max_kl: float) -> Vector:
    """[K] argmax_p `p.value - pull KL(p || target)` with `KL(p || old) <= max_kl`.

    With a multiplier eta of the bound it is `p ~ exp((value + pull log target + eta log old) / (pull + eta))`; the
    divergence from `old` falls with eta, which is found by bisection.

    Args:
        old, target: [K], positive, sum to 1.
    """

    def at(eta: float) -> Vector:
        logits = (value + pull * np.log(target) + eta * np.log(old)) / (pull + eta)
        weights: Vector = np.exp(np.maximum(logits - logits.max(), -30.0))  # no share falls to 0 for good
        weights /= weights.sum()
        return weights

    low, high = -12.0, 12.0
    if divergence(at(10**low), old) <= max_kl:
        return at(10**low)
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if divergence(at(10**middle), old) > max_kl else (low, middle)
    return at(10**high)

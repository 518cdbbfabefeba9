"""The mastery frontier: the easiest task that the student does not do well yet, and again one that it has forgotten."""

from typing import ClassVar

import numpy as np

from agentlab_runner.agents.spc.settings import MasterySettings
from agentlab_runner.agents.spc.teacher import Heard, Teacher, Vector
from agentlab_runner.runners.types import Metrics


class Mastery(Teacher):
    """Plays the easiest task that is not mastered; where all are, the last of the order.

    `absolute`: a task is mastered while its own smoothed score is at least `threshold`. A threshold that forgetting
    puts out of reach keeps the student at the first task for good. `relative` needs no such number: a task is mastered
    while it does not climb any more and is not lost. It climbs while the newer half of its last `window` scores is
    better than the older half by `slowing` of the most it ever was, and by `tolerance`; one that never did climb is
    given `patience` choices. It is lost while its smoothed score is below `keep` of the best seen on it.

    The order from easy to hard is that of the environment's tasks, or with `learnt` that of their smoothed scores,
    those never played first.
    """

    settings_class = MasterySettings
    settings: MasterySettings
    kept: ClassVar[tuple[str, ...]] = ("smooth", "best", "history", "fastest", "plays", "mastered")

    def begin(self) -> None:
        self.smooth, self.best = np.full(self.size, np.nan), np.full(self.size, np.nan)
        self.history: list[list[float]] = [[] for _ in self.names]
        """By task, the last `window` scores."""
        self.fastest = np.zeros(self.size)
        """The largest progress seen."""
        self.plays = [0] * self.size
        self.mastered = [False] * self.size

    def order(self) -> list[int]:
        """From easy to hard."""
        if self.settings.order == "given":
            return list(range(self.size))
        return [int(task) for task in np.argsort(-np.nan_to_num(self.smooth, nan=np.inf), kind="stable")]

    def preference(self) -> Vector:
        order, chosen = self.order(), np.zeros(self.size)
        chosen[next((task for task in order if not self.mastered[task]), order[-1])] = 1
        return chosen

    def hear(self, heard: Heard) -> None:
        for task in sorted({one.task for one in heard.episodes}):
            score = heard.mean(task)
            assert score is not None
            self._note(task, score)
            self.mastered[task] = self._masters(task)

    def _note(self, task: int, score: float) -> None:
        own = self.settings
        keep = 0.0 if np.isnan(self.smooth[task]) else own.smoothing
        self.smooth[task] = score if keep == 0 else keep * self.smooth[task] + (1 - keep) * score
        self.best[task] = np.fmax(self.best[task], self.smooth[task])
        self.plays[task] += 1
        history = self.history[task]
        history.append(score)
        del history[: -own.window]

    def _masters(self, task: int) -> bool:
        own, history = self.settings, self.history[task]
        if own.test == "absolute":
            return bool(self.smooth[task] >= own.threshold)
        if len(history) < own.window:
            return False
        half = own.window // 2
        progress = sum(history[half:]) / half - sum(history[:half]) / half
        self.fastest[task] = max(self.fastest[task], progress)
        climbs = progress >= max(own.slowing * self.fastest[task], own.tolerance)
        waits = self.fastest[task] < own.tolerance and self.plays[task] < own.patience
        return not climbs and not waits and bool(self.smooth[task] >= own.keep * self.best[task])

    def report(self) -> Metrics:
        known = zip(self.names, self.mastered, strict=True)
        return {f"curriculum/mastered/{name}": float(mastered) for name, mastered in known}

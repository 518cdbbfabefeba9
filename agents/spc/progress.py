"""Absolute learning progress on each task's own score, and mixtures of Gaussians over it (ALP-GMM)."""

import warnings
from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from agentlab_runner.agents.spc.settings import AlpGmmSettings
from agentlab_runner.agents.spc.teacher import Heard, Teacher, Vector
from agentlab_runner.runners.types import Metrics

DRAWS = 1000
"""Points by which a mixture is turned into shares of the tasks."""


def learning_progress(scores: Sequence[float], window: int) -> float | None:
    """`|mean of the newer half - mean of the older half|` of the last `window` scores; None while there are fewer.

    (Absolute learning progress on a discrete task; ALP-GMM, arXiv 1910.07224, as in the released code of 2302.03429.)
    """
    if len(scores) < window:
        return None
    last = np.asarray(scores[-window:])
    return float(abs(last[window // 2 :].mean() - last[: window // 2].mean()))


def places(numbers: Sequence[Mapping[str, float]]) -> Vector:
    """[K, D] in [0, 1]: the numbers that tasks differ in; their rank, where they have none or two have the same."""
    names = sorted(set().union(*numbers))
    values = np.array([[float(one.get(name, 0.0)) for name in names] for one in numbers]).reshape(len(numbers), -1)
    varied = values[:, np.ptp(values, axis=0) > 0] if values.size else values
    if varied.size == 0 or len(np.unique(varied, axis=0)) < len(numbers):
        varied = np.arange(len(numbers), dtype=np.float64)[:, None]
    found: Vector = (varied - varied.min(axis=0)) / np.maximum(np.ptp(varied, axis=0), 1e-12)
    return found


class AlpGmm(Teacher):
    """Plays where the student's own score changes most, up or down.

    With `mixture` as ALP-GMM: of (task, progress) pairs a mixture of 2 to `max_components` Gaussians is fitted, the
    number of them by Akaike's criterion; a component is drawn in proportion to its mean progress, a point from it, and
    the nearest task is played. The shares of the tasks are those of `DRAWS` such points, so that what is logged is what
    is drawn from. Without it, tasks are played in proportion to their progress, which for a few tasks says the same.
    Until `bootstrap` episodes are played all is uniform, and so is what has no progress to show.
    """

    settings_class = AlpGmmSettings
    settings: AlpGmmSettings
    kept: ClassVar[tuple[str, ...]] = ("history", "pairs", "shares", "episodes", "fitted_at")

    def begin(self) -> None:
        self.history: list[list[float]] = [[] for _ in self.names]
        """By task, the last `window` scores."""
        self.pairs: list[list[float]] = []
        """Task and its progress, the last `buffer`."""
        self.shares: Vector = np.full(self.size, 1 / self.size)
        self.episodes = self.fitted_at = 0
        self._places = places(self.numbers)

    def preference(self) -> Vector:
        return self.shares

    def hear(self, heard: Heard) -> None:
        own = self.settings
        for one in heard.episodes:
            history = self.history[one.task]
            history.append(one.score)
            del history[: -own.window]
            self.episodes += 1
            if own.mixture:  # a pair an episode, as the paper's buffer has it
                self._pair(one.task)
        if not own.mixture:
            for task in sorted({one.task for one in heard.episodes}):
                self._pair(task)
        if self.episodes >= own.bootstrap and self.episodes - self.fitted_at >= own.fit_every:
            self.fitted_at = self.episodes
            self.shares = self._mixture() if own.mixture else self._direct()

    def _pair(self, task: int) -> None:
        if (found := learning_progress(self.history[task], self.settings.window)) is not None:
            self.pairs.append([float(task), found])
            del self.pairs[: -self.settings.buffer]

    def progress(self) -> Vector:
        """[K]; NaN where there are too few scores."""
        found = [learning_progress(scores, self.settings.window) for scores in self.history]
        return np.array([np.nan if one is None else one for one in found])

    def _direct(self) -> Vector:
        """A task of which too little is known counts as much as the one that moves most."""
        progress = self.progress()
        known = progress[~np.isnan(progress)]
        weights = np.where(np.isnan(progress), known.max() if known.size else 1.0, progress)
        return weights / weights.sum() if weights.sum() > 0 else np.full(self.size, 1 / self.size)

    def _mixture(self) -> Vector:
        uniform: Vector = np.full(self.size, 1 / self.size)
        tasks = np.array([int(task) for task, _ in self.pairs], dtype=np.int64)
        if len(tasks) < 2 * self.settings.max_components:
            return uniform
        rows = np.column_stack([self._places[tasks], [progress for _, progress in self.pairs]])
        from sklearn.mixture import GaussianMixture

        seed = int(self.rng.integers(2**31))
        with warnings.catch_warnings(action="ignore"):  # fewer distinct pairs than components
            fits = [
                GaussianMixture(count, covariance_type="full", reg_covar=1e-4, random_state=seed).fit(rows)
                for count in range(2, self.settings.max_components + 1)
            ]
            best = min(fits, key=lambda fit: float(fit.aic(rows)))
        weights = np.maximum(best.means_[:, -1], 0.0)
        if weights.sum() <= 0:
            return uniform
        components = self.rng.choice(len(weights), size=DRAWS, p=weights / weights.sum())
        noise = self.rng.standard_normal((DRAWS, rows.shape[1]))
        roots = np.linalg.cholesky(best.covariances_)
        points = best.means_[components] + np.einsum("pij,pj->pi", roots[components], noise)
        away = np.linalg.norm(points[:, None, :-1] - self._places[None], axis=2)
        found: Vector = np.bincount(away.argmin(axis=1), minlength=self.size) / DRAWS
        return found

    def report(self) -> Metrics:
        known = zip(self.names, self.progress().tolist(), strict=True)
        return {f"curriculum/progress/{name}": value for name, value in known if np.isfinite(value)}

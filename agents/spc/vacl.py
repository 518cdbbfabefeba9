"""Variational automatic curriculum: tasks as points on a simplex that spread out from those that are solved."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from agentlab_runner.agents.spc.settings import VaclSettings
from agentlab_runner.agents.spc.teacher import Heard, Teacher, Vector
from agentlab_runner.runners.types import Metrics


class Vacl(Teacher):
    """VACL without entity progression (arXiv 2111.04613), where a point is how often each of the K tasks is played.

    An active point, or with chance `replay` a solved one, is drawn, and of it the task. A point whose episodes score
    above `solved_above` on average is solved, and moves over; one below `active_above` goes when there is no room.
    Whenever points were solved, `reproduction` new ones start from solved ones and move by `epsilon` along the
    repulsion from all that are solved (of the Stein variational step the part that pushes apart, with an RBF kernel of
    width `kernel`), and by noise of half-width `delta`. They return to the simplex by clipping and division by their
    sum: the released code's softmax would put every one of them near its middle. Where still more are active than fit,
    those nearest to their `topk` neighbours go.
    """

    settings_class = VaclSettings
    settings: VaclSettings
    kept: ClassVar[tuple[str, ...]] = ("active", "solved", "asked_points", "point")
    proposing: ClassVar[tuple[str, ...]] = ("asked_points", "point")

    def begin(self) -> None:
        self.active: Vector = self.rng.dirichlet(np.ones(self.size), size=self.settings.initial)
        """[P, K], rows sum to 1."""
        self.solved: Vector = np.empty((0, self.size))
        """[Q, K], oldest first."""
        self.asked_points: list[int] = []
        """By place since the last choice: an active point by its row, a solved one as `-1 - row`."""
        self.point = 0

    def preference(self) -> Vector:
        replay = self.settings.replay if len(self.solved) and len(self.active) else float(not len(self.active))
        shares = np.zeros(self.size)
        if len(self.active):
            shares += (1 - replay) * self.active.mean(axis=0)
        if replay:
            shares += replay * self.solved.mean(axis=0)
        return shares

    def pick(self, count: int) -> Sequence[int]:
        if self.settings.draw == "iteration":
            if self.stood == 0:
                self.point = self._point()
            points = [self.point] * count
        else:
            points = [self._point() for _ in range(count)]
        self.asked_points = [*self.asked_points, *points]
        alpha = self.settings.alpha
        return [self.drawn((1 - alpha) * self._where(point) + alpha / self.size) for point in points]

    def _point(self) -> int:
        solved, active = len(self.solved), len(self.active)
        if solved and (not active or self.rng.random() < self.settings.replay):
            return -1 - int(self.rng.integers(solved))
        return int(self.rng.integers(active))

    def _where(self, point: int) -> Vector:
        found: Vector = self.active[point] if point >= 0 else self.solved[-1 - point]
        return found

    def hear(self, heard: Heard) -> None:
        scores: dict[int, list[float]] = {}
        for one in heard.episodes:
            scores.setdefault(self.asked_points[one.place], []).append(one.score)
        means = {point: sum(found) / len(found) for point, found in scores.items() if point >= 0}
        own = self.settings
        done = sorted(point for point, mean in means.items() if mean > own.solved_above)
        weak = sorted(point for point, mean in means.items() if mean < own.active_above)
        self.asked_points = []
        self.solved = np.concatenate([self.solved, self.active[done]])[-own.buffer :]
        new = self.reproduced() if done else self.active[:0]
        room = own.buffer - (len(self.active) - len(done))
        gone = [*done, *weak] if len(new) > room else done
        self.active = np.concatenate([np.delete(self.active, gone, axis=0), new])
        if len(self.active) > own.buffer:
            self.active = self.active[novel(self.active, own.topk, own.buffer)]
        if not len(self.active) and not len(self.solved):
            self.active = self.rng.dirichlet(np.ones(self.size), size=own.initial)

    def reproduced(self) -> Vector:
        """[reproduction, K] new points."""
        own = self.settings
        start = self.solved[self.rng.integers(len(self.solved), size=own.reproduction)]
        noise = self.rng.uniform(-own.delta, own.delta, size=start.shape)
        moved = np.clip(start + own.epsilon * repulsion(start, self.solved, own.kernel) + noise, 0, None)
        total = moved.sum(axis=1, keepdims=True)
        return np.where(total > 0, moved / np.where(total > 0, total, 1), start)

    def report(self) -> Metrics:
        return {"curriculum/active": float(len(self.active)), "curriculum/solved": float(len(self.solved))}


def repulsion(points: Vector, others: Vector, width: float) -> Vector:
    """[P, K] unit vectors away from `others` [Q, K], by the gradient of the kernel exp(-|x - y|^2 / width); 0 for none.

    (SVGD's repulsive term, arXiv 1608.04471, which VACL's task expansion follows.)
    """
    apart = points[:, None] - others[None]
    kernel = np.exp(-(apart**2).sum(axis=2, keepdims=True) / width)
    pushed = (2 / width * apart * kernel).mean(axis=1)
    length = np.linalg.norm(pushed, axis=1, keepdims=True)
    return np.where(length > 1e-12, pushed / np.maximum(length, 1e-12), 0.0)


def novel(points: Vector, topk: int, count: int) -> NDArray[np.int64]:
    """[count] rows, in their order, of the points farthest on average from their `topk` nearest neighbours."""
    near = min(topk + 1, len(points))
    distances = cKDTree(points).query(points, k=near)[0].reshape(len(points), -1)[:, 1:].mean(axis=1)
    kept: NDArray[np.int64] = np.sort(np.argsort(-distances, kind="stable")[:count])
    return kept

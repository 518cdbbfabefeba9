"""Clusters of contexts that arrive one by one, whose numbers do not change when the clustering does."""

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from agentlab_runner.agents.spc.teacher import Vector


class Contexts:
    """BIRCH over everything seen (Zhang et al. 1996; scikit-learn's), and which cluster the newest belongs to.

    Fewer than `2 * count` contexts are not clustered: they take turns, as in the released code of arXiv 2302.03429.
    BIRCH numbers its clusters anew at every fit; with `stable` a cluster keeps the number of the one that was nearest
    to it, by the assignment of least distance.

    Attributes:
        seen: [T, D] float64, all contexts, from which the tree of BIRCH is grown again.
        centres: [count, D] float64 by number; NaN where there is no such cluster yet.
        active: number of the newest one's cluster.
    """

    def __init__(self, count: int, threshold: float, branching_factor: int, stable: bool) -> None:
        self.count, self.stable = count, stable
        self._settings = {"threshold": threshold, "branching_factor": branching_factor}
        self.seen: Vector = np.empty((0, 0))
        self.centres: Vector = np.empty((count, 0))
        self.active = 0
        self._birch: Any = None

    @property
    def few(self) -> bool:
        return len(self.seen) < 2 * self.count

    def add(self, context: Vector) -> None:
        """
        Args:
            context: [D] float64, finite.
        """
        if not len(self.seen):
            self.seen, self.centres = np.empty((0, len(context))), np.full((self.count, len(context)), np.nan)
        self.seen = np.vstack([self.seen, context])
        if len(self.seen) <= 2 * self.count:
            self.active = len(self.seen) % self.count
        if self.few:
            return
        new = context[None] if self._birch is not None else self.seen
        names = self._named(self._fit(new))
        if len(self.seen) > 2 * self.count:
            self.active = names[self._predicted(context)]

    def restore(self, seen: Vector, centres: Vector, active: int) -> None:
        """Grow the tree again: BIRCH takes rows one by one, so all at once make the same tree as one at a time."""
        self.seen, self.centres, self.active, self._birch = seen, centres, active, None
        if not self.few:
            self._fit(seen)

    def _fit(self, rows: Vector) -> Any:
        from sklearn.cluster import Birch

        if self._birch is None:
            self._birch = Birch(n_clusters=self.count, compute_labels=False, **self._settings)
        with warnings.catch_warnings(action="ignore"):  # fewer subclusters than clusters: each is one, then
            return self._birch.partial_fit(rows)

    def _predicted(self, context: Vector) -> int:
        """BIRCH's own number of the cluster whose subcluster is nearest."""
        away = np.linalg.norm(self._birch.subcluster_centers_ - context, axis=1)
        return int(self._birch.subcluster_labels_[away.argmin()])

    def _named(self, birch: Any) -> dict[int, int]:
        """The numbers of BIRCH's clusters, by its own."""
        labels: NDArray[np.int64] = np.asarray(birch.subcluster_labels_)
        own = np.unique(labels)
        middles = np.stack([birch.subcluster_centers_[labels == label].mean(axis=0) for label in own])
        known = ~np.isnan(self.centres).any(axis=1)
        if not self.stable or not known.any():
            numbers = own
        else:
            away = np.linalg.norm(middles[:, None] - np.nan_to_num(self.centres)[None], axis=2)
            away[:, ~known] = (away[:, known].max() + 1) * self.count  # a new number only where no old one is left
            numbers = linear_sum_assignment(away)[1]
        self.centres[numbers] = middles
        return dict(zip(own.tolist(), numbers.tolist(), strict=True))

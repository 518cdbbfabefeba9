"""Records and their vectors in rows that are never changed, so that who has seen the first n sees them for good."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agentlab_runner.agents.memory.record import Record, moment

UNGATED = float("-inf")


class Table:
    """Rows that grow at their end."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self._rows: dict[str, int] = {}
        self._kinds: dict[str, int] = {}
        self._vectors = np.zeros((0, 0), np.float32)
        self._gates = np.zeros(0, np.float64)
        self._codes = np.zeros(0, np.int32)

    def __len__(self) -> int:
        return len(self.records)

    @property
    def vectors(self) -> NDArray[np.float32]:
        """[n, d]; d is 0 before there is a first."""
        return self._vectors[: len(self.records)]

    def row(self, key: str, rows: int) -> int | None:
        """Which of the first `rows` has this id."""
        found = self._rows.get(key)
        return found if found is not None and found < rows else None

    def append(self, records: Sequence[Record], vectors: NDArray[np.float32]) -> None:
        """Records whose ids are not there, and [m, d] unit rows."""
        start, end = len(self.records), len(self.records) + len(records)
        if end > len(self._gates):
            room = end if start == 0 else max(end, 2 * start, 16)
            self._vectors = _grown(self._vectors, (room, vectors.shape[1]), start)
            self._gates, self._codes = _grown(self._gates, (room,), start), _grown(self._codes, (room,), start)
        self._vectors[start:end] = vectors
        self._gates[start:end] = [UNGATED if one.available_from is None else one.available_from for one in records]
        self._codes[start:end] = [self._kinds.setdefault(one.kind, len(self._kinds)) for one in records]
        self._rows.update((one.id, start + at) for at, one in enumerate(records))
        self.records += records

    def visible(self, rows: int, kind: str | None, now: float | None) -> NDArray[np.bool_]:
        """[n] which are among the first `rows`, of this kind and available at `now`; None: those without a gate."""
        seen = self._gates[: len(self.records)] <= (UNGATED if now is None else moment(now))
        seen[rows:] = False
        if kind is not None:
            seen &= self._codes[: len(self.records)] == self._kinds.get(kind, -1)
        return seen


def _grown(array: NDArray[Any], shape: tuple[int, ...], kept: int) -> NDArray[Any]:
    grown = np.zeros(shape, array.dtype)
    if kept:
        grown[:kept] = array[:kept]
    return grown

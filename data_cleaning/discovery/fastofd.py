"""FastOFD: all minimal ontology functional dependencies of a table (arXiv 1611.02737; spec 2.4)."""

import math
import queue
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agentlab_runner.data_cleaning.discovery import partitions
from agentlab_runner.data_cleaning.discovery.lattice import (
    Counters,
    Found,
    Masks,
    Progress,
    Pruning,
    mask_columns,
    search,
)
from agentlab_runner.data_cleaning.discovery.strength import permuted
from agentlab_runner.data_cleaning.table.columns import Columns, Names, Scratch, arrange, bind
from agentlab_runner.data_cleaning.types import OFD, Kind, Strength, Table

MAX_COLUMNS = 63
PARTS = 32
"""Parts of a level. What one finds out about pairs of rows is known to the one LAG later and all after that."""
LAG = 8
ROOM = 4096
"""Pairs of rows that one part may add."""
SAMPLED, PAIRS = 200_000, 2_000
"""Rows, and pairs of them for each prefix of each order of the columns, with which the search for pairs begins."""


def search_table(
    table: Table, ontology: Names | None, *, kind: Kind, theta: int, kappa: float, max_lhs: int | None,
    allow_empty_lhs: bool, threads: int, pruning: Pruning, counters: Counters, progress: Callable[[Progress], None],
) -> list[OFD]:
    """The dependencies of a table in memory; arguments and result as of `discover`."""
    width = len(table.names)
    check_width(width)
    # left sides begin with the most diverse column: the classes of their prefixes are few and small
    order = sorted(range(width), key=lambda position: -len(table.values[position]))
    columns = arrange(table, bind(table, ontology, theta), order)
    tester = Kernels(columns, allowed(table.rows, kappa), threads, pruning, counters)
    found = search(tester, width, max_lhs, allow_empty_lhs, pruning, counters, progress)
    strengths = [tester.strengths.get((one.left, one.right)) for one in found]
    return in_order(found, strengths, order, table.names, table.rows, kind, theta)


def allowed(rows: int, kappa: float) -> int:
    """How many tuples may be dropped."""
    return rows - math.ceil(kappa * rows - 1e-9)


def check_width(columns: int) -> None:
    """
    Raises:
        ValueError: if a set of so many columns is no mask.
    """
    if columns > MAX_COLUMNS:
        raise ValueError(f"the table has {columns} columns; discovery takes {MAX_COLUMNS} at most, choose some of them")


def in_order(
    found: Sequence[Found], strengths: Sequence[Strength | None], order: Sequence[int], names: Sequence[str], rows: int,
    kind: Kind, theta: int,
) -> list[OFD]:
    """Dependencies by name, sorted.

    Args:
        order: the position in the table of each column as searched.
    """
    placed = []
    for one, strength in zip(found, strengths, strict=True):
        lhs = tuple(sorted(order[column] for column in mask_columns(one.left)))
        placed.append((len(lhs), lhs, order[one.right], (rows - one.deficit) / rows if rows else 1.0, strength))
    placed.sort(key=lambda entry: entry[:3])
    return [
        OFD(tuple(names[column] for column in lhs), names[rhs], kind, theta, support, strength)
        for _, lhs, rhs, support, strength in placed
    ]


class Kernels:
    """Tests the candidates of a level in threads, on a table in memory."""

    def __init__(self, columns: Columns, limit: int, threads: int, pruning: Pruning, counters: Counters) -> None:
        self._columns = columns
        self._limit = limit
        self._threads = threads
        self._pruning = pruning
        self._counters = counters
        self._agreed = np.empty(0, np.uint64)
        self._apart = np.empty(0, np.uint64)
        self._bound: list[int] = np.flatnonzero(columns.base >= 0).tolist()
        self._shuffled = np.array([permuted(columns, column) for column in self._bound], np.int32)
        self._shuffled = self._shuffled.reshape(len(self._bound), columns.codes.shape[1])
        self.strengths: dict[tuple[int, int], Strength] = {}
        """By left mask and right column, where names add something."""

    def test(
        self, level: int, masks: Masks, pending: Masks, report: Callable[[int], None]
    ) -> tuple[Masks, NDArray[np.int32] | None]:
        """See `lattice.Tester`."""
        if level == 0:
            return self._test_empty(pending)
        holds = np.zeros(len(masks), np.uint64)
        deficits = np.zeros((len(masks) if self._limit else 0, len(self._columns.right)), np.int32)
        if level == 1 and self._limit == 0 and self._pruning.refutation:
            self._sample()  # a pair refutes only what may have no exception
        useful = np.bitwise_count(self._agreed) >= level
        self._agreed, self._apart = self._agreed[useful], self._apart[useful]
        bounds = np.linspace(0, len(masks), min(len(masks), PARTS) + 1).astype(int)
        free = self._scratches(level)
        use = (self._pruning.keys, self._pruning.constant, self._pruning.refutation)
        room = np.empty(ROOM if self._pruning.refutation else 0, np.uint64)

        def run(part: slice, agreed: Masks, apart: Masks) -> tuple[Masks, Masks, NDArray[np.int64]]:
            known = len(agreed)
            agreed, apart = np.concatenate((agreed, room)), np.concatenate((apart, room))
            counts = np.zeros(6, np.int64)
            weights = np.empty((len(masks[part]) * len(self._bound), 6), np.int64)
            scratch = free.get()
            total = partitions.walk(
                self._columns, self._shuffled, masks[part], pending[part], self._limit, use, agreed, apart, known,
                scratch, holds[part], deficits[part], weights, counts,
            )
            free.put(scratch)
            for node, column, *weight in weights[: counts[partitions.WEIGHED]].tolist():
                self._weighed(int(masks[part][node]), column, weight)
            return agreed[known:total].copy(), apart[known:total].copy(), counts

        with ThreadPoolExecutor(self._threads) as pool:
            parts: list[Future[Any]] = []
            try:
                for number in range(len(bounds) - 1 + LAG):
                    if number >= LAG:
                        self._learn(*parts[number - LAG].result())
                        report(int(bounds[number - LAG + 1]))
                    if number < len(bounds) - 1:
                        part = slice(bounds[number], bounds[number + 1])
                        parts.append(pool.submit(run, part, self._agreed, self._apart))
            except BaseException:  # an interrupt waits for the parts under way, not for those in line
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return holds, deficits if self._limit else None

    def _weighed(self, left: int, right: int, weight: Sequence[int]) -> None:
        classes, held, gain, broken = weight
        rows = self._columns.codes.shape[1]
        if gain:
            self.strengths[left, right] = Strength(classes, held, gain / rows, (rows - broken) / rows)

    def _sample(self) -> None:
        """Pairs of rows that agree on much: neighbours when sorted by the columns in several orders."""
        width = len(self._columns.right)
        rng = np.random.default_rng(0)
        step = 1 + self._columns.codes.shape[1] // SAMPLED
        free = self._scratches(2, step)

        def run(order: NDArray[np.int64]) -> tuple[Masks, Masks]:
            agreed, apart = np.empty((2, width * PAIRS), np.uint64)
            scratch = free.get()
            known = partitions.sample(self._columns, order, PAIRS, scratch, agreed, apart)
            free.put(scratch)
            return agreed[:known], apart[:known]

        every = np.arange(width)
        orders = [np.concatenate(([column], rng.permutation(every[every != column]))) for column in every]
        with ThreadPoolExecutor(self._threads) as pool:
            agreed, apart = (np.concatenate(parts) for parts in zip(*pool.map(run, orders), strict=True))
        by_agreement = np.argsort(agreed, kind="stable")
        self._agreed, begins = np.unique(agreed[by_agreement], return_index=True)
        self._apart = np.bitwise_or.reduceat(apart[by_agreement], begins) if len(begins) else apart

    def _scratches(self, depth: int, step: int = 1) -> queue.SimpleQueue[Scratch]:
        """One for each thread."""
        free: queue.SimpleQueue[Scratch] = queue.SimpleQueue()
        for _ in range(self._threads):
            free.put(Scratch.of(self._columns, depth, step))
        return free

    def _learn(self, agreed: Masks, apart: Masks, counts: NDArray[np.int64]) -> None:
        self._agreed = np.concatenate((self._agreed, agreed))
        self._apart = np.concatenate((self._apart, apart))
        self._counters.tested += int(counts[partitions.TESTED])
        self._counters.refuted += int(counts[partitions.REFUTED])
        self._counters.keys += int(counts[partitions.KEYS])
        self._counters.partitions += int(counts[partitions.PARTITIONS])
        self._counters.constant += int(counts[partitions.CONSTANT])

    def _test_empty(self, pending: Masks) -> tuple[Masks, NDArray[np.int32]]:
        """Level 0: the whole table is one class."""
        columns = self._columns
        holds = 0
        deficits = np.zeros((1, len(columns.right)), np.int32)
        for column, right in enumerate(columns.right):
            by_code = np.bincount(columns.codes[right])
            best = by_code.max(initial=0)
            if columns.base[column] >= 0:
                begins = columns.offsets[columns.base[column] :][: len(by_code) + 1]
                listed = columns.classes[begins[0] : begins[-1]]
                best = max(best, np.bincount(listed, np.repeat(by_code, np.diff(begins))).max(initial=0))
            deficits[0, column] = columns.codes.shape[1] - best
            holds |= int(deficits[0, column] <= self._limit) << column
        scratch = Scratch.of(columns, 0)
        weight = np.empty(4, np.int64)
        for column in self._bound:
            if holds >> column & 1 and columns.codes.shape[1]:
                partitions.weigh(
                    columns, self._shuffled, column, scratch.rows[0], scratch.offsets[0], 1, scratch, weight
                )
                self._weighed(0, column, weight.tolist())
        self._counters.tested += len(columns.right)
        return np.array([holds], np.uint64) & pending, deficits

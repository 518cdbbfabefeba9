"""FastOFD: all minimal ontology functional dependencies of a table (arXiv 1611.02737; spec 2.4)."""

import functools
import itertools
import math
import os
import queue
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_cleaning import partitions
from data_cleaning.columns import Columns, Names, Scratch, arrange, bind, check_kind
from data_cleaning.lattice import Counters, Found, Masks, Progress, Pruning, mask_columns, search
from data_cleaning.strength import Partitions, broken_by_chance, judge, permuted
from data_cleaning.tables import Nulls, read
from data_cleaning.types import OFD, Kind, Strength, Table

MAX_COLUMNS = 63
PARTS = 32
"""Parts of a level. What one finds out about pairs of rows is known to the one LAG later and all after that."""
LAG = 8
ROOM = 4096
"""Pairs of rows that one part may add."""
SAMPLED, PAIRS = 200_000, 2_000
"""Rows, and pairs of them for each prefix of each order of the columns, with which the search for pairs begins."""


def discover(
    table: Any,
    ontology: Names | None = None,
    *,
    kind: Kind = "synonym",
    theta: int = 0,
    kappa: float = 1.0,
    max_lhs: int | None = None,
    allow_empty_lhs: bool = True,
    threads: int | None = None,
    memory_limit: int | str | None = None,
    nulls: Nulls = "equal",
    pruning: Pruning | None = None,
    counters: Counters | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
) -> list[OFD]:
    """All minimal dependencies X -> A with one column A that hold on the table.

    Args:
        table: a Table, or whatever `tables.read` takes.
        ontology: concepts of some columns; without, the result is the functional dependencies.
        kind: "synonym": the values of every class have a common concept; "inheritance": a common ancestor.
        theta: is-a steps from a value's concept to that ancestor at most.
        kappa: share of the tuples on which the dependency has to hold.
        max_lhs: columns on the left side at most.
        allow_empty_lhs: report [] -> A when the whole column is one concept.
        threads: all cores if not given; the result does not depend on it.
        memory_limit: bytes, or text as "1.5GB"; what does not fit is searched on disk, inside DuckDB.
        nulls: how NULLs compare, see `tables.read`; like the memory limit it does not concern a Table.
        pruning: what to skip; everything that may be if not given.
        counters: filled in.
        progress: called a few dozen times a level.

    Returns:
        Dependencies by number of left-hand columns, then by position of these, then of the right-hand column. Those to
        which names add something carry their strength.

    Raises:
        ValueError: if a setting is out of range or the table has more than 63 columns.
    """
    check_kind(kind, theta)
    if not 0 < kappa <= 1:
        raise ValueError(f"kappa is {kappa}; it is a share of tuples and should be above 0 and at most 1")
    if max_lhs is not None and max_lhs < 0:
        raise ValueError(f"max_lhs is {max_lhs}; it should be 0 or more")
    if threads is not None and threads < 1:
        raise ValueError(f"threads is {threads}; it should be 1 or more")
    pruning = pruning or Pruning()
    counters = Counters() if counters is None else counters
    threads = threads or _cores()
    if memory_limit is not None and not isinstance(table, Table):
        from data_cleaning import sql

        return sql.discover(
            table, ontology, memory_limit, nulls, kind=kind, theta=theta, kappa=kappa, max_lhs=max_lhs,
            allow_empty_lhs=allow_empty_lhs, threads=threads, pruning=pruning, counters=counters, progress=progress,
        )
    table = table if isinstance(table, Table) else read(table, nulls=nulls)
    width = len(table.names)
    check_width(width)
    # left sides begin with the most diverse column: the classes of their prefixes are few and small
    order = sorted(range(width), key=lambda position: -len(table.values[position]))
    columns = arrange(table, bind(table, ontology, theta), order)
    tester = Kernels(columns, allowed(table.rows, kappa), threads, pruning, counters)
    found = search(tester, width, max_lhs, allow_empty_lhs, pruning, counters, progress)
    strengths = _strengths(columns, found, tester, threads)
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
        self._named = {0: (1 << len(columns.right)) - 1}

    def names_matter(self, one: Found) -> bool:
        """Whether names may add something to a dependency that was found: its right side is bound, and not constant in
        every class."""
        return self._columns.base[one.right] >= 0 and self._named.get(one.left, 0) >> one.right & 1 == 1

    def test(
        self, level: int, masks: Masks, pending: Masks, report: Callable[[int], None]
    ) -> tuple[Masks, NDArray[np.int32] | None]:
        """See `lattice.Tester`."""
        if level == 0:
            return self._test_empty(pending)
        holds, named = np.zeros((2, len(masks)), np.uint64)
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
            counts = np.zeros(5, np.int64)
            scratch = free.get()
            total = partitions.walk(
                self._columns, masks[part], pending[part], self._limit, use, agreed, apart, known, scratch, holds[part],
                named[part], deficits[part], counts,
            )
            free.put(scratch)
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
        self._named |= {int(masks[node]): int(named[node]) for node in np.flatnonzero(named)}
        return holds, deficits if self._limit else None

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
        self._counters.tested += len(columns.right)
        return np.array([holds], np.uint64) & pending, deficits


def _strengths(
    columns: Columns, found: Sequence[Found], tester: Kernels, threads: int
) -> list[Strength | None]:
    """The strength of each dependency to which names add something."""
    rows = columns.codes.shape[1]
    bound = [one for one in found if rows and tester.names_matter(one)]
    if not bound:
        return [None] * len(found)
    shuffled = functools.cache(functools.partial(permuted, columns))
    depth = max(one.left.bit_count() for one in bound)
    bound.sort(key=lambda one: mask_columns(one.left))

    def run(part: Sequence[Found]) -> dict[Found, Strength]:
        partition = Partitions(columns, depth)
        strengths = {}
        for one in part:
            lhs = mask_columns(one.left)
            classes = partition.by(lhs)
            judged = judge(columns, one.right, classes, len(lhs), partition.scratch)
            if judged.gain:
                codes = shuffled(one.right)
                broken = broken_by_chance(columns, one.right, codes, classes, len(lhs), partition.scratch)
                strengths[one] = judged.strength(broken, rows)
        return strengths

    known: dict[Found, Strength] = {}
    ends = [len(bound) * part // threads for part in range(threads + 1)]
    with ThreadPoolExecutor(threads) as pool:
        for strengths in pool.map(run, [bound[begin:end] for begin, end in itertools.pairwise(ends)]):
            known |= strengths
    return [known.get(one) for one in found]


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

"""FastOFD: all minimal ontology functional dependencies of a table, level by level (arXiv 1611.02737; spec 2.4)."""

import math
import os
import queue
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_cleaning import partitions
from data_cleaning.names import Names, bind, check_kind, columns_of
from data_cleaning.partitions import Columns, Masks, Scratch
from data_cleaning.tables import read
from data_cleaning.types import OFD, Kind, Table

MAX_COLUMNS = 63
CHUNKS = 32
"""Parts of a level; what one finds out about pairs of rows, the parts LAG later and all after them use."""
LAG = 8
ROOM = 4096
"""Pairs of rows that one part may add."""


@dataclass(frozen=True, slots=True)
class Pruning:
    """What may be skipped; the result is the same without."""

    augmentation: bool = True
    """Opt-2: once X -> A holds, no superset of X is tried for A."""
    keys: bool = True
    """Opt-3: a left side without two equal rows determines everything."""
    constant: bool = True
    """Opt-4: classes of equal values satisfy without a look at the ontology."""
    refutation: bool = True
    """Ours: two rows that agree on X and have no common name in A refute X' -> A for every X' in X."""


@dataclass(slots=True)
class Counters:
    """What a discovery did."""

    candidates: int = 0
    """X -> A considered."""
    refuted: int = 0
    """Of these, settled by a pair of rows seen before."""
    tested: int = 0
    """Of these, looked up in the data."""
    keys: int = 0
    """Left sides found to be keys."""
    partitions: int = 0
    constant: int = 0
    """Classes of equal values passed over when concepts were counted."""
    levels: list[int] = field(default_factory=list)
    """Left sides by their number of columns."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a discovery is."""

    level: int
    """Columns on the left side."""
    done: int
    total: int
    """Left sides of this level."""
    found: int
    """Dependencies of earlier levels."""
    eta: float
    """Seconds to the end of this level; nan while unknown."""


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
    pruning: Pruning = Pruning(),
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
        pruning: what to skip.
        counters: filled in.
        progress: called a few dozen times a level.

    Returns:
        Dependencies by number of left-hand columns, then by position of these, then of the right-hand column.

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
    table = table if isinstance(table, Table) else read(table)
    width = len(table.names)
    if width > MAX_COLUMNS:
        raise ValueError(f"the table has {width} columns; discovery takes {MAX_COLUMNS} at most, choose some of them")
    counters = Counters() if counters is None else counters
    names = bind(table, ontology, theta)
    # left sides that begin with the most diverse column: the classes of their prefixes are few and small
    order = sorted(range(width), key=lambda position: -len(table.values[position]))
    engine = _Kernels(columns_of(table, names, order), allowed(table.rows, kappa), threads or _cores(), pruning, counters)
    found = []
    for left, right, deficit in walk_levels(engine, width, max_lhs, allow_empty_lhs, pruning, counters, progress):
        lhs = tuple(sorted(order[column] for column in range(width) if left >> column & 1))
        found.append((len(lhs), lhs, order[right], 1 - deficit / table.rows if deficit else 1.0))
    return [
        OFD(tuple(table.names[column] for column in lhs), table.names[rhs], kind, theta, support)
        for _, lhs, rhs, support in sorted(found)
    ]


def allowed(rows: int, kappa: float) -> int:
    """How many tuples may be dropped."""
    return rows - math.ceil(kappa * rows - 1e-9)


def walk_levels(engine, width, max_lhs, allow_empty_lhs, pruning, counters, progress) -> Iterator[tuple[int, int, int]]:
    """The lattice of left sides (C of the paper, by left side): yields (left mask, right column, deficit)."""
    everything = (1 << width) - 1
    masks = np.zeros(1, np.uint64)
    pending = np.array([everything], np.uint64)
    found = 0
    for level in range(min(width, width if max_lhs is None else max_lhs) + 1):
        counters.levels.append(len(masks))
        counters.candidates += sum(int(p).bit_count() for p in pending)
        if level or allow_empty_lhs:
            began = time.perf_counter()

            def report(done: int) -> None:
                spent = time.perf_counter() - began
                progress(Progress(level, done, len(masks), found, spent / done * (len(masks) - done) if done else math.nan))

            holds, deficits = engine.test(level, masks, pending, report)
        else:
            holds, deficits = np.zeros(1, np.uint64), None
        for node in np.flatnonzero(holds):
            rights = int(holds[node])
            for right in range(width):
                if rights >> right & 1:
                    found += 1
                    yield int(masks[node]), right, int(deficits[node, right]) if deficits is not None else 0
        open_ = pending & ~holds if pruning.augmentation else pending
        kept = open_ != 0
        if level == 0:
            masks = np.array([1 << column for column in range(width)], np.uint64)
            pending = open_[0] & ~masks
        else:
            masks, pending = partitions.join(masks[kept], open_[kept])
        if not len(masks):
            break


class _Kernels:
    """Tests the candidates of a level in threads, on a table in memory."""

    def __init__(self, columns: Columns, limit: int, threads: int, pruning: Pruning, counters: Counters) -> None:
        self._columns = columns
        self._limit = limit
        self._threads = threads
        self._counters = counters
        self._use = (pruning.keys, pruning.constant, pruning.refutation)
        self._agreed = np.empty(0, np.uint64)
        self._apart = np.empty(0, np.uint64)

    def test(
        self, level: int, masks: Masks, pending: Masks, report: Callable[[int], None]
    ) -> tuple[Masks, NDArray[np.int32] | None]:
        """Which of `pending` hold for each of `masks`, and what they cost if anything may be dropped."""
        holds = np.zeros(len(masks), np.uint64)
        deficits = np.zeros((len(masks), len(self._columns.right)), np.int32) if self._limit else None
        if level == 0:
            return self._test_empty(int(pending[0]))
        useful = np.bitwise_count(self._agreed) >= level
        self._agreed, self._apart = self._agreed[useful], self._apart[useful]
        bounds = np.linspace(0, len(masks), min(len(masks), CHUNKS) + 1).astype(int)
        free: queue.SimpleQueue[Scratch] = queue.SimpleQueue()
        for _ in range(self._threads):
            free.put(_scratch(self._columns, level))
        none = np.zeros((0, 0), np.int32)

        def run(begin: int, end: int, agreed: Masks, apart: Masks) -> tuple[Masks, Masks, NDArray[np.int64]]:
            known = len(agreed)
            room = np.empty(ROOM, np.uint64)
            agreed, apart = np.concatenate((agreed, room)), np.concatenate((apart, room))
            counts = np.zeros(5, np.int64)
            scratch = free.get()
            total = partitions.walk(
                self._columns, masks[begin:end], pending[begin:end], self._limit, self._use, agreed, apart, known,
                scratch, holds[begin:end], none if deficits is None else deficits[begin:end], counts,
            )
            free.put(scratch)
            return agreed[known:total], apart[known:total], counts

        with ThreadPoolExecutor(self._threads) as pool:
            parts: list[Future[Any]] = []
            for part in range(len(bounds) - 1 + LAG):
                if part >= LAG:
                    self._learn(*parts[part - LAG].result())
                    report(int(bounds[part - LAG + 1]))
                if part < len(bounds) - 1:
                    parts.append(pool.submit(run, bounds[part], bounds[part + 1], self._agreed, self._apart))
        return holds, deficits

    def _learn(self, agreed: Masks, apart: Masks, counts: NDArray[np.int64]) -> None:
        self._agreed = np.concatenate((self._agreed, agreed))
        self._apart = np.concatenate((self._apart, apart))
        counters = self._counters
        counters.tested += int(counts[partitions.TESTED])
        counters.refuted += int(counts[partitions.REFUTED])
        counters.keys += int(counts[partitions.KEYS])
        counters.partitions += int(counts[partitions.PARTITIONS])
        counters.constant += int(counts[partitions.CONSTANT])

    def _test_empty(self, pending: int) -> tuple[Masks, NDArray[np.int32]]:
        """Level 0: the whole table is one class."""
        columns = self._columns
        rows = columns.codes.shape[1]
        holds = 0
        deficits = np.zeros((1, len(columns.right)), np.int32)
        scratch = _scratch(columns, 0)
        counts = np.zeros(5, np.int64)
        for column in range(len(columns.right)):
            broken = 0
            if rows:
                broken = partitions.deficit(
                    columns, column, scratch.rows[0], scratch.offsets[0], 1, scratch, self._limit, True, counts
                )
            if broken <= self._limit:
                holds |= 1 << column
                deficits[0, column] = broken
        self._counters.tested += len(columns.right)
        return np.array([holds & pending], np.uint64), deficits


def _scratch(columns: Columns, depth: int) -> Scratch:
    rows = columns.codes.shape[1]
    diversity = int(columns.codes.max(initial=-1)) + 1
    concepts = int(columns.classes.max(initial=-1)) + 1
    scratch = Scratch(
        rows=np.empty((depth + 1, rows), np.int32),
        offsets=np.empty((depth + 1, rows // 2 + 2), np.int32),
        counts=np.zeros(concepts + diversity, np.int32),
        first=np.empty(diversity, np.int32),
        stamp=np.zeros(diversity, np.int64),
        serial=np.zeros(1, np.int64),
        codes=np.empty(rows, np.int32),
    )
    scratch.rows[0] = np.arange(rows)
    scratch.offsets[0, :2] = 0, rows
    return scratch


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

"""The lattice of left sides, level by level; who tests the candidates of a level does not matter here."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from agentlab_runner.data_cleaning.discovery.compiled import kernel

Masks = NDArray[np.uint64]
"""Sets of columns, bit i for column i."""
_ONE = np.uint64(1)


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


class Found(NamedTuple):
    """A dependency by the positions of its columns."""

    left: int
    """Mask."""
    right: int
    deficit: int
    """Tuples to drop so that it holds."""


class Tester(Protocol):
    """Looks candidates up in the data."""

    def test(
        self, level: int, masks: Masks, pending: Masks, report: Callable[[int], None]
    ) -> tuple[Masks, NDArray[np.int32] | None]:
        """Test the candidates of a level.

        Args:
            level: columns on the left side.
            masks: [M] left sides in lexicographic order.
            pending: [M] the right sides to test of each.
            report: takes the number of left sides done so far.

        Returns:
            [M] those of `pending` that hold, and [M, n] the tuples to drop for each if any may be dropped.
        """


def search(
    tester: Tester,
    width: int,
    max_lhs: int | None,
    allow_empty_lhs: bool,
    pruning: Pruning,
    counters: Counters,
    progress: Callable[[Progress], None],
) -> list[Found]:
    """All minimal dependencies over `width` columns.

    A left side X is visited as long as some A does not depend on any of its subsets: the C(X + A) of the paper, kept
    with X. Only what holds for X itself is taken out: A -> B, B -> C does not give A -> C here, so TANE's other rules
    are not sound.
    """
    everything = np.uint64((1 << width) - 1)
    masks, pending = np.zeros(1, np.uint64), np.array([everything])
    found: list[Found] = []
    for level in range(min(width, width if max_lhs is None else max_lhs) + 1):
        counters.levels.append(len(masks))
        counters.candidates += int(np.bitwise_count(pending).sum())
        holds, deficits = np.zeros(1, np.uint64), None
        if level or allow_empty_lhs:
            holds, deficits = tester.test(level, masks, pending, _reporter(level, len(masks), len(found), progress))
        for node in np.flatnonzero(holds):
            for right in mask_columns(int(holds[node])):
                found.append(Found(int(masks[node]), right, 0 if deficits is None else int(deficits[node, right])))
        open_ = pending & ~holds if pruning.augmentation else pending
        masks, pending = join(masks[open_ != 0], open_[open_ != 0]) if level else _singletons(width, open_[0])
        if not len(masks):
            break
    return found if pruning.augmentation else _minimal(found)


def mask_columns(mask: int) -> list[int]:
    """The columns of a mask, ascending."""
    columns = []
    while mask:
        low = mask & -mask
        columns.append(low.bit_length() - 1)
        mask ^= low
    return columns


def _singletons(width: int, open_: np.uint64) -> tuple[Masks, Masks]:
    masks = _ONE << np.arange(width, dtype=np.uint64)
    pending = open_ & ~masks
    return masks[pending != 0], pending[pending != 0]


def _minimal(found: list[Found]) -> list[Found]:
    """Of dependencies in ascending size, those without a smaller one."""
    kept: list[Found] = []
    for one in found:
        if not any(smaller.right == one.right and smaller.left & one.left == smaller.left for smaller in kept):
            kept.append(one)
    return kept


def _reporter(level: int, total: int, found: int, progress: Callable[[Progress], None]) -> Callable[[int], None]:
    began = time.perf_counter()

    def report(done: int) -> None:
        spent = time.perf_counter() - began
        progress(Progress(level, done, total, found, spent / done * (total - done) if done else math.nan))

    return report


@kernel
def join(masks: Masks, open_: Masks) -> tuple[Masks, Masks]:
    """The next level: unions of two nodes with a common prefix, with what is open for each of their subsets.

    Args:
        masks: [M] left sides of one level in lexicographic order.
        open_: [M] right sides that do not depend on them; nodes with none are left out of the level.

    Returns:
        (masks, pending) of the next level, in the same order.
    """
    size = 4
    while size < 2 * len(masks):
        size *= 2
    table = np.full(size, -1, np.int64)
    for m in range(len(masks)):
        table[_slot(table, masks, masks[m])] = m
    prefixes = np.zeros_like(masks)
    for m in range(len(masks)):
        rest = masks[m]
        while rest & (rest - _ONE):
            prefixes[m] |= rest & (~rest + _ONE)
            rest &= rest - _ONE
    capacity = max(16, 2 * len(masks))
    out_masks, out_pending = np.empty(capacity, np.uint64), np.empty(capacity, np.uint64)
    count = 0
    for i in range(len(masks)):
        for j in range(i + 1, len(masks)):
            if prefixes[j] != prefixes[i]:
                break
            union = masks[i] | masks[j]
            pending = open_[i] & open_[j] & ~union
            rest = prefixes[i]
            while rest and pending:
                column = rest & (~rest + _ONE)
                rest &= ~column
                found = table[_slot(table, masks, union & ~column)]
                pending &= open_[found] if found >= 0 else np.uint64(0)
            if pending:
                if count == capacity:
                    capacity *= 2
                    out_masks = np.concatenate((out_masks, np.empty(count, np.uint64)))
                    out_pending = np.concatenate((out_pending, np.empty(count, np.uint64)))
                out_masks[count] = union
                out_pending[count] = pending
                count += 1
    return out_masks[:count].copy(), out_pending[:count].copy()


@kernel
def _slot(table: NDArray[np.int64], masks: Masks, mask: np.uint64) -> np.int64:
    """Where the position of a mask stands in a hash table, or the free slot where it belongs."""
    slot = np.int64((mask * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(20)) & (len(table) - 1)
    while table[slot] >= 0 and masks[table[slot]] != mask:
        slot = (slot + 1) & (len(table) - 1)
    return slot

"""Numba kernels: stripped partitions, how many tuples break a dependency, one level of the lattice.

A stripped partition is (rows, offsets): class g holds rows[offsets[g] : offsets[g + 1]], ascending, two of them at
least. Sets of columns are 64-bit masks, bit i for column i. All kernels release the GIL and keep their machine code on
disk, so that only the first run on a machine compiles.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numba
import numpy as np
from numba import njit
from numpy.typing import NDArray

Masks = NDArray[np.uint64]
_ONE = np.uint64(1)


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile without the GIL and keep the machine code; where no folder can be written to, compile every time."""
    try:
        return njit(nogil=True, cache=True)(function)
    except RuntimeError:  # numba found no place for its cache
        return njit(nogil=True)(function)


class Columns(NamedTuple):
    """A table as the kernels see it."""

    codes: NDArray[np.int32]
    """[n + bound, N]; row i < n holds column i, the rest hold bound columns with equal codes for equal names."""
    right: NDArray[np.int64]
    """[n], the row of `codes` to read where column i is on the right side."""
    base: NDArray[np.int64]
    """[n], where the name lists of column i begin in `offsets`; -1 for a column without ontology."""
    offsets: NDArray[np.int64]
    """Code c of bound column i belongs to classes[offsets[base[i] + c] : offsets[base[i] + c + 1]], ascending."""
    classes: NDArray[np.int32]


class Scratch(NamedTuple):
    """Room for one thread; every kernel leaves `counts` zeroed."""

    rows: NDArray[np.int32]
    """[depth + 1, N], the partition of each prefix of the node in hand; row 0 is the whole table."""
    offsets: NDArray[np.int32]
    """[depth + 1, N // 2 + 2]."""
    counts: NDArray[np.int32]
    """By code, or by concept and then code."""
    first: NDArray[np.int32]
    """By code, the first row of a class that carries it ..."""
    stamp: NDArray[np.int64]
    """... if this is the class's serial number; 0 at the start."""
    serial: NDArray[np.int64]
    """[1], the last serial number given."""
    codes: NDArray[np.int32]
    """[N]."""


TESTED, REFUTED, KEYS, PARTITIONS, CONSTANT = range(5)
"""Positions in the counters of `walk`: candidates tested on the data; candidates a known pair of rows refutes; left
sides found to be keys; partitions refined; classes of equal values that needed no look at their names."""


@kernel
def popcount(mask):
    count = 0
    while mask:
        mask &= mask - _ONE
        count += 1
    return count


@kernel
def refine(codes, rows, offsets, classes, out_rows, out_offsets, scratch):
    """Split each class of a stripped partition by a column; returns the number of classes in `out_*`."""
    counts, held = scratch.counts, scratch.codes
    position = 0
    made = 0
    for g in range(classes):
        begin, end = offsets[g], offsets[g + 1]
        if end - begin == 2:
            if codes[rows[begin]] == codes[rows[begin + 1]]:
                out_offsets[made] = position
                out_rows[position] = rows[begin]
                out_rows[position + 1] = rows[begin + 1]
                position += 2
                made += 1
            continue
        for i in range(begin, end):
            code = codes[rows[i]]
            held[i - begin] = code
            counts[code] += 1
        for i in range(begin, end):
            code = held[i - begin]
            count = counts[code]
            if count == 1:
                counts[code] = 0
            elif count > 1:  # the first of its class: from now on the count is -1 - where the next one goes
                out_offsets[made] = position
                made += 1
                out_rows[position] = rows[i]
                counts[code] = -2 - position
                position += count
            elif count < 0:
                out_rows[-1 - count] = rows[i]
                counts[code] = count - 1
        for i in range(end - begin):
            counts[held[i]] = 0
    out_offsets[made] = position
    return made


@kernel
def share_name(columns, column, one, other):
    """Whether two unequal codes of a column have a concept in common."""
    base = columns.base[column]
    if base < 0:
        return False
    i, i_end = columns.offsets[base + one], columns.offsets[base + one + 1]
    j, j_end = columns.offsets[base + other], columns.offsets[base + other + 1]
    while i < i_end and j < j_end:
        if columns.classes[i] == columns.classes[j]:
            return True
        if columns.classes[i] < columns.classes[j]:
            i += 1
        else:
            j += 1
    return False


@kernel
def compare(columns, one, other):
    """Columns two rows agree on, and columns on which they have no name in common."""
    agree = np.uint64(0)
    apart = np.uint64(0)
    for column in range(len(columns.right)):
        if columns.codes[column, one] == columns.codes[column, other]:
            agree |= _ONE << np.uint64(column)
            continue
        right = columns.right[column]
        left_code, right_code = columns.codes[right, one], columns.codes[right, other]
        if left_code != right_code and not share_name(columns, column, left_code, right_code):
            apart |= _ONE << np.uint64(column)
    return agree, apart


@kernel
def deficit(columns, column, rows, offsets, classes, scratch, limit, skip_constant, counters):
    """Tuples to drop so that every class has one name for the column's values; gives up once it exceeds `limit`.

    Sum over classes x of |x| - max_E |{t in x : E in names(t)}|, the literal class of a value counting as a name.
    """
    codes = columns.codes[columns.right[column]]
    base = columns.base[column]
    counts, held = scratch.counts, scratch.codes
    total = 0
    for g in range(classes):
        begin, end = offsets[g], offsets[g + 1]
        head = codes[rows[begin]]
        constant = True
        for i in range(begin, end):
            code = codes[rows[i]]
            held[i - begin] = code
            if code != head:
                constant = False
        if constant and skip_constant:
            counters[CONSTANT] += 1
            continue
        best = 0
        for i in range(end - begin):
            code = held[i]
            names, names_end = np.int64(0), np.int64(0)
            if base >= 0:
                names, names_end = columns.offsets[base + code], columns.offsets[base + code + 1]
            if names == names_end:
                name = len(counts) - 1 - code  # literal classes are counted from the far end
                counts[name] += 1
                best = max(best, counts[name])
            for k in range(names, names_end):
                counts[columns.classes[k]] += 1
                best = max(best, counts[columns.classes[k]])
        for i in range(end - begin):
            code = held[i]
            counts[len(counts) - 1 - code] = 0
            if base >= 0:
                for k in range(columns.offsets[base + code], columns.offsets[base + code + 1]):
                    counts[columns.classes[k]] = 0
        total += end - begin - best
        if total > limit:
            break
    return total


@kernel
def scan(columns, last, pending, rows, offsets, classes, scratch, agreed, apart, known):
    """One pass over the classes of a prefix: which of `pending` may depend on prefix + `last`.

    Every row is compared with the first of its class under `last`. Rows without a common name refute a candidate; the
    pair goes to `agreed` and `apart` while there is room. Unequal rows with a common name leave it open ("mixed").

    Returns:
        (candidates not refuted, those of them that are mixed, whether `last` leaves a class at all, how many pairs are
        known now).
    """
    left = columns.codes[last]
    first, stamp = scratch.first, scratch.stamp
    wanted = np.empty(64, np.int64)
    count = 0
    for column in range(len(columns.right)):
        if pending >> np.uint64(column) & _ONE:
            wanted[count] = column
            count += 1
    mixed = np.uint64(0)
    kept = False
    for g in range(classes):
        begin, end = offsets[g], offsets[g + 1]
        scratch.serial[0] += 1
        serial = scratch.serial[0]
        for i in range(begin, end):
            row = rows[i]
            code = left[row]
            if stamp[code] != serial:
                stamp[code] = serial
                first[code] = row
                continue
            kept = True
            head = first[code]
            k = 0
            while k < count:
                column = wanted[k]
                k += 1
                right = columns.codes[columns.right[column]]
                if right[row] == right[head]:
                    continue
                if share_name(columns, column, right[head], right[row]):
                    mixed |= _ONE << np.uint64(column)
                    continue
                agree, differ = compare(columns, head, row)
                pending &= ~differ
                if known < len(agreed):
                    agreed[known] = agree
                    apart[known] = differ
                    known += 1
                if not pending:
                    return pending, pending, kept, known
                k = 0
                count = 0
                for other in range(len(columns.right)):
                    if pending >> np.uint64(other) & _ONE:
                        wanted[count] = other
                        count += 1
    return pending, mixed & pending, kept, known


@kernel
def walk(columns, masks, pending, limit, use, agreed, apart, known, scratch, holds, deficits, counters):
    """Test the candidates of some nodes of one level, given in lexicographic order.

    The walk keeps the partitions of the prefixes of the node in hand, so that nodes with a common prefix share them,
    and computes one only when a candidate has to be looked up in the data.

    Args:
        columns: the table.
        masks: [M] left sides, all with the same number of columns, one at least.
        pending: [M] the right sides to test of each.
        limit: tuples that may be dropped; 0 for exact dependencies.
        use: (skip keys, skip constant classes, refute by known pairs).
        agreed, apart: columns on which a pair of rows agrees and on which it has no common name; room for more.
        known: how many pairs these hold.
        scratch: room, deep enough for the level.
        holds: [M] out, the right sides that hold.
        deficits: [M, n] out if limit > 0, the tuples to drop for each candidate that holds.
        counters: [5] added to.

    Returns:
        How many pairs `agreed` and `apart` hold now.
    """
    skip_keys, skip_constant, by_pairs = use
    width = len(columns.right)
    path = np.full(64, -1, np.int64)
    sizes = np.zeros(64, np.int64)
    sizes[0] = 1
    ready = 0  # partitions of path[:0] .. path[:ready] are there
    lists = np.empty((scratch.rows.shape[0], len(agreed)), np.int32)
    lengths = np.zeros(64, np.int64)
    lengths[0] = known
    for e in range(known):
        lists[0, e] = e
    listed = 0  # pairs that agree on path[:0] .. path[:listed] are listed
    node = np.empty(64, np.int64)
    for m in range(len(masks)):
        depth = 0
        for column in range(width):
            if masks[m] >> np.uint64(column) & _ONE:
                node[depth] = column
                depth += 1
        depth -= 1
        last = node[depth]
        common = 0
        while common < depth and path[common] == node[common]:
            common += 1
        ready = min(ready, common)
        listed = min(listed, common)
        for i in range(common, depth):
            path[i] = node[i]

        open_ = pending[m]
        if by_pairs:
            while listed < depth:
                column = np.uint64(path[listed])
                found = 0
                for i in range(lengths[listed]):
                    e = lists[listed, i]
                    if agreed[e] >> column & _ONE:
                        lists[listed + 1, found] = e
                        found += 1
                listed += 1
                lengths[listed] = found
            for i in range(lengths[depth]):
                e = lists[depth, i]
                if agreed[e] >> np.uint64(last) & _ONE:
                    open_ &= ~apart[e]
                    if not open_:
                        break
            counters[REFUTED] += popcount(pending[m]) - popcount(open_)
        holds[m] = 0
        if not open_:
            continue

        while ready < depth:
            sizes[ready + 1] = refine(
                columns.codes[path[ready]], scratch.rows[ready], scratch.offsets[ready], sizes[ready],
                scratch.rows[ready + 1], scratch.offsets[ready + 1], scratch,
            )
            ready += 1
            counters[PARTITIONS] += 1
        rows, offsets, classes = scratch.rows[depth], scratch.offsets[depth], sizes[depth]
        counters[TESTED] += popcount(open_)
        look = open_
        if limit == 0:
            bound = np.uint64(0)
            if not skip_constant:
                for column in range(width):
                    if columns.base[column] >= 0:
                        bound |= _ONE << np.uint64(column)
            before = known
            settled, look, kept, known = scan(
                columns, last, open_ & ~bound, rows, offsets, classes, scratch, agreed, apart, known
            )
            look |= open_ & bound
            open_ = settled | look
            if by_pairs:
                for e in range(before, known):
                    for level in range(listed + 1):
                        lists[level, lengths[level]] = e
                        lengths[level] += 1
            else:
                known = before
            if not kept and skip_keys:
                counters[KEYS] += 1
                counters[TESTED] -= popcount(open_)
                look = np.uint64(0)
        if look:
            made = refine(
                columns.codes[last], rows, offsets, classes, scratch.rows[depth + 1], scratch.offsets[depth + 1], scratch
            )
            counters[PARTITIONS] += 1
            if made == 0 and skip_keys:
                counters[KEYS] += 1
                counters[TESTED] -= popcount(look)
            for column in range(width):
                if look >> np.uint64(column) & _ONE:
                    broken = 0
                    if made > 0 or not skip_keys:
                        broken = deficit(
                            columns, column, scratch.rows[depth + 1], scratch.offsets[depth + 1], made, scratch, limit,
                            skip_constant, counters,
                        )
                    if broken > limit:
                        open_ &= ~(_ONE << np.uint64(column))
                    elif limit > 0:
                        deficits[m, column] = broken
        holds[m] = open_
    return known


@kernel
def join(masks, open_):
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
        slot = _slot(table, masks, masks[m])
        table[slot] = m
    capacity = max(16, 2 * len(masks))
    out_masks, out_pending = np.empty(capacity, np.uint64), np.empty(capacity, np.uint64)
    count = 0
    begin = 0
    while begin < len(masks):
        prefix = masks[begin] & ~_last(masks[begin])
        end = begin
        while end < len(masks) and masks[end] & ~_last(masks[end]) == prefix:
            end += 1
        for i in range(begin, end):
            for j in range(i + 1, end):
                union = masks[i] | masks[j]
                pending = open_[i] & open_[j] & ~union
                rest = prefix
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
        begin = end
    return out_masks[:count].copy(), out_pending[:count].copy()


@kernel
def _last(mask):
    """The highest bit of a mask."""
    rest = mask & (mask - _ONE)
    while rest:
        mask = rest
        rest = mask & (mask - _ONE)
    return mask


@kernel
def _slot(table, masks, mask):
    """Where a mask stands in a hash table of positions, or the free slot where it belongs."""
    slot = np.int64((mask * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(20)) & (len(table) - 1)
    while table[slot] >= 0 and masks[table[slot]] != mask:
        slot = (slot + 1) & (len(table) - 1)
    return slot

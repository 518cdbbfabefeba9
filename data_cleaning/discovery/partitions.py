"""Numba kernels: stripped partitions, how many tuples break a dependency, one level of the lattice.

A stripped partition is (rows, offsets): class g holds rows[offsets[g] : offsets[g + 1]], ascending, two of them at
least. Sets of columns are 64-bit masks, bit i for column i. All in one file, since kernels may call those of their own
alone (`compiled.kernel`).
"""

import numpy as np
from numpy.typing import NDArray

from agentlab_runner.data_cleaning.discovery.compiled import kernel
from agentlab_runner.data_cleaning.table.columns import Columns, Scratch

Ints = NDArray[np.int32]
Longs = NDArray[np.int64]
Masks = NDArray[np.uint64]

_ONE = np.uint64(1)

TESTED, REFUTED, KEYS, PARTITIONS, CONSTANT, WEIGHED = range(6)
"""Positions in the counters of `walk`: candidates tested on the data; candidates a known pair of rows refutes; left
sides found to be keys; partitions made; classes of equal values that needed no look at their names; dependencies in
`weights`."""


@kernel
def _list(mask: np.uint64, out: Longs) -> int:
    """Write the columns of a mask, ascending; returns how many."""
    count = 0
    column = 0
    while mask:
        if mask & _ONE:
            out[count] = column
            count += 1
        mask >>= _ONE
        column += 1
    return count


@kernel
def _size(mask: np.uint64) -> int:
    count = 0
    while mask:
        mask &= mask - _ONE
        count += 1
    return count


@kernel
def refine(
    codes: Ints, rows: Ints, offsets: Ints, classes: int, out_rows: Ints, out_offsets: Ints, scratch: Scratch
) -> int:
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
            elif count > 1:  # the first of its class; now the count says where the next one goes: to -1 - count
                out_offsets[made] = position
                made += 1
                out_rows[position] = rows[i]
                counts[code] = -2 - position
                position += count
            elif count < 0:
                out_rows[-1 - count] = rows[i]
                counts[code] = count - 1
        if end - begin > len(counts):
            counts[:] = 0
        else:
            for i in range(end - begin):
                counts[held[i]] = 0
    out_offsets[made] = position
    return made


@kernel
def _share_name(columns: Columns, base: int, one: int, other: int) -> bool:
    """Whether two unequal codes of a column, whose name lists begin at `base`, have a concept in common."""
    if base < 0:
        return False
    i, i_end = columns.offsets[base + one], columns.offsets[base + one + 1]
    j, j_end = columns.offsets[base + other], columns.offsets[base + other + 1]
    if i_end - i == 1 and j_end - j == 1:
        return False  # equal sets of names have one code
    while i < i_end and j < j_end:
        if columns.classes[i] == columns.classes[j]:
            return True
        if columns.classes[i] < columns.classes[j]:
            i += 1
        else:
            j += 1
    return False


@kernel
def deficit(
    codes: Ints, base: int, columns: Columns, rows: Ints, offsets: Ints, classes: int, scratch: Scratch, limit: int,
    skip_constant: bool, counters: Longs,
) -> int:
    """Tuples to drop so that the values of every class have a common name; gives up once it exceeds `limit`.

    Sum over classes x of |x| - max_E |{t in x : E in names(t)}|, where the literal class of a value is a name too.

    Args:
        codes: [N] right-hand codes.
        base: where their name lists begin, -1 for literal classes only.
    """
    counts, held = scratch.counts, scratch.codes
    total = 0
    for g in range(classes):
        begin, end = offsets[g], offsets[g + 1]
        head = codes[rows[begin]]
        if end - begin == 2 and skip_constant:
            other = codes[rows[begin + 1]]
            if other == head:
                counters[CONSTANT] += 1
            elif not _share_name(columns, base, head, other):
                total += 1
                if total > limit:
                    break
            continue
        constant = True
        for i in range(begin, end):
            code = codes[rows[i]]
            held[i - begin] = code
            if code != head:
                constant = False
        if constant and skip_constant:
            counters[CONSTANT] += 1
            continue
        best, _ = best_name(held, end - begin, base, columns, counts)
        total += end - begin - best
        if total > limit:
            break
    return total


@kernel
def best_name(held: Ints, size: int, base: int, columns: Columns, counts: Ints) -> tuple[int, int]:
    """How many of held[:size] the most frequent name covers, and which it is.

    A name is a concept, or -1 - code for the literal class of a value without concepts. Of equals the lowest concept
    wins, and if there is none the value that comes first.
    """
    best, name = 0, -1
    for i in range(size):
        names, names_end = np.int64(0), np.int64(0)
        if base >= 0:
            names, names_end = columns.offsets[base + held[i]], columns.offsets[base + held[i] + 1]
        if names == names_end:
            counts[-1 - held[i]] += 1
        for k in range(names, names_end):
            counts[columns.classes[k]] += 1
    for i in range(size):
        names, names_end = np.int64(0), np.int64(0)
        if base >= 0:
            names, names_end = columns.offsets[base + held[i]], columns.offsets[base + held[i] + 1]
        if names == names_end:
            if counts[-1 - held[i]] > best:
                best, name = counts[-1 - held[i]], -1 - held[i]
            counts[-1 - held[i]] = 0
        for k in range(names, names_end):
            concept = columns.classes[k]
            if counts[concept] > best or (counts[concept] == best and best > 0 and (name < 0 or concept < name)):
                best, name = counts[concept], concept
            counts[concept] = 0
    return best, name


@kernel
def _compare(columns: Columns, one: int, other: int) -> tuple[np.uint64, np.uint64]:
    """Columns two rows agree on, and columns on which they have no name in common."""
    agree = np.uint64(0)
    apart = np.uint64(0)
    for column in range(len(columns.right)):
        if columns.codes[column, one] == columns.codes[column, other]:
            agree |= _ONE << np.uint64(column)
            continue
        right = columns.codes[columns.right[column]]
        if right[one] != right[other] and not _share_name(columns, columns.base[column], right[one], right[other]):
            apart |= _ONE << np.uint64(column)
    return agree, apart


@kernel
def sample(columns: Columns, order: Longs, most: int, scratch: Scratch, agreed: Masks, apart: Masks) -> int:
    """Compare rows that agree on the first columns of `order`: two of each class of each of its prefixes.

    Args:
        most: classes of a prefix to look at, about.
        scratch: two columns deep at least.
        agreed, apart: out, see `walk`.

    Returns:
        How many pairs were written.
    """
    known = source = 0
    classes = 1
    for column in order:
        target = 2 if source == 1 else 1
        classes = refine(
            columns.codes[column], scratch.rows[source], scratch.offsets[source], classes,
            scratch.rows[target], scratch.offsets[target], scratch,
        )
        source = target
        for g in range(0, classes, 1 + classes // most):
            if known == len(agreed):
                return known
            one = scratch.offsets[source, g]
            rows = scratch.rows[source]
            agreed[known], apart[known] = _compare(columns, rows[one], rows[one + 1])
            known += apart[known] != 0
    return known


@kernel
def _scan(
    columns: Columns, last: int, pending: np.uint64, rows: Ints, offsets: Ints, classes: int, scratch: Scratch,
    agreed: Masks, apart: Masks, known: int,
) -> tuple[np.uint64, np.uint64, np.uint64, bool, int]:
    """One pass over the classes of a prefix: which of `pending` may depend on prefix + `last`.

    Every row is compared with the first of its class under `last`. Rows without a common name refute a candidate; the
    pair is noted in `agreed` and `apart` while there is room. Different sets of names with a common one leave it open
    ("mixed"); unequal values, whatever their names, make it more than a functional dependency ("named").

    Returns:
        (candidates not refuted, those of them that are mixed, those that are named, whether a class has two rows, how
        many pairs are known).
    """
    left = columns.codes[last]
    first, stamp = scratch.first, scratch.stamp
    wanted = np.empty(64, np.int64)
    count = _list(pending, wanted)
    mixed = named = np.uint64(0)
    kept = False
    for g in range(classes):
        scratch.serial[0] += 1
        serial = scratch.serial[0]
        for i in range(offsets[g], offsets[g + 1]):
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
                    if columns.base[column] >= 0 and columns.codes[column, row] != columns.codes[column, head]:
                        named |= _ONE << np.uint64(column)
                    continue
                if _share_name(columns, columns.base[column], right[head], right[row]):
                    mixed |= _ONE << np.uint64(column)
                    continue
                agree, differ = _compare(columns, head, row)
                pending &= ~differ
                if known < len(agreed):
                    agreed[known] = agree
                    apart[known] = differ
                    known += 1
                if not pending:
                    return pending, pending, pending, kept, known
                count = _list(pending, wanted)
                k = 0
    return pending, mixed & pending, (mixed | named) & pending, kept, known


@kernel
def walk(
    columns: Columns, shuffled: Ints, masks: Masks, pending: Masks, limit: int, use: tuple[bool, bool, bool],
    agreed: Masks, apart: Masks, known: int, scratch: Scratch, holds: Masks, deficits: Ints, weights: Longs,
    counters: Longs,
) -> int:
    """Test the candidates of some nodes of one level, given in lexicographic order.

    The walk keeps the partitions of the prefixes of the node in hand, so that nodes with a common prefix share them,
    and makes one only when a candidate has to be looked up in the data.

    Args:
        columns: the table.
        shuffled: [bound, N], right-hand codes of the bound columns with their rows permuted.
        masks: [M] left sides, all with the same number of columns, one at least.
        pending: [M] the right sides to test of each.
        limit: tuples that may be dropped; 0 for exact dependencies.
        use: (skip keys, skip constant classes, refute by known pairs).
        agreed, apart: columns on which a pair of rows agrees and on which it has no common name; with room for more.
        known: how many pairs these hold.
        scratch: as deep as the level.
        holds: [M] out, the right sides that hold.
        deficits: [M, n] out if limit > 0, the tuples to drop for each candidate that holds.
        weights: [M * bound, 6] out, for each that holds and to which names may add something: mask number, column, and
            what `weigh` says.
        counters: [6], added to.

    Returns:
        How many pairs `agreed` and `apart` hold now.
    """
    skip_keys, skip_constant, by_pairs = use
    path = np.full(64, -1, np.int64)
    node = np.empty(64, np.int64)
    sizes = np.ones(64, np.int64)  # classes of the partitions of path[:0] .. path[:ready]
    ready = 0
    lists = np.empty((scratch.rows.shape[0], len(agreed)), np.int32)  # pairs agreeing on path[:0] .. path[:listed]
    lists[0, :known] = np.arange(known)
    lengths = np.full(64, known)
    listed = 0
    bound = np.uint64(0)
    for column in range(len(columns.base)):
        if columns.base[column] >= 0:
            bound |= _ONE << np.uint64(column)
    counted = np.uint64(0) if skip_constant else bound  # without a look for unequal values first
    wanted = np.empty(64, np.int64)

    for m in range(len(masks)):
        depth = _list(masks[m], node) - 1
        last = node[depth]
        common = 0
        while common < depth and path[common] == node[common]:
            common += 1
        ready, listed = min(ready, common), min(listed, common)
        path[common:depth] = node[common:depth]

        left = pending[m]
        if by_pairs:
            while listed < depth:
                found = 0
                for i in range(lengths[listed]):
                    pair = lists[listed, i]
                    if agreed[pair] >> np.uint64(path[listed]) & _ONE:
                        lists[listed + 1, found] = pair
                        found += 1
                listed += 1
                lengths[listed] = found
            for i in range(lengths[depth]):
                pair = lists[depth, i]
                if agreed[pair] >> np.uint64(last) & _ONE:
                    left &= ~apart[pair]
                    if not left:
                        break
            counters[REFUTED] += _size(pending[m] & ~left)
        holds[m] = 0
        if not left:
            continue

        while ready < depth:
            sizes[ready + 1] = refine(
                columns.codes[path[ready]], scratch.rows[ready], scratch.offsets[ready], sizes[ready],
                scratch.rows[ready + 1], scratch.offsets[ready + 1], scratch,
            )
            ready += 1
            counters[PARTITIONS] += 1
        rows, offsets, classes = scratch.rows[depth], scratch.offsets[depth], sizes[depth]
        asked = left
        open_ = named = left  # to be counted, may owe something to names
        kept = True
        if limit == 0:
            before = known
            left, mixed, named, kept, known = _scan(
                columns, last, left & ~counted, rows, offsets, classes, scratch, agreed, apart, known
            )
            open_ = mixed | (asked & counted)
            left |= open_
            for pair in range(before, known):
                for level in range(listed + 1):
                    lists[level, lengths[level]] = pair
                    lengths[level] += 1
        named = left & bound & (named | open_)
        if (open_ or named) and (kept or not skip_keys):
            rows, offsets = scratch.rows[depth + 1], scratch.offsets[depth + 1]
            classes = refine(
                columns.codes[last], scratch.rows[depth], scratch.offsets[depth], classes, rows, offsets, scratch
            )
            counters[PARTITIONS] += 1
            kept = classes > 0
            for k in range(_list(open_, wanted)):
                column = wanted[k]
                broken = deficit(
                    columns.codes[columns.right[column]], columns.base[column], columns, rows, offsets, classes,
                    scratch, limit, skip_constant, counters,
                )
                if broken > limit:
                    left &= ~(_ONE << np.uint64(column))
                elif limit > 0:
                    deficits[m, column] = broken
            for k in range(_list(left & named, wanted)):
                weight = weights[counters[WEIGHED]]
                weight[0], weight[1] = m, wanted[k]
                weigh(columns, shuffled, wanted[k], rows, offsets, classes, scratch, weight[2:])
                counters[WEIGHED] += 1
        if skip_keys and not kept:
            counters[KEYS] += 1
        else:
            counters[TESTED] += _size(asked)
        holds[m] = left
    return known


@kernel
def judge(
    columns: Columns, column: int, classes: int, depth: int, scratch: Scratch, which: Ints, best: Ints, name: Ints,
    alone: Ints,
) -> int:
    """Look into the classes of the partition at `depth` of `scratch` whose values of a column are not all equal.

    Args:
        which, best, name, alone: out, for the i-th of them: its number, how many tuples its best name covers, that name
            as in `best_name`, and how many carry its most frequent value.

    Returns:
        How many there are.
    """
    offsets = scratch.offsets[depth]
    found = 0
    for g in range(classes):
        alone[found], best[found], name[found] = _judge_one(
            columns, column, scratch.rows[depth], offsets[g], offsets[g + 1], scratch
        )
        which[found] = g
        found += alone[found] < offsets[g + 1] - offsets[g]
    return found


@kernel
def weigh(
    columns: Columns, shuffled: Ints, column: int, rows: Ints, offsets: Ints, classes: int, scratch: Scratch, out: Longs
) -> None:
    """What names add to the dependency of a bound column on the classes of a partition.

    Args:
        shuffled: see `walk`.
        out: [4] classes of unequal values with a common name, their tuples, tuples that names save from being dropped,
            tuples to drop when the column is shuffled.
    """
    out[:] = 0
    for g in range(classes):
        size = offsets[g + 1] - offsets[g]
        alone, best, _ = _judge_one(columns, column, rows, offsets[g], offsets[g + 1], scratch)
        out[2] += best - alone
        if best == size and alone < size:
            out[0] += 1
            out[1] += size
    out[3] = deficit(
        shuffled[columns.right[column] - len(columns.right)], columns.base[column], columns, rows, offsets, classes,
        scratch, len(rows), True, np.zeros(6, np.int64),
    )


@kernel
def _judge_one(
    columns: Columns, column: int, rows: Ints, begin: int, end: int, scratch: Scratch
) -> tuple[int, int, int]:
    """(tuples with the most frequent value of a class, tuples its best name covers, that name)."""
    values, codes, base = columns.codes[column], columns.codes[columns.right[column]], columns.base[column]
    held = scratch.codes
    head = rows[begin]
    i = begin + 1
    while i < end and values[rows[i]] == values[head]:
        i += 1
    if i == end:
        return end - begin, end - begin, -1 - values[head]
    alone, name = 1, -1 - values[head]
    if end - begin > 2:
        for i in range(begin, end):
            held[i - begin] = values[rows[i]]
        alone, name = best_name(held, end - begin, -1, columns, scratch.counts)
    if base < 0:
        return alone, alone, name
    i = begin + 1
    while i < end and codes[rows[i]] == codes[head]:
        i += 1
    if i == end:  # different spellings of the same concepts
        return alone, end - begin, columns.classes[columns.offsets[base + codes[head]]]
    for i in range(begin, end):
        held[i - begin] = codes[rows[i]]
    best, name = best_name(held, end - begin, base, columns, scratch.counts)
    return alone, best, name

"""What names add to a dependency, class by class and against chance."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from agentlab_runner.data_cleaning.discovery import partitions
from agentlab_runner.data_cleaning.discovery.compiled import kernel
from agentlab_runner.data_cleaning.discovery.partitions import Ints
from agentlab_runner.data_cleaning.table.columns import Columns, Scratch
from agentlab_runner.data_cleaning.types import Strength


class Judged(NamedTuple):
    """The classes of a partition whose right-hand values are not all equal."""

    begins: Ints
    """Where their rows begin in the partition ..."""
    sizes: Ints
    """... and how many they are."""
    best: Ints
    """Tuples that the best name of each covers."""
    name: Ints
    """That name, as in `partitions.best_name`."""
    alone: Ints
    """Tuples with its most frequent value."""

    @property
    def deficit(self) -> int:
        """Tuples to drop so that the dependency holds."""
        return int((self.sizes - self.best).sum())

    @property
    def gain(self) -> int:
        """Tuples that names save from being dropped."""
        return int((self.best - self.alone).sum())

    def strength(self, broken_by_chance: int, rows: int) -> Strength:
        """Given the tuples to drop when the column is permuted, and those of the table."""
        by_name = self.best == self.sizes
        held = int(self.sizes[by_name].sum())
        return Strength(int(by_name.sum()), held, self.gain / rows, (rows - broken_by_chance) / rows)


def partition(columns: Columns, lhs: Sequence[int], scratch: Scratch) -> int:
    """Partition by some columns, at depth len(lhs) of `scratch`; returns the number of classes."""
    classes = 1
    for depth, column in enumerate(lhs):
        classes = partitions.refine(
            columns.codes[column], scratch.rows[depth], scratch.offsets[depth], classes, scratch.rows[depth + 1],
            scratch.offsets[depth + 1], scratch,
        )
    return classes


def judge(columns: Columns, column: int, classes: int, depth: int, scratch: Scratch) -> Judged:
    """Look at the classes of the partition at `depth` of `scratch`."""
    which, best, name, alone = (np.empty(classes, np.int32) for _ in range(4))
    found = partitions.judge(columns, column, classes, depth, scratch, which, best, name, alone)
    begins, ends = scratch.offsets[depth][which[:found]], scratch.offsets[depth][which[:found] + 1]
    return Judged(begins, ends - begins, best[:found], name[:found], alone[:found])


def broken_by_chance(columns: Columns, column: int, codes: Ints, classes: int, depth: int, scratch: Scratch) -> int:
    """Tuples to drop when the right-hand codes are `codes`, those of the column permuted."""
    deficit: int = partitions.deficit(
        codes, columns.base[column], columns, scratch.rows[depth], scratch.offsets[depth], classes, scratch, len(codes),
        True, np.zeros(6, np.int64),
    )
    return deficit


def permuted(columns: Columns, column: int) -> Ints:
    """[N] right-hand codes of a column in the order of `permutation`."""
    codes = columns.codes[columns.right[column]]
    shuffled: Ints = _permute(codes, *permutation(len(codes)))
    return shuffled


def permutation(rows: int) -> tuple[int, int, int]:
    """A permutation far from the given order: row i takes the value of row f(i), f(i) = (a i + b) mod p.

    As p is a prime, no period of the table survives. It may exceed `rows`: where f(i) is no row, f is applied again.

    Returns:
        (a, b, p).
    """
    prime = max(2, rows)
    while any(prime % divisor == 0 for divisor in range(2, math.isqrt(prime) + 1)):
        prime += 1
    return max(1, round(prime * (math.sqrt(5) - 1) / 2)), rows // 2, prime


@kernel
def _permute(codes: Ints, stride: int, start: int, prime: int) -> Ints:
    """[N] codes in the order of `permutation`."""
    out = np.empty_like(codes)
    source = start % prime
    for row in range(len(codes)):
        at = source
        while at >= len(codes):
            at = (at * stride + start) % prime
        out[row] = codes[at]
        source += stride
        if source >= prime:
            source -= prime
    return out

"""Slow and obvious: what discovery and checking should say, by enumeration. And small hand-made ontologies."""

import math
import random
from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from agentlab_runner.data_cleaning.types import NameLists

Rows = Sequence[Sequence[str | None]]


class Binding:
    """Concepts of columns as {column: {concept: labels}} with is-a edges (child, parent): `names` of an ontology."""

    def __init__(
        self,
        labels: Mapping[str, Mapping[int, Sequence[str]]],
        isa: Mapping[str, Sequence[tuple[int, int]]] | None = None,
    ) -> None:
        self._labels = labels
        self._isa = isa or {}

    def of(self, column: str, value: str | None, theta: int) -> set[int]:
        """names_theta of one value."""
        reached = {concept for concept, labels in self._labels[column].items() if value in labels}
        for _ in range(theta):
            reached |= {parent for child, parent in self._isa.get(column, ()) if child in reached}
        return reached

    def names(self, column: str, values: Sequence[str | None], theta: int) -> NameLists | None:
        if column not in self._labels:
            return None
        lists = [sorted(self.of(column, value, theta)) for value in values]
        offsets = np.cumsum([0, *map(len, lists)])
        return NameLists(offsets.astype(np.int32), np.array([c for part in lists for c in part], np.int32))


def covered(names: Sequence[str], rows: Rows, lhs: Sequence[str], rhs: str, binding: Binding | None, theta: int) -> int:
    """Tuples that can be kept: for every class the best concept's, or the most frequent value's."""
    classes: dict[tuple[str | None, ...], list[str | None]] = {}
    for row in rows:
        classes.setdefault(tuple(row[names.index(column)] for column in lhs), []).append(row[names.index(rhs)])
    kept = 0
    for values in classes.values():
        counts: dict[object, int] = {}
        for value in values:
            concepts = binding.of(rhs, value, theta) if binding and rhs in binding._labels else set()
            for name in {("value", value)} | {("concept", concept) for concept in concepts}:
                counts[name] = counts.get(name, 0) + 1
        kept += max(counts.values())
    return kept


def minimal(
    names: Sequence[str], rows: Rows, binding: Binding | None = None, theta: int = 0, kappa: float = 1.0
) -> dict[tuple[tuple[str, ...], str], int]:
    """{(lhs, rhs): tuples covered} of all minimal dependencies."""
    found: dict[tuple[tuple[str, ...], str], int] = {}
    need = math.ceil(kappa * len(rows) - 1e-9)
    for size in range(len(names)):
        for lhs in combinations(names, size):
            for rhs in names:
                smaller = any(set(known) <= set(lhs) for known, right in found if right == rhs)
                if rhs in lhs or smaller:
                    continue
                kept = covered(names, rows, lhs, rhs, binding, theta)
                if kept >= need:
                    found[lhs, rhs] = kept
    return found


def random_rows(rng: random.Random, count: int, width: int) -> Rows:
    sizes = [rng.choice([1, 2, 3, 5, 9]) for _ in range(width)]
    rows = [[f"v{rng.randrange(size)}" for size in sizes] for _ in range(count)]
    for target in range(1, width, 3):  # some columns depend on others, with a few exceptions
        for row in rows:
            if rng.random() < 0.9:
                row[target] = f"v{(len(row[0]) * 7 + ord(row[0][-1])) % sizes[target]}"
    return rows


def random_binding(rng: random.Random, columns: Sequence[str]) -> Binding:
    """Ambiguous labels under a random DAG, for about half of the columns."""
    labels: dict[str, dict[int, list[str]]] = {}
    isa: dict[str, list[tuple[int, int]]] = {}
    for column in columns:
        if rng.random() < 0.6:
            concepts = rng.randint(1, 6)
            labels[column] = {c: [f"v{v}" for v in range(9) if rng.random() < 0.3] for c in range(concepts)}
            isa[column] = [(c, p) for c in range(concepts) for p in range(c) if rng.random() < 0.4]
    return Binding(labels, isa)

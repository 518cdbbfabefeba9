"""An ontology: what the values of a column may mean, by column."""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import reduce
from itertools import repeat
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from agentlab_runner.data_cleaning.ontology.form import full_name, hierarchy_of, written
from agentlab_runner.data_cleaning.types import Concept, Hierarchy, NameLists, Table

LOW_COVERAGE = 0.1
"""Below this share of known values a report warns: the ontology hardly speaks of the column."""

_STEPS = {
    "nfkc": lambda text: text if text.isascii() else unicodedata.normalize("NFKC", text),
    "strip": str.strip,
    "casefold": str.casefold,
}


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of a column its ontology knows."""

    column: str
    values: int
    """Distinct values, NULL left out."""
    known: int
    """Those that are a label of some concept."""
    rows: int
    known_rows: int
    examples: tuple[str, ...]
    """The most frequent values it does not know."""

    @property
    def share(self) -> float:
        """Known share of the cells, for slips of the pen are many values and few cells; 1 for a column without any."""
        return self.known_rows / self.rows if self.rows else 1.0

    @property
    def warning(self) -> str | None:
        """A sentence, if the share is below 10 %."""
        if self.share >= LOW_COVERAGE:
            return None
        seen = ", ".join(map(repr, self.examples[:3]))
        return (
            f"the ontology knows {self.known_rows} of the {self.rows} cells of column {self.column!r} (not {seen}); "
            "is it bound to the right column, and does it need normalising (strip, casefold, NFKC)?"
        )


@dataclass(frozen=True)
class Ontology:
    """Concepts bound to columns; made by `bind` or `from_dict`, never changed."""

    columns: Mapping[str, Hierarchy] = field(default_factory=dict)
    normalise: Mapping[str, str] = field(default_factory=dict)
    """How values and labels of a column are made alike before they are compared; `none` where nothing is said."""
    condensed: tuple[str, ...] = ()
    """A sentence for every is-a cycle whose concepts were made one."""
    _indexes: dict[str, "_Index"] = field(default_factory=dict, init=False, repr=False, compare=False)

    def bind(self, column: str, hierarchy: Hierarchy, normalise: str | None = None) -> Self:
        """This ontology with `hierarchy` bound to `column` too; what the column had before stays beside it.

        Concepts on an is-a cycle become one, and `condensed` says so. Concepts of one name and sense get numbers.

        Args:
            normalise: `none`, `strip`, `casefold`, `NFKC`, or several joined by `+`; None leaves it as it is.

        Raises:
            ValueError: if `normalise` or an is-a edge is unknown.
        """
        before = self.columns.get(column, Hierarchy(()))
        shift = len(before.concepts)
        edges = before.isa + tuple((child + shift, parent + shift) for child, parent in hierarchy.isa)
        joined = Hierarchy(before.concepts + hierarchy.concepts, edges)
        outside = [edge for edge in edges if not all(0 <= end < len(joined.concepts) for end in edge)]
        if outside:
            raise ValueError(f"is-a edge {outside[0]} of column {column!r} names a concept that does not exist")
        joined, cycles = _condense(joined)
        said = tuple(f"column {column!r}: is-a cycle {' -> '.join((*cycle, cycle[0]))}" for cycle in cycles)
        ways = dict(self.normalise) if normalise is None else {**self.normalise, column: normalise}
        _steps(ways.get(column, "none"))
        named = Hierarchy(tuple(_told_apart(joined.concepts)), joined.isa)
        return type(self)({**self.columns, column: named}, ways, self.condensed + said)

    def names(self, column: str, values: Sequence[str | None], theta: int = 0) -> NameLists | None:
        """names_theta(v): for each value the concepts at most `theta` is-a steps above one that it is a label of.

        Args:
            values: text of each code of the column; None (NULL) has no names.

        Returns:
            Lists in the order of `values`; None if nothing is bound to the column.

        Raises:
            ValueError: if `theta` is negative.
        """
        if theta < 0:
            raise ValueError(f"theta counts is-a steps and must be 0 or more, not {theta}")
        if column not in self.columns:
            return None
        index = self._index(column)
        hits = np.fromiter(map(index.of.get, self._normal(column, values), repeat(-1)), np.int64, len(values))
        used = _unique(hits[hits >= 0])
        reached = _upward(_rows(index.classes, np.append(used, -1)), index.parents, theta)
        return _rows(reached, np.where(hits < 0, len(used), np.searchsorted(used, hits)))

    def descendants(self, column: str, concept: int, theta: int | None = None) -> tuple[str, ...]:
        """Labels of a concept and of the concepts below it, at most `theta` steps down, nearest first, each once."""
        hierarchy = self.columns[column]
        children = self._index(column).children
        found, level, depth = {concept: None}, [concept], 0
        while level and (theta is None or depth < theta):
            level = [child for parent in level for child in children.get(parent, ()) if child not in found]
            found |= dict.fromkeys(level)
            depth += 1
        return tuple(dict.fromkeys(label for one in found for label in hierarchy.concepts[one].labels))

    def canonical(self, column: str, concept: int) -> str | None:
        """The label a concept is written with; None if it has no label, being a mere heading."""
        labels = self.columns[column].concepts[concept].labels
        return labels[0] if labels else None

    def with_additions(self, additions: Iterable[tuple[str, str, int]]) -> Self:
        """This ontology where each (column, value, concept) makes `value` one more label of `concept`."""
        concepts = {column: list(hierarchy.concepts) for column, hierarchy in self.columns.items()}
        for column, value, concept in additions:
            known = concepts[column][concept]
            if value not in known.labels:
                concepts[column][concept] = replace(known, labels=(*known.labels, value))
        grown = {column: Hierarchy(tuple(concepts[column]), old.isa) for column, old in self.columns.items()}
        return replace(self, columns=grown)

    def only(self, senses: Iterable[str]) -> Self:
        """The concepts of these senses alone; those without a sense stay.

        Raises:
            ValueError: if a sense does not occur.
        """
        wanted = {*senses, ""}
        there = {concept.sense for hierarchy in self.columns.values() for concept in hierarchy.concepts}
        for sense in sorted(wanted - there - {""}):
            known = ", ".join(sorted(there - {""})) or "none"
            raise ValueError(f"the ontology has no sense {sense!r}; its senses are: {known}")
        kept = {column: _subset(hierarchy, wanted) for column, hierarchy in self.columns.items()}
        return replace(self, columns=kept)

    def require(self, columns: Sequence[str]) -> None:
        """Check that a table with these columns has every bound one.

        Raises:
            ValueError: if one is missing.
        """
        for column in self.columns:
            if column not in columns:
                near = get_close_matches(column, columns, 1)
                hint = f"did you mean {near[0]!r}" if near else f"its columns are {', '.join(columns)}"
                raise ValueError(f"the ontology is bound to column {column!r}, which the table does not have; {hint}")

    def coverage(self, table: Table) -> list[Coverage]:
        """How much the ontology knows of each bound column of `table`, in the table's order."""
        found = []
        for name, codes, values in zip(table.names, table.codes, table.values, strict=True):
            lists = self.names(name, values)
            if lists is None:
                continue
            counts = np.bincount(codes, minlength=len(values))
            there = np.array([value is not None for value in values], dtype=bool)
            known = np.diff(lists.offsets) > 0
            unknown = np.flatnonzero(there & ~known)
            common = unknown[np.argsort(-counts[unknown], kind="stable")][:10]
            found.append(
                Coverage(name, int(there.sum()), int(known.sum()), int(counts[there].sum()), int(counts[known].sum()),
                         tuple(str(values[code]) for code in common))
            )
        return found

    @classmethod
    def from_dict(cls, spec: Mapping[str, Any]) -> Self:
        """An ontology from `{"COLUMN": {"classes": {"concept": ["label", ...]}, "isa": [["child", "parent"], ...]}}`.

        A class may also be `{"labels": [...], "sense": "FDA"}`, and a column may say `"normalise": "casefold"`.
        The name of a class is no label of it unless listed. A parent that is no class is a heading without labels.
        Classes of one name under several senses are written `name (sense)`.

        Raises:
            ValueError: if the form is another.
        """
        ontology = cls()
        if not isinstance(spec, Mapping):
            raise ValueError(f"an ontology is an object with one entry a column, not a {type(spec).__name__}")
        for column, content in spec.items():
            ontology = ontology.bind(column, hierarchy_of(column, content), content.get("normalise"))
        return ontology

    def to_dict(self) -> dict[str, Any]:
        """What `from_dict` takes."""
        return {
            column: {
                **({"normalise": self.normalise[column]} if column in self.normalise else {}),
                **written(hierarchy),
            }
            for column, hierarchy in self.columns.items()
        }

    def _normal(self, column: str, values: Iterable[str | None]) -> Iterable[str | None]:
        steps = _steps(self.normalise.get(column, "none"))
        if not steps:
            return values
        return (None if value is None else reduce(lambda text, step: step(text), steps, value) for value in values)

    def _index(self, column: str) -> "_Index":
        """Made once a column: hashing the labels is what takes time."""
        if column not in self._indexes:
            hierarchy = self.columns[column]
            owners = [concept for concept, one in enumerate(hierarchy.concepts) for _ in one.labels]
            texts = self._normal(column, (label for one in hierarchy.concepts for label in one.labels))
            of: dict[str | None, int] = {}
            labels = [of.setdefault(text, len(of)) for text in texts]
            edges = np.array(hierarchy.isa, dtype=np.int64).reshape(-1, 2)
            children: dict[int, list[int]] = {}
            for child, parent in sorted(hierarchy.isa):
                children.setdefault(parent, []).append(child)
            self._indexes[column] = _Index(
                of,
                _lists(np.array(labels, dtype=np.int64), np.array(owners, dtype=np.int64), len(of) + 1),
                _lists(edges[:, 0], edges[:, 1], len(hierarchy.concepts)),
                children,
            )
        return self._indexes[column]


@dataclass(frozen=True, slots=True)
class _Index:
    of: dict[str | None, int]
    """Number of each normalised label."""
    classes: NameLists
    """Concepts of each label; one empty row more, at -1, for what is no label."""
    parents: NameLists
    children: dict[int, list[int]]


def _steps(normalise: str) -> list[Any]:
    """Compatibility characters first, since some of them are blanks and capitals."""
    asked = str(normalise).lower().split("+")
    unknown = [step for step in asked if step not in {"none", *_STEPS}]
    if unknown:
        raise ValueError(f"normalise={normalise!r} is unknown; use none, strip, casefold, NFKC or several joined by +")
    return [_STEPS[step] for step in _STEPS if step in asked]


def _lists(owner: NDArray[np.int64], member: NDArray[np.int64], rows: int) -> NameLists:
    """Members of each owner 0 .. rows - 1, ascending, each once."""
    width = int(member.max(initial=0)) + 1
    keys = _unique(owner * width + member)
    offsets = np.zeros(rows + 1, dtype=np.int32)
    np.cumsum(np.bincount(keys // width, minlength=rows), out=offsets[1:])
    return NameLists(offsets, (keys % width).astype(np.int32))


def _rows(lists: NameLists, which: NDArray[np.int64]) -> NameLists:
    """Some rows of compressed lists, in the order asked for."""
    lengths = np.diff(lists.offsets)[which]
    offsets = np.zeros(len(which) + 1, dtype=np.int32)
    np.cumsum(lengths, out=offsets[1:])
    at = np.arange(offsets[-1]) + np.repeat(lists.offsets[:-1][which] - offsets[:-1], lengths)
    return NameLists(offsets, lists.classes[at])


def _upward(lists: NameLists, parents: NameLists, theta: int) -> NameLists:
    """`lists` with every concept at most `theta` steps above one of a row added to that row."""
    rows, width = len(lists.offsets) - 1, max(1, len(parents.offsets) - 1)
    owner = np.repeat(np.arange(rows, dtype=np.int64), np.diff(lists.offsets))
    keys: NDArray[np.int64] = owner * width + lists.classes
    new = keys
    for _ in range(theta):
        step = _rows(parents, new % width)
        above = _unique(np.repeat(new // width, np.diff(step.offsets)) * width + step.classes)
        new = above[keys[np.searchsorted(keys, above).clip(max=len(keys) - 1)] != above]
        if not len(new):
            break
        keys = np.sort(np.concatenate((keys, new)))
    return _lists(keys // width, keys % width, rows)


def _unique(keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """What np.unique gives; sorting is several times faster than its hashing on a million keys."""
    keys = np.sort(keys)
    return keys[np.concatenate(([True], keys[1:] != keys[:-1]))] if len(keys) else keys


def _condense(hierarchy: Hierarchy) -> tuple[Hierarchy, list[list[str]]]:
    """The hierarchy with the concepts of each is-a cycle made one, and the names on each cycle."""
    count = len(hierarchy.concepts)
    edges = np.unique(np.array(hierarchy.isa, dtype=np.int64).reshape(-1, 2), axis=0)
    edges = edges[edges[:, 0] != edges[:, 1]]
    left = edges
    while len(left):  # peel off the roots; what cannot be peeled leads into a cycle
        has_parent = np.zeros(count, dtype=bool)
        has_parent[left[:, 0]] = True
        if has_parent[left[:, 1]].all():
            break
        left = left[has_parent[left[:, 1]]]
    if not len(left):
        return Hierarchy(hierarchy.concepts, tuple(map(tuple, edges.tolist()))), []

    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    graph = coo_matrix((np.ones(len(left)), (left[:, 0], left[:, 1])), shape=(count, count))
    _, part = connected_components(graph, connection="strong")
    members: dict[int, list[int]] = {}
    for concept, component in enumerate(part.tolist()):
        members.setdefault(component, []).append(concept)
    groups = sorted(members.values())
    place = {concept: position for position, group in enumerate(groups) for concept in group}
    merged = tuple(
        replace(
            hierarchy.concepts[group[0]],
            labels=tuple(dict.fromkeys(label for one in group for label in hierarchy.concepts[one].labels)),
        )
        for group in groups
    )
    moved = sorted({(place[child], place[parent]) for child, parent in edges.tolist()})
    isa = tuple((child, parent) for child, parent in moved if child != parent)
    return Hierarchy(merged, isa), [[hierarchy.concepts[one].name for one in group] for group in groups if group[1:]]


def _subset(hierarchy: Hierarchy, senses: set[str]) -> Hierarchy:
    kept = [position for position, concept in enumerate(hierarchy.concepts) if concept.sense in senses]
    place = {position: new for new, position in enumerate(kept)}
    isa = ((place[child], place[parent]) for child, parent in hierarchy.isa if {child, parent} <= place.keys())
    return Hierarchy(tuple(hierarchy.concepts[position] for position in kept), tuple(isa))


def _told_apart(concepts: Iterable[Concept]) -> Iterable[Concept]:
    """The concepts, with a number where name and sense are those of one before."""
    taken: set[str] = set()
    for concept in concepts:
        told, number = concept, 1
        while full_name(told) in taken:
            number += 1
            told = replace(concept, name=f"{concept.name} #{number}")
        taken.add(full_name(told))
        yield told

"""The nouns of data cleaning: tables as codes, concepts, names of values, dependencies."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["synonym", "inheritance"]
Codes = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Table:
    """A relation with every column dictionary-encoded."""

    names: tuple[str, ...]
    codes: tuple[Codes, ...]
    """One [N] array a column; equal codes mean equal values. Codes are dense: 0 .. len(values) - 1."""
    values: tuple[Sequence[str | None], ...]
    """What each code of a column stands for, as text; None is NULL. With distinct nulls several codes are None."""

    @property
    def rows(self) -> int:
        return len(self.codes[0]) if self.codes else 0


@dataclass(frozen=True, slots=True)
class Concept:
    """One class of an ontology under one interpretation."""

    name: str
    labels: tuple[str, ...]
    """Synonyms as written, the canonical one first."""
    sense: str = ""
    """Who says so: FDA, ISO, ...; empty where the ontology has one interpretation."""


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """Concepts and their is-a edges: the ontology bound to one column. A DAG; loaders condense cycles."""

    concepts: tuple[Concept, ...]
    isa: tuple[tuple[int, int], ...] = ()
    """(child, parent) positions in `concepts`."""
    notes: tuple[str, ...] = field(default=(), compare=False)
    """What its source says and was not read, in sentences."""


@dataclass(frozen=True, slots=True)
class NameLists:
    """names_theta of every value of a column, in compressed rows; literal classes are not listed.

    Value code v belongs to classes[offsets[v] : offsets[v + 1]], positions in `Hierarchy.concepts`, ascending.
    """

    offsets: NDArray[np.int32]
    """[V + 1]."""
    classes: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Strength:
    """What the ontology added to one dependency; without it a broad concept makes everything hold."""

    classes: int
    """Non-constant equivalence classes that hold only because of the ontology."""
    rows: int
    """Their tuples."""
    gain: float
    """Support minus that of the plain functional dependency."""
    chance: float
    """Support after the right-hand column is permuted."""


@dataclass(frozen=True, slots=True, order=True)
class OFD:
    """lhs -> rhs holds up to concepts: in every lhs-class some concept covers all right-hand values (spec 2.2)."""

    lhs: tuple[str, ...]
    rhs: str
    kind: Kind = "synonym"
    theta: int = 0
    """is-a steps upward from each value; 0 for synonym."""
    support: float = field(default=1.0, compare=False)
    """Largest share of tuples that can be kept so that it holds."""
    strength: Strength | None = field(default=None, compare=False)

    def __str__(self) -> str:
        arrow = "->" if self.kind == "synonym" else f"->inh,{self.theta}"
        return f"{', '.join(map(quoted, self.lhs)) or '[]'} {arrow} {quoted(self.rhs)}"


def quoted(name: str) -> str:
    """A column name as it is written in a dependency: in double quotes, those within doubled, where it needs them."""
    plain = name == name.strip() and name not in ("", "[]") and not name.startswith('"')
    plain = plain and not any(mark in name for mark in (",", "->", "\n", "\r"))
    return name if plain else '"' + name.replace('"', '""') + '"'

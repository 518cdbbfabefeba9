"""Which values of a column each sense covers: concepts of the ontology, and the literal class of every value."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from agentlab_runner.data_cleaning.ontology.form import full_name
from agentlab_runner.data_cleaning.ontology.ontology import Ontology
from agentlab_runner.data_cleaning.types import Concept, Hierarchy, NameLists

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


class Readings:
    """The senses the values of one column can be read in.

    A sense is a number: concept 0 .. C - 1, or C + v, the literal class of value v alone (spec 2.1).

    Args:
        values: the text of each value code; None is NULL, which no concept covers.
        thetas: is-a distances that will be asked for.
    """

    def __init__(self, column: str, values: Sequence[str | None], ontology: Ontology, thetas: Iterable[int]) -> None:
        self.column = column
        self.texts = list(values)
        self.ontology = ontology
        self.hierarchy = ontology.columns.get(column, Hierarchy(()))
        self.null = np.array([text is None for text in self.texts], dtype=bool)
        self._names = {theta: self._lists(self.texts, theta) for theta in {0, *thetas}}
        self.known = np.diff(self._names[0].offsets) > 0
        """[V], whether a value is a label of some concept."""
        interpretations = sorted({concept.sense for concept in self.hierarchy.concepts})
        place = {one: number for number, one in enumerate(interpretations)}
        self.interpretation = np.array([place[concept.sense] for concept in self.hierarchy.concepts], dtype=np.int64)
        """[C], by number, who says so: concepts of one interpretation exclude each other."""
        self._keys = {theta: self._pairs(lists) for theta, lists in self._names.items()}

    @property
    def concepts(self) -> int:
        return len(self.hierarchy.concepts)

    @property
    def senses(self) -> int:
        """How many senses there are, literal ones included."""
        return self.concepts + len(self.texts)

    def names(self, theta: int) -> NameLists:
        """names_theta of every value; literal classes are not listed."""
        return self._names[theta]

    def covers(self, theta: int, values: Ints, senses: Ints) -> Bools:
        """Whether each value is read in the sense beside it; any shape, broadcast."""
        values, senses = np.broadcast_arrays(values, senses)
        keys = self._keys[theta]
        literal: Bools = senses == self.concepts + values
        if not len(keys):
            return literal
        wanted = values * self.concepts + senses
        found = keys[np.searchsorted(keys, wanted).clip(max=len(keys) - 1)] == wanted
        return np.asarray(literal | (found & (senses < self.concepts)), dtype=bool)

    def named_otherwise(self, values: Ints, senses: Ints) -> Bools:
        """Whether each value, not covered by the concept beside it, is a label of another one of its interpretation."""
        found = np.zeros(len(values), dtype=bool)
        lists = self._names[0]
        owner = np.repeat(np.arange(len(self.texts)), np.diff(lists.offsets))
        concept = senses < self.concepts
        for one in np.unique(self.interpretation[senses[concept]]):
            labelled = np.zeros(len(self.texts), dtype=bool)
            labelled[owner[self.interpretation[lists.classes] == one]] = True
            mine = np.flatnonzero(concept)
            mine = mine[self.interpretation[senses[mine]] == one]
            found[mine] = labelled[values[mine]]
        return found

    def covers_text(self, theta: int, texts: Sequence[str], sense: int) -> list[bool]:
        """The same for texts that need not stand in the column."""
        if sense >= self.concepts:
            return [text == self.texts[sense - self.concepts] for text in texts]
        lists = self._lists(texts, theta)
        return [sense in lists.classes[lists.offsets[i] : lists.offsets[i + 1]] for i in range(len(texts))]

    def labels(self, theta: int, sense: int) -> tuple[str, ...]:
        """What the ontology lists for a sense, the canonical label first; NULL's literal has none."""
        if sense < self.concepts:
            return self.ontology.descendants(self.column, sense, theta)
        text = self.texts[sense - self.concepts]
        return () if text is None else (text,)

    def concept(self, sense: int) -> Concept | None:
        return self.hierarchy.concepts[sense] if sense < self.concepts else None

    def describe(self, sense: int) -> str:
        """A sense as a reader meets it: `United States (ISO)`, or `'abc' itself` for a literal class."""
        concept = self.concept(sense)
        if concept is None:
            text = self.texts[sense - self.concepts]
            return "NULL" if text is None else f"{text!r} itself"
        return full_name(concept)

    def _lists(self, texts: Sequence[str | None], theta: int) -> NameLists:
        lists = self.ontology.names(self.column, texts, theta)
        empty = np.zeros(0, dtype=np.int32)
        return lists or NameLists(np.zeros(len(texts) + 1, dtype=np.int32), empty)

    def _pairs(self, lists: NameLists) -> Ints:
        """(value, concept) as one ascending number each."""
        values = np.repeat(np.arange(len(self.texts), dtype=np.int64), np.diff(lists.offsets))
        return values * self.concepts + lists.classes

"""How good a repair is when the truth is known: cells, additions, senses, and false alarms spared (spec 9b)."""

from collections.abc import Collection, Hashable, Mapping
from typing import Literal

from agentlab_runner.data_cleaning.experiments.inject import Planted
from agentlab_runner.data_cleaning.repairs.readings import Bools
from agentlab_runner.data_cleaning.repairs.score import Score, score

Match = Literal["exact", "synonym"]


def cells(planted: Planted, changes: Mapping[str, Mapping[int, str | None]], match: Match) -> Score:
    """Of changed cells against damaged ones.

    A change is right where the cell was damaged and the new text is the clean one (`exact`) or a label of the concept
    that was meant (`synonym`). A change of a clean cell is wrong even if it writes a synonym.
    """
    correct = done = wanted = 0
    for column, damaged in planted.errors.items():
        at = planted.clean.names.index(column)
        clean, meant = planted.clean.codes[at], planted.concept[column]
        labels = [frozenset(concept.labels) for concept in planted.truth.columns[column].concepts]
        own = changes.get(column, {})
        for row, text in own.items():
            same = text == planted.clean.values[at][clean[row]]
            correct += bool(damaged[row]) and (same or (match == "synonym" and text in labels[meant[row]]))
        done += len(own)
        wanted += int(damaged.sum())
    return score(correct, done, wanted)


def additions(planted: Planted, added: Collection[tuple[str, str, int]]) -> Score:
    """Of (column, label, concept) added against those that were removed."""
    return score(len(planted.removed & set(added)), len(added), len(planted.removed))


def accuracy(found: Collection[Hashable], true: Collection[Hashable]) -> float:
    """Share of equal entries, as of senses by class; 1 where there are none."""
    pairs = list(zip(found, true, strict=True))
    return sum(a == b for a, b in pairs) / len(pairs) if pairs else 1.0


def false_positive_saving(by_fd: Bools, by_ofd: Bools) -> float:
    """Share of the tuples flagged by the functional dependency that the ontology one spares; 1 if it flags none."""
    return float((by_fd & ~by_ofd).sum() / by_fd.sum()) if by_fd.any() else 1.0

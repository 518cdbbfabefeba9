"""Damage with a known answer: errors written into cells, labels taken out of an ontology (the protocol of spec 3.1)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from agentlab_runner.data_cleaning.ontology.ontology import Ontology
from agentlab_runner.data_cleaning.repairs.readings import Bools, Ints
from agentlab_runner.data_cleaning.types import OFD, Codes, Hierarchy, Table

ALPHABET = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class Planted:
    """A table whose errors, missing labels and senses are known."""

    clean: Table
    dirty: Table
    ofds: tuple[OFD, ...]
    """They hold on the clean table under `truth`."""
    truth: Ontology
    """Complete."""
    ontology: Ontology
    """With labels removed: what a cleaner gets."""
    concept: dict[str, Ints]
    """By right-hand column [N], the true concept of each row, a position in both ontologies' hierarchies."""
    errors: dict[str, Bools]
    """By right-hand column [N], the cells that were damaged."""
    removed: frozenset[tuple[str, str, int]]
    """(column, label, concept) taken out of `truth`."""


def damage(
    clean: Table, ofds: Sequence[OFD], truth: Ontology, concept: dict[str, Ints], *, err: float, inc: float, seed: int
) -> Planted:
    """Damage the right-hand columns of a clean table and their ontology.

    Args:
        err: share of the cells of each right-hand column that are replaced: half by a word that is no value, one slip
            of the keyboard away from the true one, half by a value of the column that does not mean the same.
        inc: share of the labels in use that the ontology loses; every concept keeps one.

    Raises:
        ValueError: if a share is outside [0, 1].
    """
    for name, share in (("err", err), ("inc", inc)):
        if not 0 <= share <= 1:
            raise ValueError(f"{name} is {share}; it is a share, between 0 and 1")
    rng = np.random.default_rng([seed, 1])
    codes, values = list(clean.codes), list(clean.values)
    errors = {}
    ontology = truth
    removed: set[tuple[str, str, int]] = set()
    for column in dict.fromkeys(ofd.rhs for ofd in ofds):
        at = clean.names.index(column)
        codes[at], values[at], errors[column] = _damaged(clean, column, truth, concept[column], err, rng)
        ontology, lost = _forgotten(ontology, column, {str(text) for text in clean.values[at]}, inc, rng)
        removed |= lost
    dirty = Table(clean.names, tuple(codes), tuple(values))
    return Planted(clean, dirty, tuple(ofds), truth, ontology, concept, errors, frozenset(removed))


def _damaged(
    clean: Table, column: str, truth: Ontology, concept: Ints, err: float, rng: np.random.Generator
) -> tuple[Codes, tuple[str, ...], Bools]:
    at = clean.names.index(column)
    texts = [str(text) for text in clean.values[at]]
    codes = clean.codes[at].copy()
    labels = [set(one.labels) for one in truth.columns[column].concepts]
    taken = {*texts, *(label for one in labels for label in one)}
    of = {text: code for code, text in enumerate(texts)}
    rows = np.sort(rng.choice(len(codes), round(err * len(codes)), replace=False))
    foreign = rng.random(len(rows)) < 0.5
    for row, other in zip(rows.tolist(), foreign.tolist(), strict=True):
        meant = labels[int(concept[row])]
        wrong = _foreign(texts, meant, rng) if other else None
        text = wrong or typo(texts[codes[row]], rng, taken)
        codes[row] = of.setdefault(text, len(of))
    used, dense = np.unique(codes, return_inverse=True)
    every = list(of)
    mask = np.zeros(len(codes), dtype=bool)
    mask[rows] = True
    return dense.astype(np.int32), tuple(every[code] for code in used.tolist()), mask


def _foreign(texts: Sequence[str], meant: set[str], rng: np.random.Generator) -> str | None:
    """A value of the column that is no label of what was meant; None if a hundred draws find none."""
    drawn = (texts[int(one)] for one in rng.integers(len(texts), size=100))
    return next((text for text in drawn if text not in meant), None)


def typo(word: str, rng: np.random.Generator, taken: set[str]) -> str:
    """`word` after one slip of the keyboard that makes no word in `taken`; a letter is appended where all fail."""
    for _ in range(100):
        at = int(rng.integers(len(word) + 1))
        letter = ALPHABET[int(rng.integers(len(ALPHABET)))]
        letter = letter.upper() if word.isupper() else letter
        slips = (word[:at] + letter + word[at:], word[:at] + letter + word[at + 1 :], word[:at] + word[at + 1 :],
                 word[:at] + word[at : at + 2][::-1] + word[at + 2 :])
        wrong = slips[int(rng.integers(len(slips)))]
        if wrong and wrong not in taken:
            return wrong
    wrong = word
    while wrong in taken:
        wrong += ALPHABET[int(rng.integers(len(ALPHABET)))]
    return wrong


def _forgotten(
    ontology: Ontology, column: str, used: set[str], inc: float, rng: np.random.Generator
) -> tuple[Ontology, set[tuple[str, str, int]]]:
    hierarchy = ontology.columns[column]
    concepts = [list(one.labels) for one in hierarchy.concepts]
    pairs = [(label, number) for number, labels in enumerate(concepts) for label in labels if label in used]
    wanted = round(inc * len(pairs))
    lost: set[tuple[str, str, int]] = set()
    for one in rng.permutation(len(pairs)).tolist():
        if len(lost) == wanted:
            break
        label, number = pairs[one]
        if len(concepts[number]) > 1:
            concepts[number].remove(label)
            lost.add((column, label, number))
    left = tuple(replace(old, labels=tuple(new)) for old, new in zip(hierarchy.concepts, concepts, strict=True))
    return replace(ontology, columns={**ontology.columns, column: Hierarchy(left, hierarchy.isa)}), lost

"""Tables with planted dependencies: generated ones, and countries and drugs from real vocabularies."""

from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np

from agentlab_runner.data_cleaning.experiments.inject import Planted, damage
from agentlab_runner.data_cleaning.ontology.loaders import bundled
from agentlab_runner.data_cleaning.ontology.ontology import Ontology
from agentlab_runner.data_cleaning.repairs.readings import Ints
from agentlab_runner.data_cleaning.repairs.senses import Floats
from agentlab_runner.data_cleaning.types import OFD, Concept, Hierarchy, Table

CONSONANTS, VOWELS = "bdfgklmnprstvz", "aeiou"


def ofdgen(
    rows: int = 10_000,
    columns: int = 4,
    *,
    concepts: int = 50,
    senses: int = 1,
    synonyms: int = 4,
    zipf: float = 0.7,
    ofds: int = 1,
    keys: int = 1,
    spread: int = 1,
    ambiguity: float = 0.25,
    err: float = 0.03,
    inc: float = 0.04,
    seed: int = 0,
) -> Planted:
    """A generated table: `ofds` right-hand columns A0, A1, ..., each determined by `keys` columns of its own.

    A row draws a concept (Zipf) under one of the senses; each of its keys K0_0, K0_1, ... names that meaning, and its
    value is one of the labels the concept has in that sense. With several senses the share `ambiguity` of the labels of
    each concept belongs to another one in every other sense. What is left of `columns` is noise.

    Args:
        zipf: weight of the r-th concept is r^-zipf.
        spread: how many key values stand for one meaning; with several keys their classes then overlap crosswise.
        err, inc: see `inject.damage`.

    Raises:
        ValueError: if the columns do not suffice, or a number is out of range.
    """
    needed = ofds * (keys + 1)
    if columns < needed:
        raise ValueError(f"{ofds} dependencies with {keys} keys each need {needed} columns, but columns is {columns}")
    if min(rows + 1, concepts, senses, synonyms, ofds, keys, spread) < 1:
        raise ValueError("concepts, senses, synonyms, ofds, keys and spread must be 1 or more, and rows 0 or more")
    if not 0 <= ambiguity <= 1:
        raise ValueError(f"ambiguity is {ambiguity}; it is a share of the labels, between 0 and 1")
    rng = np.random.default_rng([seed, 0])
    made: dict[str, tuple[Ints, Sequence[str]]] = {}
    planted, truth, meaning = [], Ontology(), {}
    for number in range(ofds):
        words = _invented(concepts * synonyms, rng)
        blocks = [words[one * synonyms : (one + 1) * synonyms] for one in range(concepts)]
        hierarchy = _interpretations([(block[0], block) for block in blocks], _sense_names(senses), ambiguity)
        truth = truth.bind(f"A{number}", hierarchy)
        meant = _meanings(rows, concepts, senses, zipf, rng)
        meaning[f"A{number}"] = meant
        made[f"A{number}"] = _labels(hierarchy, meant, _zipf(synonyms, zipf), rng)
        for key in range(keys):
            made[f"K{number}_{key}"] = _keys(meant, concepts * senses, spread, "k", rng)
            planted.append(OFD((f"K{number}_{key}",), f"A{number}"))
    for number in range(columns - needed):
        width = max(2, rows // 10)
        made[f"N{number}"] = (rng.integers(width, size=rows), [f"n{one}" for one in range(width)])
    return damage(_encode(made), planted, truth, meaning, err=err, inc=inc, seed=seed)


def countries(
    rows: int = 20_000, *, concepts: int = 120, zipf: float = 0.7, err: float = 0.03, inc: float = 0.04, seed: int = 0
) -> Planted:
    """`CC -> CTRY`: the two-letter code of a country decides how it may be called (ISO 3166, from pycountry).

    CTRY is the country's name, common name, official name or three-letter code; the name is four times as frequent as
    each other one. Codes are drawn with Zipf weights.

    Raises:
        ValueError: if pycountry is not installed or has fewer countries, or a number is out of range.
    """
    every = [one for one in _vocabulary("countries").concepts if one.sense == "ISO 3166"]
    _enough(concepts, len(every), "countries")
    rng = np.random.default_rng([seed, 0])
    chosen = [every[one] for one in rng.permutation(len(every))[:concepts].tolist()]
    codes = [one.labels[-2] for one in chosen]  # alpha-2 stands before alpha-3, the last
    hierarchy = Hierarchy(tuple(Concept(c.name, (*c.labels[:-2], c.labels[-1]), c.sense) for c in chosen))
    meant = _meanings(rows, concepts, 1, zipf, rng)
    table = _encode({"CC": (meant, codes), "CTRY": _labels(hierarchy, meant, np.array([4.0, 1, 1, 1]), rng)})
    truth = Ontology().bind("CTRY", hierarchy)
    return damage(table, [OFD(("CC",), "CTRY")], truth, {"CTRY": meant}, err=err, inc=inc, seed=seed)


def drugs(
    rows: int = 20_000, *, concepts: int = 60, senses: int = 4, synonyms: int = 6, spread: int = 12, zipf: float = 0.7,
    ambiguity: float = 0.34, err: float = 0.03, inc: float = 0.04, seed: int = 0,
) -> Planted:
    """`CLINIC -> MEDICINE` and `DOCTOR -> MEDICINE`: who prescribes decides drug and authority, whose names differ.

    The names are real variants (drug-named-entity-recognition). Under every authority but the first, a share of the
    names of a drug stands for another one, as brand names do from country to country. The classes of the two
    dependencies overlap crosswise, so that one may tell how the other is to be read.

    Args:
        spread: clinics, and doctors, for each drug under each authority.

    Raises:
        ValueError: if the package is not installed, has too few drugs, or a number is out of range.
    """
    if min(concepts, senses, synonyms, spread) < 1:
        raise ValueError("concepts, senses, synonyms and spread must be 1 or more")
    every = [one for one in _vocabulary("drugs").concepts if len(one.labels) >= synonyms]
    _enough(concepts, len(every), f"drugs with {synonyms} names")
    rng = np.random.default_rng([seed, 0])
    blocks: list[tuple[str, list[str]]] = []
    taken: set[str] = set()
    for one in rng.permutation(len(every)).tolist():
        names = [label for label in every[one].labels if label not in taken][:synonyms]
        if len(names) == synonyms and len(blocks) < concepts:
            blocks.append((every[one].name, names))
            taken |= set(names)
    _enough(concepts, len(blocks), f"drugs with {synonyms} names of their own")
    hierarchy = _interpretations(blocks, _sense_names(senses), ambiguity)
    meant = _meanings(rows, concepts, senses, zipf, rng)
    made = {
        "CLINIC": _keys(meant, concepts * senses, spread, "clinic ", rng),
        "DOCTOR": _keys(meant, concepts * senses, spread, "doctor ", rng),
        "MEDICINE": _labels(hierarchy, meant, np.ones(synonyms), rng),
    }
    ofds = [OFD(("CLINIC",), "MEDICINE"), OFD(("DOCTOR",), "MEDICINE")]
    truth = Ontology().bind("MEDICINE", hierarchy)
    return damage(_encode(made), ofds, truth, {"MEDICINE": meant}, err=err, inc=inc, seed=seed)


@cache
def _vocabulary(name: str) -> Hierarchy:
    return bundled(name)


def _interpretations(blocks: Sequence[tuple[str, Sequence[str]]], senses: Sequence[str], ambiguity: float) -> Hierarchy:
    """Every block as a concept under every sense: concept c under sense s is number s C + c.

    The last labels of a block, as many as `ambiguity` says but never all, belong under the s-th sense to the concept s
    places before.
    """
    count = len(blocks)
    concepts = []
    for shift, sense in enumerate(senses):
        for number, (name, own) in enumerate(blocks):
            core = len(own) - min(len(own) - 1, round(ambiguity * len(own)))
            borrowed = blocks[(number + shift) % count][1]
            concepts.append(Concept(name, (*own[:core], *borrowed[core:]), sense))
    return Hierarchy(tuple(concepts))


def _sense_names(senses: int) -> list[str]:
    return [f"authority {number + 1}" for number in range(senses)] if senses > 1 else [""]


def _meanings(rows: int, concepts: int, senses: int, zipf: float, rng: np.random.Generator) -> Ints:
    """[N], the concept of each row under a sense, as `_interpretations` numbers them."""
    weights = _zipf(concepts, zipf)
    return rng.integers(senses, size=rows) * concepts + rng.choice(concepts, size=rows, p=weights / weights.sum())


def _labels(hierarchy: Hierarchy, meant: Ints, weights: Floats, rng: np.random.Generator) -> tuple[Ints, list[str]]:
    """[N], a label of each row's concept, drawn by weight, as codes of the list."""
    texts = list(dict.fromkeys(label for one in hierarchy.concepts for label in one.labels))
    of = {text: code for code, text in enumerate(texts)}
    codes = np.zeros(len(meant), dtype=np.int64)
    order = np.argsort(meant, kind="stable")
    there, starts = np.unique(meant[order], return_index=True)
    for concept, rows in zip(there.tolist(), np.split(order, starts[1:]), strict=bool(len(there))):
        labels = hierarchy.concepts[concept].labels
        share = weights[: len(labels)] / weights[: len(labels)].sum()
        codes[rows] = np.array([of[label] for label in labels])[rng.choice(len(labels), size=len(rows), p=share)]
    return codes, texts


def _keys(
    meant: Ints, meanings: int, spread: int, name: str, rng: np.random.Generator
) -> tuple[Ints, list[str]]:
    """[N], a key that names the row's meaning, one of `spread` for each."""
    codes = meant * spread + rng.integers(spread, size=len(meant))
    return codes, [f"{name}{one}" for one in range(meanings * spread)]


def _zipf(count: int, exponent: float) -> Floats:
    return np.arange(1, count + 1, dtype=np.float64) ** -float(exponent)


def _invented(count: int, rng: np.random.Generator) -> list[str]:
    """Distinct words of three or more syllables."""
    words: dict[str, None] = {}
    while len(words) < count:
        syllables = 3 + len(words) // 20_000
        words["".join(CONSONANTS[c] + VOWELS[v] for c, v in rng.integers((13, 5), size=(syllables, 2)).tolist())] = None
    return list(words)


def _encode(made: Mapping[str, tuple[Ints, Sequence[str]]]) -> Table:
    codes, values = [], []
    for numbers, texts in made.values():
        used, dense = np.unique(numbers, return_inverse=True)
        codes.append(dense.astype(np.int32))
        values.append(tuple(texts[one] for one in used.tolist()))
    return Table(tuple(made), tuple(codes), tuple(values))


def _enough(wanted: int, there: int, what: str) -> None:
    if not 1 <= wanted <= there:
        raise ValueError(f"concepts is {wanted}, but there are {there} {what}; choose 1 to {there}")

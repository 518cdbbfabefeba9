"""Planted tables keep what they promise; damage is what was asked for; measures have known answers."""

import numpy as np
import pytest

from agentlab_runner.data_cleaning.discovery.logic import check
from agentlab_runner.data_cleaning.experiments import metrics
from agentlab_runner.data_cleaning.experiments.inject import typo
from agentlab_runner.data_cleaning.experiments.metrics import Score, score
from agentlab_runner.data_cleaning.experiments.planted import countries, drugs, ofdgen
from agentlab_runner.data_cleaning.repairs.typos import one_slip
from tests.data_cleaning.conftest import cells

MAKES = {
    "countries": lambda **kw: countries(**{"rows": 2000, **kw}),
    "drugs": lambda **kw: drugs(**{"rows": 2000, "concepts": 10, "senses": 3, "spread": 4, **kw}),
    "ofdgen": lambda **kw: ofdgen(
        **{"rows": 2000, "columns": 9, "concepts": 20, "ofds": 2, "keys": 2, "senses": 2, **kw}
    ),
}


@pytest.mark.parametrize("make", MAKES.values(), ids=MAKES)
def test_dependencies_hold_by_meaning_but_not_by_text(make):
    planted = make(err=0.0, inc=0.0)
    for ofd in planted.ofds:
        assert check(planted.clean, ofd, planted.truth).holds
        assert not check(planted.clean, ofd).holds
    assert planted.removed == frozenset()
    assert not any(mask.any() for mask in planted.errors.values())
    assert all((a == b).all() for a, b in zip(planted.clean.codes, planted.dirty.codes, strict=True))


@pytest.mark.parametrize("make", MAKES.values(), ids=MAKES)
def test_every_damaged_cell_is_wrong_and_no_other_cell_changed(make):
    planted = make(err=0.1, inc=0.0)
    for column, damaged in planted.errors.items():
        clean, dirty = cells(planted.clean, column), cells(planted.dirty, column)
        concepts = planted.truth.columns[column].concepts
        known = {label for concept in concepts for label in concept.labels}
        assert damaged.sum() == round(0.1 * planted.clean.rows)
        foreign = 0
        for row, wrong in enumerate(damaged):
            if wrong:
                assert dirty[row] not in concepts[planted.concept[column][row]].labels
                assert dirty[row] in known or one_slip(dirty[row], clean[row])
                foreign += dirty[row] in known
            else:
                assert dirty[row] == clean[row]
        assert 0.35 < foreign / damaged.sum() < 0.65


@pytest.mark.parametrize("make", MAKES.values(), ids=MAKES)
def test_the_ontology_loses_what_it_should_and_no_concept_its_last_label(make):
    planted = make(err=0.0, inc=0.2)
    for column, hierarchy in planted.ontology.columns.items():
        used = set(cells(planted.clean, column))
        true = planted.truth.columns[column]
        lost = {(label, at) for name, label, at in planted.removed if name == column}
        pairs = [(label, at) for at, concept in enumerate(true.concepts) for label in concept.labels if label in used]
        assert len(lost) == round(0.2 * len(pairs))
        for at, (was, now) in enumerate(zip(true.concepts, hierarchy.concepts, strict=True)):
            assert now.labels
            assert set(was.labels) - set(now.labels) == {label for label, one in lost if one == at}


@pytest.mark.parametrize("make", MAKES.values(), ids=MAKES)
def test_a_seed_is_a_table(make):
    one, same, other = make(seed=3, err=0.1), make(seed=3, err=0.1), make(seed=4, err=0.1)
    assert one.dirty.values == same.dirty.values
    assert all((a == b).all() for a, b in zip(one.dirty.codes, same.dirty.codes, strict=True))
    assert one.removed == same.removed
    assert one.dirty.values != other.dirty.values


def test_rates_share_the_clean_table():
    low, high = countries(500, err=0.03), countries(500, err=0.15, inc=0.1)
    assert low.clean.values == high.clean.values


def test_ambiguous_labels_belong_to_others_in_other_senses():
    planted = ofdgen(100, 2, concepts=5, senses=3, synonyms=4, ambiguity=0.5)
    concepts = planted.truth.columns["A0"].concepts
    assert len(concepts) == 15
    for c in range(5):
        first, second = concepts[c], concepts[5 + c]
        assert first.labels[:2] == second.labels[:2]
        assert second.labels[2:] == concepts[(c + 1) % 5].labels[2:]


def test_a_generated_table_has_the_shape_asked_for():
    planted = ofdgen(300, 10, ofds=2, keys=2)
    assert planted.clean.names == ("A0", "K0_0", "K0_1", "A1", "K1_0", "K1_1", "N0", "N1", "N2", "N3")
    assert [str(ofd) for ofd in planted.ofds] == ["K0_0 -> A0", "K0_1 -> A0", "K1_0 -> A1", "K1_1 -> A1"]


@pytest.mark.parametrize(("call", "said"), [
    (lambda: ofdgen(10, 3, ofds=2), "2 dependencies with 1 keys each need 4 columns, but columns is 3"),
    (lambda: ofdgen(10, 2, concepts=0), "must be 1 or more"),
    (lambda: ofdgen(10, 2, ambiguity=2), "ambiguity is 2; it is a share"),
    (lambda: countries(10, concepts=1000), "concepts is 1000, but there are 249 countries; choose 1 to 249"),
    (lambda: countries(10, err=1.5), "err is 1.5; it is a share, between 0 and 1"),
    (lambda: drugs(10, spread=0), "must be 1 or more"),
    (lambda: drugs(10, synonyms=5000), "there are 0 drugs with 5000 names"),
])  # fmt: skip
def test_bad_numbers(call, said):
    with pytest.raises(ValueError, match=said):
        call()


def test_typos_are_one_slip_away_and_no_word_that_is_taken():
    rng = np.random.default_rng(0)
    taken = {"abc", "ab", "ac"}
    for _ in range(200):
        wrong = typo("abc", rng, taken)
        assert wrong not in taken
        assert one_slip("abc", wrong)
    assert typo("DEU", rng, set()).isupper()


@pytest.mark.parametrize(("counts", "expected"), [
    ((3, 4, 6), Score(0.75, 0.5, 0.6)),
    ((0, 0, 0), Score(1, 1, 1)),
    ((0, 0, 5), Score(0, 0, 0)),
    ((0, 5, 0), Score(0, 0, 0)),
    ((0, 5, 5), Score(0, 0, 0)),
    ((5, 5, 5), Score(1, 1, 1)),
])  # fmt: skip
def test_scores(counts, expected):
    assert score(*counts) == pytest.approx(expected)


def test_cells_are_scored_by_text_or_by_meaning():
    planted = countries(400, concepts=5, err=0.05, inc=0.0, seed=1)
    at = planted.clean.names.index("CTRY")
    clean = cells(planted.clean, "CTRY")
    labels = [concept.labels for concept in planted.truth.columns["CTRY"].concepts]
    damaged = np.flatnonzero(planted.errors["CTRY"]).tolist()
    right = {row: clean[row] for row in damaged}
    assert metrics.cells(planted, {"CTRY": right}, "exact") == Score(1, 1, 1)
    other = {row: next(x for x in labels[planted.concept["CTRY"][row]] if x != clean[row]) for row in damaged}
    assert metrics.cells(planted, {"CTRY": other}, "synonym") == Score(1, 1, 1)
    assert metrics.cells(planted, {"CTRY": other}, "exact") == Score(0, 0, 0)
    untouched = next(row for row in range(400) if row not in right)
    wrong = right | {untouched: clean[untouched]}
    assert metrics.cells(planted, {"CTRY": wrong}, "synonym").precision == pytest.approx(20 / 21)
    assert metrics.cells(planted, {}, "exact") == Score(0, 0, 0)
    assert at == 1


def test_additions_senses_and_false_alarms():
    planted = countries(400, concepts=20, err=0.0, inc=0.2)
    removed = sorted(planted.removed)
    assert metrics.additions(planted, removed) == Score(1, 1, 1)
    assert metrics.additions(planted, [*removed[:2], ("CTRY", "nonsense", 0)]).precision == pytest.approx(2 / 3)
    assert metrics.accuracy([1, 2, 3, 4], [1, 2, 4, 3]) == 0.5
    assert metrics.accuracy([], []) == 1
    by_fd, by_ofd = np.array([1, 1, 1, 0], bool), np.array([1, 0, 0, 1], bool)
    assert metrics.false_positive_saving(by_fd, by_ofd) == pytest.approx(2 / 3)
    assert metrics.false_positive_saving(np.zeros(3, bool), np.ones(3, bool)) == 1

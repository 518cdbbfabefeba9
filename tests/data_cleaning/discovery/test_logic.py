"""Closure, covers, and what a check says about a table."""

import random
from itertools import combinations
from typing import Any

import pytest

from agentlab_runner.data_cleaning.discovery.discover import discover
from agentlab_runner.data_cleaning.discovery.logic import check, closure, implies, minimal_cover
from agentlab_runner.data_cleaning.table.tables import read
from agentlab_runner.data_cleaning.types import OFD
from tests.data_cleaning.oracle import Binding, covered, random_binding, random_rows

COUNTRIES = {
    "CC": ["US", "US", "US", "CA", "CA", "MX", "FR", "FR"],
    "CTRY": ["USA", "America", "Bermuda", "Canada", "Canada", "Mexico", "France", "Frankreich"],
}
NAMES = Binding({"CTRY": {0: ["USA", "America", "United States"], 1: ["Canada"], 2: ["France", "Frankreich"]}})


def test_closure_has_no_transitivity():
    chain = [OFD(("A",), "B"), OFD(("B",), "C"), OFD((), "D")]
    assert closure({"A"}, chain) == {"A", "B", "D"}
    assert closure({"A", "B"}, chain) == {"A", "B", "C", "D"}
    assert not implies(chain, OFD(("A",), "C"))
    assert implies(chain, OFD(("A", "X"), "B"))
    assert implies([], OFD(("A",), "A"))


def test_fewer_steps_imply_more():
    synonym, near = OFD(("A",), "B"), OFD(("A",), "B", "inheritance", 1)
    assert implies([synonym], near)
    assert not implies([near], synonym)
    assert minimal_cover([near, synonym]) == [synonym]


def test_the_minimal_cover_is_minimal_and_the_same_from_any_order():
    rng = random.Random(1)
    for _ in range(20):
        given = [OFD(tuple(rng.sample("ABCDE", rng.randint(0, 3))), rng.choice("ABCDE")) for _ in range(15)]
        cover = minimal_cover(given)
        assert cover == minimal_cover(rng.sample(given, len(given)))
        assert all(implies(cover, ofd) for ofd in given)
        for ofd in cover:
            assert not implies([other for other in cover if other != ofd], ofd)


def test_the_cover_of_what_holds_is_what_discovery_finds():
    rng = random.Random(2)
    names = list("ABCD")
    rows = random_rows(rng, 20, 4)
    binding = random_binding(rng, names)
    holding = [
        OFD(lhs, rhs)
        for size in range(4)
        for lhs in combinations(names, size)
        for rhs in names
        if rhs not in lhs and covered(names, rows, lhs, rhs, binding, 0) == len(rows)
    ]
    table = {name: [row[i] for row in rows] for i, name in enumerate(names)}
    assert minimal_cover(holding) == sorted(discover(table, binding))


def test_a_check_says_what_violates_and_what_was_only_a_synonym():
    report = check(COUNTRIES, OFD(("CC",), "CTRY"), NAMES)
    assert (report.rows, report.classes, report.constant, report.by_name, report.violated) == (8, 3, 1, 1, 1)
    assert (report.flagged, report.flagged_without_names) == (3, 5)
    assert not report.holds
    assert report.ofd.support == 7 / 8
    (violation,) = report.violations()
    assert violation.lhs == ("US",)
    assert violation.concept == 0
    assert [(one.value, one.rows.tolist(), one.covered) for one in violation.readings] == [
        ("USA", [0], True), ("America", [1], True), ("Bermuda", [2], False),
    ]
    assert violation.outliers.tolist() == [2]
    assert (violation.size, violation.covered, violation.alternatives) == (3, 2, ())
    (synonym,) = report.synonyms()
    assert (synonym.lhs, synonym.concept, synonym.outliers.tolist()) == (("FR",), 2, [])
    strength = report.ofd.strength
    assert strength is not None
    assert (strength.classes, strength.rows, strength.gain) == (1, 2, 2 / 8)


def test_what_else_a_class_could_mean_comes_by_how_much_it_covers():
    table = {"K": ["k"] * 6, "V": ["a", "a", "b", "b", "c", "?"]}
    binding = Binding({"V": {0: ["c"], 1: ["b", "c"], 2: ["a", "b"], 3: ["b"], 4: ["z"]}}, {"V": [(0, 4)]})
    (violation,) = check(table, OFD(("K",), "V"), binding).violations()
    assert (violation.concept, violation.covered) == (2, 4)
    assert violation.alternatives == ((1, 3), (3, 2), (0, 1))
    (near,) = check(table, OFD(("K",), "V", "inheritance", 1), binding).violations()
    assert near.alternatives == ((1, 3), (3, 2), (0, 1), (4, 1))


def test_without_an_ontology_the_most_frequent_value_is_right():
    table = {"K": ["k"] * 5, "V": ["a", "b", "b", None, "b"]}
    report = check(table, OFD(("K",), "V"), nulls="equal")
    (violation,) = report.violations()
    assert violation.concept is None
    assert [(one.value, one.covered) for one in violation.readings] == [("b", True), ("a", False), (None, False)]
    assert violation.outliers.tolist() == [0, 3]
    assert report.ofd.strength is None


def test_a_value_unknown_to_the_ontology_can_be_the_best_name():
    table = {"K": ["k"] * 4, "V": ["Canada", "Atlantis", "Atlantis", "USA"]}
    (violation,) = check(table, OFD(("K",), "V"), Binding({"V": {0: ["USA"], 1: ["Canada"]}})).violations()
    assert violation.concept is None
    assert violation.outliers.tolist() == [0, 3]


def test_of_equal_concepts_the_lowest_wins_and_concepts_go_before_values():
    table = {"K": ["k"] * 3, "V": ["z", "y", "x"]}
    (violation,) = check(table, OFD(("K",), "V"), Binding({"V": {4: ["y"], 3: ["x"]}})).violations()
    assert violation.concept == 3


def test_a_check_agrees_with_discovery_and_with_enumeration():
    for seed in range(30):
        rng = random.Random(seed)
        names = list("ABCD")
        rows = random_rows(rng, rng.choice([1, 2, 40]), 4)
        binding = random_binding(rng, names)
        table = read({name: [row[i] for row in rows] for i, name in enumerate(names)})
        theta = rng.choice([0, 1, 2])
        kind: Any = "inheritance" if theta else "synonym"
        for found in discover(table, binding, kind=kind, theta=theta, kappa=0.8):
            report = check(table, found, binding)
            assert report.ofd == found
            assert (report.ofd.support, report.ofd.strength) == (found.support, found.strength)
            assert round(report.ofd.support * len(rows)) == covered(names, rows, found.lhs, found.rhs, binding, theta)
            outliers = sum(len(one.outliers) for one in report.violations())
            assert outliers == round((1 - found.support) * len(rows))
            assert len(list(report.violations())) == report.violated
            assert len(list(report.synonyms())) == report.by_name


def test_more_on_the_left_and_more_steps_never_lower_the_support():
    for seed in range(20):
        rng = random.Random(seed)
        rows, binding = random_rows(rng, 40, 4), random_binding(rng, "ABCD")
        table = read({name: [row[i] for row in rows] for i, name in enumerate("ABCD")})
        support = {
            (lhs, theta): check(table, OFD(tuple(lhs), "D", "inheritance", theta), binding).ofd.support
            for lhs in ("", "A", "AB", "ABC", "B", "C")
            for theta in range(4)
        }
        for (lhs, theta), value in support.items():
            assert all(value >= support[less, theta] for less, _ in support if set(less) <= set(lhs))
            assert all(value >= support[lhs, fewer] for fewer in range(theta))


def test_an_empty_table_satisfies_vacuously():
    report = check({"A": [], "B": []}, OFD(("A",), "B"), Binding({"B": {0: ["x"]}}))
    assert report.holds
    assert (report.rows, report.classes, report.ofd.support) == (0, 0, 1.0)


def test_strength_tells_chance_from_meaning():
    """Where one broad concept covers a column, shuffling it changes nothing."""
    rows = 200
    table = {"K": [f"k{i % 20}" for i in range(rows)], "V": [f"v{i % 20}{'ab'[i % 3 % 2]}" for i in range(rows)]}
    narrow = Binding({"V": {k: [f"v{k}a", f"v{k}b"] for k in range(20)}})
    broad = Binding({"V": {0: sorted(set(table["V"]))}})
    ofd = OFD(("K",), "V")
    sharp, blunt = (check(table, ofd, binding).ofd.strength for binding in (narrow, broad))
    assert sharp is not None
    assert blunt is not None
    assert sharp.gain == blunt.gain > 0
    assert sharp.chance < 0.3
    assert blunt.chance == 1


def test_bad_dependencies_are_one_sentence():
    for ofd, message in [
        (OFD(("CD",), "CTRY"), "no column 'CD'"),
        (OFD(("CC",), "CTRX"), "no column 'CTRX'; did you mean 'CTRY'"),
        (OFD(("CC",), "CC"), "both sides"),
        (OFD(("CC",), "CTRY", "synonym", 2), "use kind inheritance"),
    ]:
        with pytest.raises(ValueError, match=message):
            check(COUNTRIES, ofd)

"""A repair never makes a table worse without saying so: foreign names, missing cells, ties."""

import random

import pytest

from agentlab_runner.data_cleaning.discovery import sql
from agentlab_runner.data_cleaning.discovery.logic import check
from agentlab_runner.data_cleaning.experiments.planted import countries
from agentlab_runner.data_cleaning.ontology.loaders import bundled
from agentlab_runner.data_cleaning.ontology.ontology import Ontology
from agentlab_runner.data_cleaning.repairs.repair import repair
from agentlab_runner.data_cleaning.table.tables import read
from agentlab_runner.data_cleaning.types import OFD
from tests.data_cleaning.conftest import cells, make_ontology, make_table

CC = OFD(("CC",), "CTRY")
THREE = {"de": ["Germany", "Deutschland"], "fr": ["France"], "it": ["Italy"]}
SEARCHES = ("auto", "exact", "fixed", "beam")


def table(*blocks):
    """`("DE", "Germany", 20)`: key, value, rows."""
    rows = [(key, value) for key, value, count in blocks for _ in range(count)]
    return make_table({"CC": [key for key, _ in rows], "CTRY": [value for _, value in rows]})


def changed(done):
    return {(change.old, change.new) for change in done.provenance}


@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize("wrong", [2, 4, 9, 19])
def test_a_label_of_another_concept_is_an_error_however_often_it_occurs(search, wrong):
    given = table(("DE", "Germany", 20), ("DE", "France", wrong), ("FR", "France", 20))
    for ontology in (make_ontology("CTRY", THREE), Ontology().bind("CTRY", bundled("countries"))):
        done = repair(given, [CC], ontology, search=search)
        assert not done.additions
        assert done.pareto == ((0, wrong),)
        assert changed(done) == {("France", "Germany")}
        assert len(done.provenance) == wrong
        adopted = repair(given, [CC], ontology, search=search, adopt_foreign=True)
        assert [(one.value, one.supported) for one in adopted.additions] == [("France", True)]


def test_errors_concentrated_on_one_neighbour_are_repaired_as_well_as_spread_ones():
    names = ["Germany", "France", "Italy", "Spain", "Poland", "Norway"]
    ontology = make_ontology("CTRY", {name[:2]: [name, name.upper()] for name in names})
    truth = [(name[:2], name if row % 3 else name.upper()) for name in names for row in range(60)]
    for neighbour in (lambda at, row: names[(at + 1) % 6], lambda at, row: names[(at + 1 + row % 5) % 6]):
        dirty = [(key, neighbour(row // 60, row) if row % 5 == 0 else value) for row, (key, value) in enumerate(truth)]
        given = make_table({"CC": [key for key, _ in dirty], "CTRY": [value for _, value in dirty]})
        done = repair(given, [CC], ontology)
        wrong = {row for row, (old, new) in enumerate(zip(truth, dirty, strict=True)) if old != new}
        assert len(wrong) == 72
        assert {change.row for change in done.provenance} == wrong
        assert all(change.new.upper() == truth[change.row][1].upper() for change in done.provenance)
        assert not done.additions


def test_a_label_of_another_authority_may_be_adopted():
    ontology = Ontology.from_dict({"CTRY": {"classes": {
        "a": {"labels": ["alpha", "one"], "sense": "FDA"}, "b": {"labels": ["beta"], "sense": "FDA"},
        "c": {"labels": ["beta", "gamma"], "sense": "MoH"}}}})  # fmt: skip
    given = table(("x", "alpha", 20), ("x", "gamma", 9), ("y", "beta", 20))
    assert [(one.value, one.name) for one in repair(given, [CC], ontology).additions] == [("gamma", "a (FDA)")]
    given = table(("x", "alpha", 20), ("x", "beta", 9), ("y", "gamma", 20))
    done = repair(given, [CC], ontology)
    assert not done.additions
    assert changed(done) == {("beta", "alpha")}


@pytest.mark.parametrize("search", SEARCHES)
def test_an_unknown_name_is_adopted_where_it_is_at_home_and_nowhere_else(search):
    known = make_ontology("CTRY", THREE)
    own_class = table(("IT", "Italy", 20), ("IT", "Kosovo", 4), ("XK", "Kosovo", 20))
    assert changed(repair(own_class, [CC], known, search=search)) == {("Kosovo", "Italy")}
    beside = table(("DE", "Germany", 20), ("DE", "La France", 4), ("FR", "La France", 20), ("FR", "France", 25))
    done = repair(beside, [CC], known, search=search)
    assert [(one.value, one.name) for one in done.additions] == [("La France", "fr")]
    assert changed(done) == {("La France", "Germany")}
    everywhere = table(*((key, name, 20) for key, name in (("DE", "Germany"), ("FR", "France"), ("IT", "Italy"))),
                       *((key, "unknown", 5) for key in ("DE", "FR", "IT")))  # fmt: skip
    done = repair(everywhere, [CC], known, search=search)
    assert not done.additions
    assert len(done.provenance) == 15


@pytest.mark.parametrize("search", SEARCHES)
def test_a_class_of_an_unknown_name_is_not_lent_to_a_neighbour_that_errors_name(search):
    given = table(("XX", "Ruritania", 20), ("XX", "France", 4), ("FR", "France", 20))
    done = repair(given, [CC], make_ontology("CTRY", THREE), search=search)
    assert not done.additions
    assert changed(done) == {("France", "Ruritania")}


def test_names_removed_from_the_ontology_are_still_found():
    planted = countries(4000, concepts=40, err=0.06, inc=0.1, seed=3)
    done = repair(planted.dirty, planted.ofds, planted.ontology)
    made = {(one.column, one.value, one.concept) for one in done.additions}
    assert len(made & planted.removed) >= 0.8 * len(planted.removed)
    assert len(made - planted.removed) <= 0.2 * len(made)


@pytest.mark.parametrize("search", SEARCHES)
def test_one_against_one_is_unresolved(search):
    for ontology in (None, make_ontology("CTRY", THREE)):
        for blocks in ((("a", "Germany", 1), ("a", "France", 1)), (("a", "Germany", 3), ("a", "Foo", 3)),
                       (("a", "x", 1), ("a", "y", 1), ("a", "z", 1))):  # fmt: skip
            given = table(*blocks, ("b", "Italy", 2))
            done = repair(given, [CC], ontology, search=search, choose=0)
            assert not done.provenance
            assert not done.verified
            [one] = done.unresolved
            assert one.tie
            assert one.rows == tuple(range(given.rows - 2))
            assert "are unresolved: by CC -> CTRY they may mean" in str(one)


def test_what_breaks_a_tie():
    known = make_ontology("CTRY", THREE)
    one_meaning = table(("a", "Germany", 1), ("a", "Deutschland", 1))
    assert repair(one_meaning, [CC], known).verified
    slip = table(("a", "Germany", 1), ("a", "Gemrany", 1))
    assert [c.reason for c in repair(slip, [CC], known).provenance] == ["typo"]
    assert repair(slip, [CC]).unresolved
    names = table(("a", "Germany", 2), ("a", "Deutschland", 2), ("a", "France", 3), ("b", "Deutschland", 3))
    [change, *_] = repair(names, [CC], known).provenance
    assert (change.new, change.reason) == ("Deutschland", "most frequent in the column")
    names = table(("a", "Germany", 2), ("a", "Deutschland", 2), ("a", "France", 3))
    assert {c.reason for c in repair(names, [CC], known).provenance} == {"one of several names"}
    # X alone cannot tell, but every row of a stands in a class of Y that says u
    given = make_table({"X": list("aab"), "Y": list("ppp"), "A": list("uvu")})
    done = repair(given, [OFD(("X",), "A"), OFD(("Y",), "A")])
    assert [(c.row, c.new) for c in done.provenance] == [(1, "u")]
    assert done.verified


@pytest.mark.parametrize("search", SEARCHES)
def test_rows_without_a_key_are_no_group(search):
    given = table((None, "Boston", 2), (None, "Chicago", 1), (None, "Denver", 1), ("1", "Rome", 2), ("1", "Roma", 1))
    for nulls in ("ignore", "distinct"):
        done = repair(given, [CC], search=search, nulls=nulls)
        assert changed(done) == {("Roma", "Rome")}
        assert done.verified
    as_value = repair(given, [CC], search=search, nulls="equal")
    assert changed(as_value) == {("Roma", "Rome"), ("Chicago", "Boston"), ("Denver", "Boston")}
    report = check(given, CC)
    assert (report.rows, report.incomplete, report.violated) == (3, 4, 1)
    assert [one.readings[1].rows.tolist() for one in report.violations()] == [[6]]
    assert check(given, CC, nulls="equal").violated == 2


@pytest.mark.parametrize("search", SEARCHES)
def test_missing_cells_are_filled_only_when_that_is_asked_for(search):
    given = table(("a", "USA", 2), ("a", None, 3), ("b", None, 2), (None, None, 2))
    done = repair(given, [CC], search=search)
    assert not done.provenance
    assert done.verified
    assert check(given, CC).holds
    filled = repair(given, [CC], search=search, fill_missing=True)
    assert [(c.row, c.old, c.new) for c in filled.provenance] == [(row, None, "USA") for row in (2, 3, 4)]
    assert filled.verified


@pytest.mark.parametrize("seed", range(4))
def test_nulls_that_all_differ_do_not_break_a_repair(seed):
    rng = random.Random(seed)
    given = {"k": [rng.choice("abcd") for _ in range(40)], "v": [rng.choice([None, None, "x", "y"]) for _ in range(40)]}
    given |= {"k": ["b", "b", *given["k"]], "v": [None, None, *given["v"]]}
    ofds = [OFD(("k",), "v")]
    for fill in (False, True):
        done = repair(read(given, nulls="distinct"), ofds, fill_missing=fill)
        again = repair(read(given, nulls="equal"), ofds, fill_missing=fill)
        assert [(c.row, c.new) for c in done.provenance] == [(c.row, c.new) for c in again.provenance]
        assert done.verified == (not done.unresolved)
    done = repair(read({"k": ["b", "b"], "v": [None, None]}, nulls="distinct"), ofds, fill_missing=True)
    assert done.verified
    assert not done.provenance


@pytest.mark.parametrize("nulls", ["ignore", "equal", "distinct"])
def test_on_disk_missing_cells_mean_the_same(nulls, tmp_path):
    rng = random.Random(7)
    rows = [f"{rng.choice(['a', 'b', ''])},{rng.choice(['x', 'y', 'z', ''])}" for _ in range(300)]
    (tmp_path / "t.csv").write_text("\n".join(["k,v", *rows]))
    ontology = make_ontology("v", {"1": ["x", "y"]})
    here = check(tmp_path / "t.csv", OFD(("k",), "v"), ontology, nulls=nulls)
    there = sql.check(tmp_path / "t.csv", OFD(("k",), "v"), ontology, "1GB", nulls=nulls)
    assert (here.ofd.support, here.rows, here.incomplete) == (there.ofd.support, there.rows, there.incomplete)
    told = [[(r.value, r.rows.tolist()) for one in each.violations() for r in one.readings] for each in (here, there)]
    assert told[0] == told[1]


def test_the_front_reads_a_class_in_concepts_that_cover_none_of_its_values():
    given = table(("a", "v1", 1), ("a", "v5", 1))
    ontology = make_ontology("CTRY", {"C": ["v3", "v4"]})
    assert repair(given, [CC], ontology, search="exact").pareto == ((0, 1), (2, 0))
    # b, d and c under one concept are three additions; each class in its own would need four
    shared = table(("1", "a", 1), ("1", "b", 1), ("1", "d", 1), ("2", "b", 1), ("2", "d", 1), ("2", "c", 1))
    ontology = make_ontology("CTRY", {"A": ["a"], "C": ["c"]})
    assert repair(shared, [CC], ontology, search="exact", adopt_foreign=True).pareto[-1] == (3, 0)
    assert cells(shared, "CTRY")[0] == "a"

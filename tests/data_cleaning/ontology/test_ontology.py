"""What values mean: names, theta, normalising, coverage."""

import random
import unicodedata

import numpy as np
import pytest

from agentlab_runner.data_cleaning.ontology.ontology import Ontology
from agentlab_runner.data_cleaning.table.tables import read
from agentlab_runner.data_cleaning.types import Concept, Hierarchy, Table

FAMILY = {
    "MED": {
        "classes": {
            "ibuprofen": ["ibuprofen", "advil"],
            "naproxen": ["naproxen", "aleve"],
            "acetaminophen": ["acetaminophen", "tylenol"],
            "brand": ["advil", "tylenol"],
        },
        "isa": [
            ["ibuprofen", "NSAID"],
            ["naproxen", "NSAID"],
            ["NSAID", "analgesic"],
            ["acetaminophen", "analgesic"],
        ],
    }
}


def names(ontology: Ontology, column: str, value: str | None, theta: int = 0) -> set[str]:
    lists = ontology.names(column, [value], theta)
    assert lists is not None
    return {ontology.columns[column].concepts[one].name for one in lists.classes}


def test_names_climb_theta_steps():
    family = Ontology.from_dict(FAMILY)
    assert names(family, "MED", "advil") == {"ibuprofen", "brand"}
    assert names(family, "MED", "advil", 1) == {"ibuprofen", "brand", "NSAID"}
    assert names(family, "MED", "tylenol", 1) == {"acetaminophen", "brand", "analgesic"}
    assert names(family, "MED", "advil", 2) == names(family, "MED", "advil", 9) == {
        "ibuprofen", "brand", "NSAID", "analgesic"
    }
    assert names(family, "MED", "NSAID") == names(family, "MED", None, 2) == names(family, "MED", "rum", 2) == set()
    assert family.names("CTRY", ["advil"]) is None


@pytest.mark.parametrize("seed", range(8))
def test_names_are_those_of_a_walk_up_the_dag(seed):
    rng = random.Random(seed)
    concepts = tuple(Concept(f"c{i}", tuple(rng.choices("abcdefgh", k=rng.randrange(3)))) for i in range(12))
    isa = tuple({(rng.randrange(i), i) for i in range(1, 12) for _ in range(2)})  # children come before parents
    ontology = Ontology().bind("A", Hierarchy(concepts, isa))
    values = [rng.choice([*"abcdefghxyz", None]) for _ in range(30)]
    for theta in range(4):
        lists = ontology.names("A", values, theta)
        for code, value in enumerate(values):
            reached = level = {i for i, concept in enumerate(concepts) if value in concept.labels}
            for _ in range(theta):
                level = {parent for child, parent in isa if child in level}
                reached = reached | level
            assert lists.classes[lists.offsets[code] : lists.offsets[code + 1]].tolist() == sorted(reached)


def test_descendants_are_the_labels_below():
    family = Ontology.from_dict(FAMILY)
    place = {concept.name: at for at, concept in enumerate(family.columns["MED"].concepts)}
    assert family.descendants("MED", place["NSAID"]) == ("ibuprofen", "advil", "naproxen", "aleve")
    assert family.descendants("MED", place["analgesic"], 1) == ("acetaminophen", "tylenol")
    assert family.canonical("MED", place["ibuprofen"]) == "ibuprofen"
    assert family.canonical("MED", place["NSAID"]) is None


def test_additions_leave_the_original_alone():
    family = Ontology.from_dict(FAMILY)
    grown = family.with_additions([("MED", "nurofen", 0), ("MED", "advil", 0)])
    assert names(grown, "MED", "nurofen", 1) == {"ibuprofen", "NSAID"}
    assert names(family, "MED", "nurofen") == set()
    assert grown.columns["MED"].concepts[0].labels == ("ibuprofen", "advil", "nurofen")


def test_dict_and_back():
    spec = {"A": {"normalise": "strip+casefold", "classes": {"x": {"labels": ["X"], "sense": "FDA"}, "y": []},
                  "isa": [["x", "y"]]}}
    assert Ontology.from_dict(spec).to_dict() == spec


@pytest.mark.parametrize(
    ("normalise", "written", "label", "same"),
    [
        ("none", "usa", "USA", False),
        ("casefold", "usa", "USA", True),
        ("casefold", "STRASSE", "Straße", True),
        ("strip", "\u00a0USA ", "USA", True),
        ("casefold", " usa", "USA", False),
        ("strip+casefold", " usa", "USA", True),
        ("none", unicodedata.normalize("NFD", "Côte"), "Côte", False),
        ("NFKC", unicodedata.normalize("NFD", "Côte"), "Côte", True),
        ("NFKC", "Côte", unicodedata.normalize("NFD", "Côte"), True),
        ("NFKC", "ＵＳＡ", "USA", True),
    ],
)
def test_normalising(normalise, written, label, same):
    ontology = Ontology.from_dict({"A": {"classes": {"c": [label]}, "normalise": normalise}})
    assert names(ontology, "A", written) == ({"c"} if same else set())


def test_a_cycle_is_condensed_and_told():
    ontology = Ontology.from_dict(
        {"A": {"classes": {"a": ["1"], "b": ["2"], "c": ["3"], "d": ["4"]},
               "isa": [["a", "b"], ["b", "a"], ["d", "a"], ["b", "c"], ["c", "c"]]}}
    )
    assert ontology.condensed == ("column 'A': is-a cycle a -> b -> a",)
    assert names(ontology, "A", "1") == names(ontology, "A", "2") == {"a"}
    assert names(ontology, "A", "4", 1) == {"d", "a"}
    assert names(ontology, "A", "1", 1) == {"a", "c"}


def test_ontologies_on_one_column_stand_side_by_side():
    fda = Hierarchy((Concept("cold", ("a", "b"), "FDA"),))
    moh = Hierarchy((Concept("cold", ("b", "c"), "MoH"), Concept("all", ())), ((0, 1),))
    both = Ontology().bind("A", fda).bind("A", moh)
    lists = both.names("A", ["b"], 1)
    assert [(both.columns["A"].concepts[one].name, both.columns["A"].concepts[one].sense) for one in lists.classes] == [
        ("cold", "FDA"), ("cold", "MoH"), ("all", "")
    ]
    assert list(both.to_dict()["A"]["classes"]) == ["cold (FDA)", "cold (MoH)", "all"]
    assert Ontology.from_dict(both.to_dict()) == both
    assert [one.name for one in both.bind("A", fda).columns["A"].concepts] == ["cold", "cold", "all", "cold #2"]
    assert names(both.only(["FDA"]), "A", "b", 1) == {"cold"}
    with pytest.raises(ValueError, match="its senses are: FDA, MoH"):
        both.only(["EMA"])


def test_coverage_counts_cells_and_warns_below_a_tenth():
    values = (None, *(f"v{i}" for i in range(20)))
    table = Table(("A", "B"), (np.array([0, 1, 1, 2, *range(2, 21)], np.int32),) * 2, (values,) * 2)
    [coverage] = Ontology.from_dict({"A": {"classes": {"c": ["v0"]}}}).coverage(table)
    assert (coverage.values, coverage.known, coverage.rows, coverage.known_rows) == (20, 1, 22, 2)
    assert coverage.examples[0] == "v1"
    assert "knows 2 of the 22 cells of column 'A'" in coverage.warning
    [enough] = Ontology.from_dict({"A": {"classes": {"c": ["v0", "v1"]}}}).coverage(table)
    assert enough.warning is None


def test_slips_of_the_pen_are_many_values_and_few_cells():
    cells = ["USA", "France"] * 480 + [f"slip {number}" for number in range(40)]
    [coverage] = Ontology.from_dict({"A": {"classes": {"us": ["USA"], "fr": ["France"]}}}).coverage(read({"A": cells}))
    assert (coverage.known, coverage.values, coverage.share) == (2, 42, 0.96)
    assert coverage.warning is None


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ([], "an ontology is an object with one entry a column, not a list"),
        ({"A": {"isa": []}}, 'the ontology of column \'A\' has no "classes"'),
        ({"A": {"classes": {"c": "USA"}}}, "class 'c' must be a list of labels"),
        ({"A": {"classes": {"c": [1]}}}, "class 'c' must be a list of labels"),
        ({"A": {"classes": {}, "is-a": []}}, "unknown entry 'is-a'"),
        ({"A": {"classes": {"c": []}, "isa": [["c"]]}}, 'a list of \\["child", "parent"\\] pairs'),
        ({"A": {"classes": {"cat": []}, "isa": [["cart", "cat"]]}}, "did you mean 'cat'"),
        ({"A": {"classes": {}, "normalise": "upper"}}, "use none, strip, casefold, NFKC"),
    ],
)
def test_a_wrong_form_is_told_in_one_sentence(spec, sentence):
    with pytest.raises(ValueError, match=sentence):
        Ontology.from_dict(spec)


def test_a_column_the_table_lacks_and_a_negative_theta_are_refused():
    ontology = Ontology.from_dict(FAMILY)
    with pytest.raises(ValueError, match=r"bound to column 'MED', which the table does not have; did you mean 'MEDS'"):
        ontology.require(["CC", "MEDS"])
    with pytest.raises(ValueError, match="theta counts is-a steps"):
        ontology.names("MED", ["advil"], -1)

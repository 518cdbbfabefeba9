"""Senses: known answers, edge weights against the plain distance, refinement where the senses are planted."""

import numpy as np
import pytest

from agentlab_runner.data_cleaning.experiments.planted import drugs, ofdgen
from agentlab_runner.data_cleaning.repairs.classes import Classes
from agentlab_runner.data_cleaning.repairs.senses import EdgeWeights, assign, dependency_graph, emd, refine
from agentlab_runner.data_cleaning.types import OFD
from tests.data_cleaning.conftest import make_ontology, make_table


@pytest.mark.parametrize(("p", "q", "normalised", "cumulative"), [
    ([4, 0], [0, 4], 1.0, 4.0),
    ([2, 2, 0], [2, 2, 0], 0.0, 0.0),
    ([1, 0, 1], [0, 2, 0], 1.0, 2.0),
    ([3, 1], [1, 3], 0.5, 2.0),
    ([0, 0], [0, 0], 0.0, 0.0),
])  # fmt: skip
def test_distances(p, q, normalised, cumulative):
    assert emd(np.array(p), np.array(q)) == normalised
    assert emd(np.array(p), np.array(q), "cumulative") == cumulative


def one_class(values, concepts):
    table = make_table({"X": ["x"] * len(values), "A": values})
    return Classes.build(table, [OFD(("X",), "A")], make_ontology("A", concepts))


def test_most_covered_tuples_win_then_most_values():
    classes = one_class(["a", "a", "b", "c", "z"], {"C": ["c"], "A": ["a"], "AB": ["a", "b"]})
    assert classes.readings.describe(int(assign(classes)[0])) == "AB"
    classes = one_class(["a", "b", "c", "c", "z"], {"C": ["c"], "AB": ["a", "b"]})
    assert classes.readings.describe(int(assign(classes)[0])) == "AB"


def test_null_is_never_what_a_class_means():
    classes = one_class([None, None, None, "a", "b"], {"C": ["c"]})
    assert classes.readings.describe(int(assign(classes)[0])) == "'a' itself"


def test_published_start_takes_what_values_near_the_median_share():
    # frequencies 6 5 1: around the median 5 stand b and a, which share AB; the most covered tuples are AC's
    classes = one_class(["a"] * 6 + ["b"] * 5 + ["c"], {"AC": ["a", "c"], "AB": ["a", "b"], "B": ["b"]})
    assert classes.readings.describe(int(assign(classes, "mad")[0])) == "AB"
    classes = one_class(["a"] * 5 + ["b"] * 2 + ["c"], {"A": ["a"], "BC": ["b", "c"]})
    assert classes.readings.describe(int(assign(classes)[0])) == "A"
    assert classes.readings.describe(int(assign(classes, "mad")[0])) == "BC"


@pytest.fixture(scope="module")
def crossed() -> Classes:
    planted = ofdgen(600, 3, concepts=6, keys=2, senses=3, spread=3, err=0.1, inc=0.0, seed=3)
    return Classes.build(planted.dirty, planted.ofds, planted.ontology)


@pytest.mark.parametrize("kind", ["normalised", "cumulative"])
def test_edge_weights_are_the_distances_of_the_shared_tuples(crossed, kind):
    graph, senses, readings = dependency_graph(crossed), assign(crossed), crossed.readings
    weights = EdgeWeights(crossed, graph, kind)(senses, np.arange(len(graph.left)))
    for edge in range(0, len(graph.left), 7):
        values, counts = graph.shared(edge)
        sides = []
        for node in (graph.left[edge], graph.right[edge]):
            sense = int(senses[node])
            covered = crossed.covers(np.full(len(values), node), values, np.full(len(values), sense))
            canonical = readings.labels(0, sense)[0] if kind == "cumulative" else f"sense {sense}"
            sides.append([canonical if yes else readings.texts[v] for v, yes in zip(values, covered, strict=True)])
        places = sorted({*sides[0], *sides[1]})
        p, q = (
            np.array([sum(n for s, n in zip(side, counts, strict=True) if s == one) for one in places])
            for side in sides
        )
        same = senses[graph.left[edge]] == senses[graph.right[edge]]
        assert weights[edge] == pytest.approx(0.0 if same else emd(p, q, kind))


def test_shared_tuples_are_counted_once_an_edge(crossed):
    graph = dependency_graph(crossed)
    assert graph.count.sum() == crossed.count[(crossed.members >= 0).all(axis=1)].sum()
    assert (crossed.owner[graph.left] != crossed.owner[graph.right]).all()


def test_a_class_in_doubt_takes_the_sense_of_the_one_it_shares_tuples_with():
    # x0 has core names only, so that every authority fits; all its tuples lie in y0, whose brand names decide
    table = make_table({
        "X": ["x0", "x0", "x0", *["x1"] * 5], "Y": ["y0"] * 8,
        "A": ["core", "core", "err", "core", "brand2", "brand2", "brand2", "core"],
    })  # fmt: skip
    ontology = make_ontology("A", {"one": ["core", "brand1"], "two": ["core", "brand2"]})
    classes = Classes.build(table, [OFD(("X",), "A"), OFD(("Y",), "A")], ontology)
    before = assign(classes)
    after = refine(classes, before)
    assert [classes.readings.describe(int(s)) for s in before] == ["one", "two", "two"]
    assert [classes.readings.describe(int(s)) for s in after] == ["two", "two", "two"]


def test_refinement_reads_more_classes_as_meant():
    planted = drugs(4000, concepts=20, senses=4, spread=6, seed=1)
    classes = Classes.build(planted.dirty, planted.ofds, planted.ontology)
    true = planted.concept["MEDICINE"][classes.example]
    first = assign(classes)
    kept = first.copy()
    assert (refine(classes, first) == true).mean() > (first == true).mean() + 0.01
    assert (first == kept).all()


def test_every_component_is_refined():
    part = {"X": ["x0", "x0", "x0", *["x1"] * 5], "Y": ["y0"] * 8,
            "A": ["core", "core", "err", "core", "brand2", "brand2", "brand2", "core"]}  # fmt: skip
    two = {name: [*cells, *([cell + "'" for cell in cells] if name != "A" else cells)] for name, cells in part.items()}
    ontology = make_ontology("A", {"one": ["core", "brand1"], "two": ["core", "brand2"]})
    classes = Classes.build(make_table(two), [OFD(("X",), "A"), OFD(("Y",), "A")], ontology)
    assert (refine(classes, assign(classes)) == 1).all()

"""Cleaners without an ontology on tables whose answer is plain; the comparison's own honesty."""

import pytest

from agentlab_runner.data_cleaning.experiments import baselines, comparison
from agentlab_runner.data_cleaning.experiments.planted import countries, drugs
from agentlab_runner.data_cleaning.types import OFD
from tests.data_cleaning.conftest import make_table

XA = OFD(("X",), "A")
TABLE = make_table({"X": ["x"] * 10 + ["y"] * 2, "A": ["Germany"] * 6 + ["Germani", "DEU", "DEU", "DEU", "b", "b"]})


def test_majority_changes_everything_else():
    assert baselines.fd_majority(TABLE, XA) == dict.fromkeys((6, 7, 8, 9), "Germany")


@pytest.mark.parametrize(("share", "rows"), [(0.05, ()), (0.2, (6,)), (0.5, (6, 7, 8, 9))])
def test_frequency_spares_what_is_common(share, rows):
    assert baselines.fd_frequency(TABLE, XA, share) == dict.fromkeys(rows, "Germany")


@pytest.mark.parametrize(("distance", "rows"), [(0.1, (6, 7, 8, 9)), (0.2, (7, 8, 9)), (1.0, ())])
def test_metric_spares_what_is_near(distance, rows):
    assert baselines.fd_metric(TABLE, XA, distance) == dict.fromkeys(rows, "Germany")


def test_all_cleaners_are_scored_both_ways():
    found = comparison.scores(lambda **kw: countries(3000, **kw), 0.1, 0.1, 0, 1000, "synonym")
    assert found.keys() == {"ofd", "ofd_data", "ofd_knee", "fd_majority", "fd_frequency", "fd_metric"}
    for ways in found.values():
        assert ways["synonym"].f1 >= ways["exact"].f1
    assert found["ofd"]["synonym"].f1 > found["ofd_data"]["synonym"].f1 > found["fd_majority"]["synonym"].f1


def test_parameters_are_chosen_on_another_table():
    asked = []

    def make(**kw):
        asked.append(kw["seed"])
        return countries(500, concepts=10, **kw)

    comparison.cleaners(make, 0.1, 0.0, 3, 77, "synonym")
    assert asked == [3, 77]


def test_sense_accuracy_is_counted_where_dependencies_meet():
    found = comparison.sense_accuracy(drugs(3000, concepts=15, senses=4, spread=5))
    assert found.keys() == {"initial", "refined", "mad", "mad_refined"}
    assert found["refined"] > found["initial"]
    assert found["mad_refined"] > found["mad"]


def test_baran_corrects_some_of_what_it_is_told():
    pytest.importorskip("raha")
    planted = countries(200, concepts=5, err=0.1, inc=0.0)
    found = baselines.baran(planted, planted.ofds[0], labels=5, seed=0)
    assert set(found) <= {row for row, wrong in enumerate(planted.errors["CTRY"]) if wrong}

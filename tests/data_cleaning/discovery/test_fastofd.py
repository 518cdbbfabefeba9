"""Discovery against enumeration, Desbordante and known answers."""

import random
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from agentlab_runner.data_cleaning.discovery.discover import discover
from agentlab_runner.data_cleaning.discovery.lattice import Counters, Pruning
from agentlab_runner.data_cleaning.table.tables import read
from agentlab_runner.data_cleaning.types import OFD
from tests.data_cleaning.oracle import Binding, Rows, minimal, random_binding, random_rows

NAMES = list("ABCDEFG")


def table_of(names: list[str], rows: Rows) -> dict[str, list[Any]]:
    return {name: [row[i] for row in rows] for i, name in enumerate(names)}


def as_counts(ofds: list[OFD], rows: int) -> dict[tuple[tuple[str, ...], str], int]:
    return {(ofd.lhs, ofd.rhs): round(ofd.support * rows) for ofd in ofds}


def cases(count: int, seed: int) -> Any:
    for number in range(count):
        rng = random.Random(f"{seed} {number}")
        names = NAMES[: rng.randint(2, 6)]
        rows = random_rows(rng, rng.choice([2, 7, 30, 60]), len(names))
        yield names, rows, random_binding(rng, names)


def test_without_ontology_it_finds_the_functional_dependencies():
    for names, rows, _ in cases(40, seed=1):
        assert as_counts(discover(table_of(names, rows)), len(rows)) == minimal(names, rows)


@pytest.mark.parametrize("theta", [0, 1, 2])
@pytest.mark.parametrize("kappa", [1.0, 0.9, 0.8, 0.7])
def test_it_agrees_with_enumeration(theta: int, kappa: float):
    kind: Any = "inheritance" if theta else "synonym"
    for names, rows, binding in cases(25, seed=2):
        found = discover(table_of(names, rows), binding, kind=kind, theta=theta, kappa=kappa)
        assert as_counts(found, len(rows)) == minimal(names, rows, binding, theta, kappa)


def test_theta_zero_is_synonym():
    for names, rows, binding in cases(10, seed=3):
        table = table_of(names, rows)
        inherited = discover(table, binding, kind="inheritance", theta=0)
        assert [replace(ofd, kind="synonym") for ofd in inherited] == discover(table, binding)


def test_pairwise_agreement_is_not_enough():
    """v, w, z have a common name two by two but not all three."""
    table = {"X": ["x", "x", "x"], "A": ["v", "w", "z"]}
    trap = Binding({"A": {0: ["v", "z"], 1: ["v", "w"], 2: ["w", "z"]}})
    for pruning in (Pruning(), Pruning(constant=False), Pruning(refutation=False)):
        assert OFD((), "A") not in discover(table, trap, pruning=pruning)
        assert [ofd.support for ofd in discover(table, trap, kappa=0.6, pruning=pruning) if ofd.rhs == "A"] == [2 / 3]
        assert OFD(("X",), "A") not in discover(table, trap, pruning=pruning, allow_empty_lhs=False)


def test_the_running_example_holds_by_names_only():
    table = {
        "CC": ["US", "US", "US", "CA", "CA"],
        "CTRY": ["USA", "America", "United States", "Canada", "Canada"],
        "MED": ["ibuprofen", "naproxen", "naproxen", "analgesic", "ibuprofen"],
    }
    labels = {
        "CTRY": {0: ["USA", "America", "United States"], 1: ["Canada"]},
        "MED": {0: ["ibuprofen"], 1: ["naproxen"], 2: ["NSAID"], 3: ["analgesic"]},
    }
    drugs = Binding(labels, {"MED": [(0, 2), (1, 2), (2, 3)]})
    assert OFD(("CC",), "CTRY") not in discover(table)
    assert OFD(("CC",), "CTRY") in discover(table, drugs)
    for theta in (1, 2):  # ibuprofen and naproxen are NSAIDs, an NSAID is an analgesic
        by_family = discover(table, drugs, kind="inheritance", theta=theta, allow_empty_lhs=False)
        assert (OFD(("CC",), "MED", "inheritance", theta) in by_family) == (theta == 2)


@pytest.mark.parametrize("kappa", [1.0, 0.85])
def test_prunings_change_the_work_and_not_the_result(kappa: float):
    work: dict[str, int] = {}
    for names, rows, binding in cases(12, seed=4):
        table = table_of(names, rows)
        expected = discover(table, binding, kappa=kappa)
        for off in (None, *(field.name for field in fields(Pruning))):
            counters = Counters()
            pruning = Pruning() if off is None else replace(Pruning(), **{off: False})
            assert discover(table, binding, kappa=kappa, pruning=pruning, counters=counters) == expected
            if off is None:
                usual = counters
            measured = {"augmentation": "candidates", "keys": "keys", "constant": "constant", "refutation": "refuted"}
            if off:
                work[off] = work.get(off, 0) + getattr(counters, measured[off]) - getattr(usual, measured[off])
    assert work["augmentation"] > 0
    assert all(work[name] < 0 for name in (["keys", "refutation"] if kappa == 1 else ["constant"])), work


def test_the_thread_count_changes_nothing():
    rng = random.Random(5)
    rows = random_rows(rng, 3000, 7)
    table = read(table_of(NAMES, rows))
    seen = []
    for threads in (1, 2, 5):
        counters, binding = Counters(), random_binding(random.Random(6), NAMES)
        seen.append((discover(table, binding, threads=threads, counters=counters), counters))
    assert seen[0] == seen[1] == seen[2]


def test_support_grows_with_theta_and_kappa_only_lengthens_left_sides():
    for names, rows, binding in cases(10, seed=7):
        table = table_of(names, rows)
        loose, strict = (discover(table, binding, kappa=kappa) for kappa in (0.7, 0.9))
        for ofd in strict:
            assert any(set(other.lhs) <= set(ofd.lhs) and other.rhs == ofd.rhs for other in loose)
        near, far = (discover(table, binding, kind="inheritance", theta=theta, kappa=0.8) for theta in (1, 2))
        for ofd in near:
            assert any(set(other.lhs) <= set(ofd.lhs) and other.rhs == ofd.rhs for other in far)


def test_nulls_are_one_value_or_all_different():
    data = {"X": [None, None, "b"], "A": ["1", "2", "3"], "B": [None, None, "7"]}
    equal = discover(read(data), max_lhs=1, allow_empty_lhs=False)
    assert OFD(("X",), "B") in equal
    assert OFD(("X",), "A") not in equal
    distinct = discover(read(data, nulls="distinct"), max_lhs=1, allow_empty_lhs=False)
    assert OFD(("X",), "A") in distinct
    assert OFD(("A",), "B") in distinct
    assert OFD((), "B") not in discover(read({"B": [None, None]}, nulls="distinct"))


def test_an_empty_table_satisfies_everything():
    table = {"A": [], "B": []}
    assert discover(table) == [OFD((), "A"), OFD((), "B")]
    assert discover(table, kappa=0.5, allow_empty_lhs=False) == [OFD(("A",), "B"), OFD(("B",), "A")]


def test_max_lhs_cuts_the_longer_ones():
    for names, rows, _ in cases(5, seed=8):
        table = table_of(names, rows)
        assert discover(table, max_lhs=2) == [ofd for ofd in discover(table) if len(ofd.lhs) <= 2]


def test_output_is_in_the_order_of_the_columns():
    rng = np.random.default_rng(0)
    found = discover({name: rng.integers(0, 4 + i, 200).tolist() for i, name in enumerate("dbca")})
    keys = [(len(ofd.lhs), ["dbca".index(c) for c in ofd.lhs], "dbca".index(ofd.rhs)) for ofd in found]
    assert keys == sorted(keys)


def test_progress_tells_the_level():
    seen = []
    discover(table_of(NAMES, random_rows(random.Random(9), 50, 7)), progress=seen.append)
    assert [step.level for step in seen] == sorted(step.level for step in seen)
    assert all(0 < step.done <= step.total for step in seen)
    assert {step.done for step in seen if step.done == step.total}


def test_bad_settings_are_one_sentence():
    table = {"A": ["x"], "B": ["y"]}
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"kappa": 0}, "kappa is 0; .* above 0"),
        ({"kappa": 1.2}, "kappa is 1.2"),
        ({"theta": -1, "kind": "inheritance"}, "theta is -1"),
        ({"theta": 1}, "use kind inheritance"),
        ({"kind": "isa"}, "choose synonym or inheritance"),
        ({"max_lhs": -1}, "max_lhs is -1"),
        ({"threads": 0}, "threads is 0"),
    ]
    for settings, message in wrong:
        with pytest.raises(ValueError, match=message):
            discover(table, **settings)
    with pytest.raises(ValueError, match="64 columns; discovery takes 63 at most"):
        discover({f"c{i}": ["x"] for i in range(64)})


def test_sixty_three_columns_work():
    rng = np.random.default_rng(1)
    found = discover({f"c{i}": rng.integers(0, 3, 40).tolist() for i in range(63)}, max_lhs=2)
    assert all(len(ofd.lhs) == 2 for ofd in found)

"""Without an ontology the result is Desbordante's."""

import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

from agentlab_runner.data_cleaning.discovery.discover import discover
from tests.data_cleaning.oracle import random_rows

desbordante = pytest.importorskip("desbordante")


def theirs(path: Path) -> set[tuple[tuple[int, ...], int]]:
    algorithm = desbordante.fd.algorithms.HyFD()
    algorithm.load_data(table=(str(path), ",", True))
    algorithm.execute()
    tuples = (fd.to_index_tuple() for fd in algorithm.get_fds())
    return {(tuple(sorted(lhs)), rhs) for lhs, rhs in tuples}


def ours(path: Path, names: list[str]) -> set[tuple[tuple[int, ...], int]]:
    return {(tuple(map(names.index, ofd.lhs)), names.index(ofd.rhs)) for ofd in discover(path)}


def test_random_tables(tmp_path: Path):
    for seed in range(40):
        rng = random.Random(seed)
        names = list("ABCDEFGH")[: rng.randint(2, 8)]
        rows = random_rows(rng, rng.choice([2, 5, 20, 100]), len(names))
        path = tmp_path / f"{seed}.csv"
        path.write_text("\n".join(",".join(row) for row in [names, *rows]) + "\n")
        assert ours(path, names) == theirs(path)


def test_a_table_of_5000_rows(tmp_path: Path):
    rng = np.random.default_rng(0)
    columns = {f"c{i}": rng.zipf(1.3, 5000) % size for i, size in enumerate([5000, 900, 400, 100, 50, 20, 8, 4])}
    columns["sum"] = (columns["c3"] + columns["c4"]) % 60
    columns["id"] = rng.integers(0, 40_000, 5000)
    pyarrow.csv.write_csv(pa.table(columns), tmp_path / "t.csv")
    found = ours(tmp_path / "t.csv", list(columns))
    assert found == theirs(tmp_path / "t.csv")
    assert len(found) > 50

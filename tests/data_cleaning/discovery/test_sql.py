"""Out of core: the same answers from disk."""

import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from agentlab_runner.data_cleaning.discovery import sql
from agentlab_runner.data_cleaning.discovery.discover import discover
from agentlab_runner.data_cleaning.discovery.logic import check
from agentlab_runner.data_cleaning.discovery.store import size_in_bytes
from agentlab_runner.data_cleaning.table.tables import Nulls, read
from agentlab_runner.data_cleaning.types import OFD
from tests.conftest import ROOT, environment
from tests.data_cleaning.oracle import Binding, random_binding, random_rows

LIMIT = "600MB"
MILLION = """
import sys
from agentlab_runner.data_cleaning import discover
from agentlab_runner.data_cleaning.discovery import sql
sql._bytes_needed = lambda relation, threads: float("inf")
print(len(discover(sys.argv[1], memory_limit="1.5GB")))
print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
"""


@pytest.fixture
def on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """However small the table, it is taken not to fit."""
    monkeypatch.setattr(sql, "_bytes_needed", lambda relation, threads: float("inf"))


def written(folder: Path, seed: int, rows: int, width: int, nulls: bool = True) -> tuple[Path, Binding]:
    rng = random.Random(seed)
    names = [f"c {i}" for i in range(width)]
    data: list[Any] = [list(row) for row in random_rows(rng, rows, width)]
    for row in data if nulls else ():
        row[rng.randrange(width)] = None
    pyarrow.csv.write_csv(pa.table({name: [row[i] for row in data] for i, name in enumerate(names)}), folder / "t.csv")
    return folder / "t.csv", random_binding(rng, names)


@pytest.mark.usefixtures("on_disk")
@pytest.mark.parametrize("nulls", ["equal", "distinct"])
@pytest.mark.parametrize(("theta", "kappa"), [(0, 1.0), (0, 0.8), (2, 0.9)])
def test_discovery_on_disk_finds_the_same(theta: int, kappa: float, nulls: Nulls, tmp_path: Path):
    kind: Any = "inheritance" if theta else "synonym"
    for seed in range(3):
        path, binding = written(tmp_path, seed, rows=60, width=4)
        settings: dict[str, Any] = {"kind": kind, "theta": theta, "kappa": kappa}
        inside = discover(read(path, nulls=nulls), binding, **settings)
        outside = discover(path, binding, nulls=nulls, memory_limit=LIMIT, **settings)
        assert outside == inside
        assert [(ofd.support, ofd.strength) for ofd in outside] == [(ofd.support, ofd.strength) for ofd in inside]


def test_a_check_on_disk_reports_the_same(tmp_path: Path):
    for seed in range(3):
        path, binding = written(tmp_path, seed, rows=80, width=3)
        for lhs, rhs in [(("c 0",), "c 2"), (("c 0", "c 2"), "c 1"), ((), "c 0")]:
            inside = check(path, OFD(lhs, rhs), binding)
            outside = sql.check(path, OFD(lhs, rhs), binding, LIMIT)
            for name in ("ofd", "rows", "classes", "constant", "by_name", "violated", "deficit", "flagged"):
                assert getattr(inside, name) == getattr(outside, name), name
            assert (inside.ofd.support, inside.ofd.strength) == (outside.ofd.support, outside.ofd.strength)
            assert str(list(inside.violations())) == str(list(outside.violations()))
            assert str(list(inside.synonyms())) == str(list(outside.synonyms()))


def test_what_fits_is_searched_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path, binding = written(tmp_path, 7, rows=50, width=4)
    monkeypatch.delattr(sql, "Queries")
    assert discover(path, binding, memory_limit=LIMIT) == discover(path, binding)
    assert discover({"A": [], "B": []}, memory_limit=LIMIT) == discover({"A": [], "B": []})


def test_parquet_is_streamed(tmp_path: Path):
    path, binding = written(tmp_path, 8, rows=50, width=3)
    pq.write_table(pyarrow.csv.read_csv(path), tmp_path / "t.parquet", row_group_size=7)
    assert discover(tmp_path / "t.parquet", binding, memory_limit=LIMIT) == discover(path, binding)


def test_bad_limits_and_tables_are_one_sentence(tmp_path: Path):
    (tmp_path / "ragged.csv").write_text("a,b\n1,2\n3\n")
    for source, limit, message in [
        ({"a": ["1"]}, "lots", "give a number of bytes, or text as '1.5GB'"),
        ({"a": ["1"]}, "10MB", "need 472MB at least"),
        (tmp_path / "ragged.csv", LIMIT, "Expected 2 columns, got 1"),
        (tmp_path / "none.csv", LIMIT, "there is no file"),
    ]:
        with pytest.raises(ValueError, match=message):
            discover(source, memory_limit=limit)
    with pytest.raises(ValueError, match="no column 'b'"):
        sql.check({"a": ["1"]}, OFD(("a",), "b"), None, LIMIT)
    assert size_in_bytes("1.5GB") == 1_500_000_000
    assert size_in_bytes("2GiB") == size_in_bytes(2 << 30) == 2 << 30


@pytest.mark.slow
@pytest.mark.usefixtures("on_disk")
def test_a_table_of_200_000_rows(tmp_path: Path):
    path, binding = written(tmp_path, 9, rows=200_000, width=6)
    assert discover(path, binding, memory_limit=LIMIT) == discover(path, binding)


@pytest.mark.slow
def test_a_million_rows_stay_within_the_limit(tmp_path: Path):
    from benchmarks.cleaning.ofd_tables import write_csv

    write_csv(1_000_000, 10, tmp_path / "t.csv")
    command = [sys.executable, "-c", MILLION, str(tmp_path / "t.csv")]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found, peak = done.stdout.split()
    assert int(peak) * 1024 < 1.5e9
    assert int(found) == len(discover(tmp_path / "t.csv"))

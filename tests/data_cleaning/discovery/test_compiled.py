"""Machine code is kept where that is possible, and the same answers come in any process."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agentlab_runner.data_cleaning.discovery import compiled
from tests.conftest import ROOT, environment

SCRIPT = """
import random, sys
from agentlab_runner.data_cleaning import check, discover
from agentlab_runner.data_cleaning.types import OFD
from tests.data_cleaning.oracle import random_binding, random_rows
rng = random.Random(3)
rows = random_rows(rng, 500, 6)
table = {name: [row[i] for row in rows] for i, name in enumerate("ABCDEF")}
binding = random_binding(rng, "ABCDEF")
for ofd in discover(table, binding, kappa=0.95, threads=int(sys.argv[1])):
    print(ofd, ofd.support, ofd.strength)
    print([(one.lhs, one.concept, one.outliers.tolist()) for one in check(table, ofd, binding).violations()])
"""


def run(threads: int, **changes: str) -> str:
    command = [sys.executable, "-c", SCRIPT, str(threads)]
    done = subprocess.run(command, env=environment() | changes, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_hash_seed_and_threads_change_no_byte():
    first = run(1, PYTHONHASHSEED="1")
    assert first
    assert run(3, PYTHONHASHSEED="2") == first


@pytest.mark.slow
def test_the_second_process_does_not_compile(tmp_path: Path):
    run(1, NUMBA_CACHE_DIR=str(tmp_path))
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nbc")}
    assert kept
    run(1, NUMBA_CACHE_DIR=str(tmp_path))
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nbc")} == kept


def test_without_a_place_for_the_cache_kernels_still_run(monkeypatch: pytest.MonkeyPatch):
    def njit(**settings: Any) -> Any:
        if settings.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return lambda function: function

    monkeypatch.setattr(compiled, "njit", njit)
    assert compiled.kernel(os.path.basename)("a/b") == "b"

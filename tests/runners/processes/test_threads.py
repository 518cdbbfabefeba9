"""Threads and their waiting, as they are chosen, told to OpenMP and written down."""

import json
import subprocess
import sys

import pytest

from agentlab_runner.runners.processes import threads
from agentlab_runner.runners.processes.threads import SMALL, own_number, settle, wait
from tests.conftest import ROOT, agentlab, environment

CONF = str(ROOT / "tests/runners/conf")
TINY = {"trainer": {"device": "cpu", "threads": "auto"}, "model": {"make": {"width": 64}}}
LARGE = {"trainer": {"device": "cpu", "threads": "auto"}, "model": {"name": "some/model"}}


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    """No variable set before or left behind."""
    for name in ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", threads._OURS):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "torch")


@pytest.mark.parametrize(
    ("cfg", "processes", "cores", "number"),
    [
        (LARGE, 1, 16, 16),
        (LARGE, 4, 16, 4),
        (LARGE, 4, 2, 1),
        (TINY, 1, 16, SMALL),
        (TINY, 2, 2, 1),
        (TINY | {"model": None}, 1, 16, SMALL),
        (LARGE | {"trainer": {"device": "cuda"}}, 1, 16, SMALL),
        (LARGE | {"trainer": {"device": "cpu", "threads": 3}}, 4, 2, 3),
    ],
)
def test_the_number_follows_the_model_and_the_cores_that_each_process_has(cfg, processes, cores, number):
    assert settle(cfg, processes, cores=cores)["number"] == number


def test_what_is_asked_for_comes_before_the_environment_and_that_before_what_the_run_began_with(monkeypatch):
    began = settle(LARGE, cores=5)
    assert began == {"number": 5, "waiting": "passive", "why": "a large model, 5 cores"}
    assert settle(LARGE, recorded=began, cores=7)["number"] == 5
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert settle(LARGE, recorded=began, cores=7) == {"number": 3, "waiting": "passive", "why": "OMP_NUM_THREADS"}
    assert settle({"trainer": {"threads": 4}}, recorded=began)["number"] == 4


def test_what_was_put_into_the_environment_here_is_not_taken_for_the_users_own(monkeypatch):
    settle(LARGE, cores=5)
    assert own_number() is None
    assert settle(LARGE, cores=7)["number"] == 7
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert own_number() == 2


@pytest.mark.parametrize(("name", "value", "waiting"), [
    ("OMP_WAIT_POLICY", "ACTIVE", "active"), ("GOMP_SPINCOUNT", "7", "GOMP_SPINCOUNT=7"),
])  # fmt: skip
def test_the_users_own_way_of_waiting_stays(monkeypatch, name, value, waiting):
    monkeypatch.setenv(name, value)
    assert wait() == waiting


def test_openmp_hears_of_it_and_the_manifest_too(tmp_path):
    env = environment() | {"AGENTLAB_CONF": CONF, "OMP_DISPLAY_ENV": "TRUE"}
    del env["OMP_NUM_THREADS"]
    result = agentlab("train", "+exp=team", "trainer.threads=3", "total_iterations=1", cwd=tmp_path, env=env)
    assert result.exit_code == 0, result.stderr
    assert "OMP_NUM_THREADS = '3'" in result.stderr
    assert "OMP_WAIT_POLICY = 'PASSIVE'" in result.stderr
    (manifest,) = tmp_path.glob("runs/*/manifest.json")
    assert json.loads(manifest.read_text())["threads"] == {"number": 3, "waiting": "passive", "why": "trainer.threads"}
    resumed = agentlab("resume", "run=latest", "trainer.threads=auto", "total_iterations=2", cwd=tmp_path, env=env)
    assert resumed.exit_code == 0, resumed.stderr
    assert "OMP_NUM_THREADS = '3'" in resumed.stderr
    assert json.loads(manifest.read_text())["threads"]["why"] == "as the run began"


@pytest.mark.parametrize("value", ["0", "many"])
def test_other_values_are_refused(value, tmp_path):
    env = environment() | {"AGENTLAB_CONF": CONF}
    result = agentlab("train", "+exp=team", f"trainer.threads={value}", cwd=tmp_path, env=env)
    assert result.exit_code == 2
    assert "trainer.threads is" in result.stderr
    assert "'auto'" in result.stderr


def test_the_module_is_light():
    code = "import sys, agentlab_runner.runners.processes.threads; print(*{'torch', 'numpy'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"

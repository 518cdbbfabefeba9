"""Threads and their waiting, as they are chosen, told to OpenMP and written down."""

import json
import os
import re
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from agentlab_runner.runners.processes import threads
from agentlab_runner.runners.processes.threads import SMALL, free_cores, own_number, settle, usable_cores, wait
from tests.conftest import ROOT, agentlab, environment

CONF = str(ROOT / "tests/runners/conf")
TINY = {"trainer": {"device": "cpu", "threads": "auto"}, "model": {"make": {"width": 64}}}
LARGE = {"trainer": {"device": "cpu", "threads": "auto"}, "model": {"name": "some/model"}}


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    """No variable set before or left behind."""
    own = ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
    for name in (*own, threads._OURS, threads._WAITING):
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


@pytest.mark.parametrize(("gpus", "usable", "number"), [(["H200"], True, SMALL), (["H200"], False, 16), ([], True, 16)])
def test_work_on_a_gpu_that_is_found_is_small_too(monkeypatch, gpus, usable, number):
    cuda = SimpleNamespace(is_available=lambda: usable)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda, set_num_threads=lambda number: None))
    monkeypatch.setitem(sys.modules, "torch.cuda", cuda)
    monkeypatch.setattr(threads, "hardware", lambda: {"gpu": gpus})
    assert settle(LARGE | {"trainer": {"device": "auto"}}, cores=16)["number"] == number


def test_what_is_asked_for_comes_before_the_environment_and_that_before_what_the_run_began_with(monkeypatch):
    began = settle(LARGE, cores=5)
    assert began == {"number": 5, "waiting": "passive", "why": "a large model, 5 cores"}  # the cores of one of several
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


@pytest.mark.parametrize("name", ["OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"])
def test_the_users_own_way_of_waiting_stays(monkeypatch, name):
    monkeypatch.setenv(name, "7")
    assert wait(2) == f"{name}=7"
    assert os.environ[name] == "7"


@pytest.mark.parametrize(("free", "waiting", "spins"), [(2.0, "brief", "10000"), (1.0, "passive", None)])
def test_threads_spin_a_little_where_cores_are_free_and_not_at_all_elsewhere(monkeypatch, free, waiting, spins):
    monkeypatch.setattr(threads, "free_cores", lambda: free)
    assert wait(2) == waiting
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"
    assert os.environ.get("GOMP_SPINCOUNT") == spins
    monkeypatch.setattr(threads, "free_cores", lambda: 2.0 - free)
    assert wait(2) == waiting  # settled


def test_those_who_will_share_their_cores_do_not_look_whether_some_are_free(monkeypatch):
    monkeypatch.setattr(threads, "free_cores", lambda: 2.0)
    assert wait(None) == "passive"


def test_busy_processes_take_from_the_free_cores():
    busy = [subprocess.Popen(["sh", "-c", "while :; do :; done"]) for _ in range(usable_cores() + 1)]
    try:
        time.sleep(0.2)
        assert free_cores() < 0.3
    finally:
        for process in busy:
            process.kill()
            process.wait()


def heard(stderr: str) -> dict[str, str]:
    """What GNU's OpenMP says of itself as it is loaded."""
    return dict(re.findall(r"(OMP_NUM_THREADS|GOMP_SPINCOUNT) = '(\d+)'", stderr))


def test_openmp_hears_of_it_and_the_manifest_too(tmp_path):
    env = environment() | {"AGENTLAB_CONF": CONF, "OMP_DISPLAY_ENV": "VERBOSE"}
    del env["OMP_NUM_THREADS"]
    result = agentlab("train", "+exp=team", "trainer.threads=3", "total_iterations=1", cwd=tmp_path, env=env)
    assert result.exit_code == 0, result.stderr
    (manifest,) = tmp_path.glob("runs/*/manifest.json")
    said = json.loads(manifest.read_text())["threads"]
    assert (said["number"], said["why"]) == (3, "trainer.threads")
    spins = {"brief": "10000", "passive": "0"}
    assert heard(result.stderr) == {"OMP_NUM_THREADS": "3", "GOMP_SPINCOUNT": spins[said["waiting"]]}
    resumed = agentlab("resume", "run=latest", "trainer.threads=auto", "total_iterations=2", cwd=tmp_path, env=env)
    assert resumed.exit_code == 0, resumed.stderr
    said = json.loads(manifest.read_text())["threads"]
    assert (said["number"], said["why"]) == (3, "as the run began")


def test_torch_that_is_imported_already_takes_the_number(monkeypatch):
    code = (
        "import torch; from agentlab_runner.runners.processes.threads import settle; "
        "settle({'trainer': {'threads': 3}}); print(torch.get_num_threads())"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "3\n"


def test_several_processes_share_the_cores_and_do_not_spin(tmp_path):
    env = environment() | {"AGENTLAB_CONF": CONF, "OMP_DISPLAY_ENV": "VERBOSE"}
    del env["OMP_NUM_THREADS"]
    two = ("trainer=ddp", "trainer.processes=2", "total_iterations=1")  # device: auto, so torch is asked for GPUs first
    result = agentlab("train", "+exp=team", *two, cwd=tmp_path, env=env)
    assert result.exit_code == 0, result.stderr
    assert heard(result.stderr)["GOMP_SPINCOUNT"] == "0"
    (manifest,) = tmp_path.glob("runs/*/manifest.json")
    each = max(1, usable_cores() // 2)
    assert json.loads(manifest.read_text())["threads"]["number"] == min(SMALL, each)


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

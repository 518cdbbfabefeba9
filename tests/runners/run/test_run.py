"""The run folder: who may have it, what it says of itself, and what is left when things go wrong."""

import errno
import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from agentlab_runner.runners.errors import RunFailed, UserError
from agentlab_runner.runners.files import atomic
from agentlab_runner.runners.files.atomic import append_line
from agentlab_runner.runners.files.lock import take_lock
from agentlab_runner.runners.run.folder import Run
from agentlab_runner.runners.run.lookup import latest
from agentlab_runner.runners.run.signals import STOPS
from agentlab_runner.runners.types import Histogram, Picture

CONFIG = {
    "seed": 3,
    "runs_dir": "runs",
    "total_iterations": 10,
    "agent": {"lr": 1e-3, "layers": [1, 2]},
    "trainer": {"device": "cpu", "precision": "no"},
    "logger": None,
    "checkpoint": {"every": 1, "keep": 2},
}


@pytest.fixture
def run(tmp_path):
    return Run.create(CONFIG, tmp_path, ["agentlab", "train"], name="demo")


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def script(run, body):
    """A process that runs `body` inside `with run:` and says `ready` when it is there."""
    head = "import os, time\nfrom agentlab_runner.runners.run.folder import Run"
    code = f"{head}\nwith Run.open({str(run.path)!r}) as run:\n{body}"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n", process.stderr.read()
    return process


WAIT = "    print('ready', flush=True)\n    time.sleep(60)\n"


# -- what it says of itself --------------------------------------------------------------------------------------------


def test_the_manifest_says_what_was_run_on_what(run):
    manifest = json.loads((run.path / "manifest.json").read_text())
    assert manifest["command"] == ["agentlab", "train"]
    assert manifest["seed"] == 3
    assert manifest["packages"]["torch"] == torch.__version__
    assert manifest["hardware"]["cores"] >= 1
    assert manifest["hardware"]["memory_gb"] > 0.1
    assert manifest["status"] == "running"
    head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, cwd=Path(__file__).parent)
    if head.returncode == 0:
        assert manifest["git"]["commit"] == head.stdout.strip()
        assert manifest["git"]["dirty"] in (True, False)


def test_the_config_is_stored_resolved(tmp_path):
    cfg = OmegaConf.create({"seed": 1, "env": {"seed": "${seed}"}})
    assert Run.open(Run.create(cfg, tmp_path, []).path).config == {"seed": 1, "env": {"seed": 1}}


def test_a_finished_run_says_so(run):
    with run:
        assert run.status == "running"
    assert run.status == Run.open(run.path).status == "finished"
    assert run.manifest["ended"] > run.manifest["started"]


def test_a_failed_run_keeps_its_traceback_until_it_succeeds(run):
    with pytest.raises(ZeroDivisionError), run:
        _ = 1 / 0
    assert run.status == "failed"
    assert "ZeroDivisionError" in (run.path / "error.txt").read_text()
    with run:
        pass
    assert run.status == "finished"
    assert not (run.path / "error.txt").exists()


def test_bad_input_that_is_told_before_it_goes_on_leaves_a_run_as_it_was(run):
    def refuse(gone_on=False):
        if gone_on:
            again.load_checkpoint()
        raise UserError("no module named 'echo'")

    with run:
        run.save_checkpoint(1, {})
    before = Run.open(run.path).manifest
    with pytest.raises(UserError):
        refuse()
    after = Run.open(run.path).manifest
    assert (after["status"], after["ended"]) == ("finished", before["ended"])
    assert not (run.path / "error.txt").exists()
    again = Run.open(run.path)
    with pytest.raises(UserError, match="echo"), again:
        refuse(gone_on=True)
    assert Run.open(run.path).status == "failed"


def test_latest_is_the_one_started_last(tmp_path):
    with pytest.raises(UserError, match="there is no run in"):
        latest(tmp_path)
    runs = [Run.create(CONFIG, tmp_path, [], name=name) for name in ("z", "a")]
    assert latest(tmp_path).path == runs[1].path


def test_what_is_no_run_or_a_damaged_one_is_refused(run, tmp_path):
    with pytest.raises(UserError, match="not a run folder"):
        Run.open(tmp_path / "nothing")
    (run.path / "manifest.json").write_text("{")
    with pytest.raises(UserError, match=r"manifest\.json is damaged"):
        Run.open(run.path)


# -- who may have it ---------------------------------------------------------------------------------------------------


def _create(root):
    return str(Run.create(CONFIG, root, [], name="same").path)


def test_runs_created_at_the_same_moment_do_not_share_a_folder(tmp_path):
    with ProcessPoolExecutor(2) as pool:
        paths = list(pool.map(_create, [tmp_path] * 12))
    assert len(set(paths)) == 12


def test_a_given_folder_may_exist_but_not_hold_a_run(tmp_path):
    (tmp_path / "job").mkdir()
    (tmp_path / "job" / "log.txt").write_text("a launcher was here")
    run = Run.create(CONFIG, tmp_path, [], path=tmp_path / "job")
    with run:
        pass
    with pytest.raises(UserError, match="already holds a run; continue it with"):
        Run.create(CONFIG, tmp_path, [], path=tmp_path / "job")


def test_a_run_that_is_being_run_is_refused(run):
    with run:
        pass
    process = script(run, WAIT)
    try:
        assert Run.open(run.path).status == "running"
        with pytest.raises(UserError, match=f"being run by process {process.pid}"), Run.open(run.path):
            pass
    finally:
        process.kill()
        process.wait()
    assert Run.open(run.path).status == "interrupted"
    with run:
        pass
    assert run.status == "finished"


@pytest.mark.parametrize("number", STOPS)
def test_ctrl_c_and_its_like_interrupt(run, number):
    with run:
        pass
    process = script(run, WAIT)
    process.send_signal(number)
    assert process.wait(30) != 0
    assert json.loads((run.path / "manifest.json").read_text())["status"] == "interrupted"
    assert not (run.path / "error.txt").exists()


# -- metrics -----------------------------------------------------------------------------------------------------------


def test_metrics_come_back(run):
    with run:
        run.log({"loss": 0.5, "n": np.float32(2), "nan": float("nan")}, step=1)
        picture = Picture(np.zeros((4, 5, 3), np.uint8), "heat")
        run.log({"b": Histogram((1, 2), (0.0, 0.5, 1.0)), "map": picture}, step=2)
    first, second = run.metrics()
    assert (first["step"], first["loss"], first["n"]) == (1, 0.5, 2.0)
    assert np.isnan(first["nan"])
    assert abs(first["time"] - time.time()) < 60
    assert second["b"] == {"counts": [1, 2], "edges": [0.0, 0.5, 1.0]}
    assert second["map"]["caption"] == "heat"
    assert (run.path / second["map"]["file"]).exists()
    assert run.last("loss")["n"] == 2.0
    assert run.last("unheard of") == {}


def test_a_torn_last_line_is_ignored_and_then_dropped(run):
    with run:
        run.log({"a": 1}, step=1)
        run.save_checkpoint(1, {})
    file = run.path / "metrics.jsonl"
    file.write_bytes(file.read_bytes() + b'{"step": 2, "a"')
    assert [line["step"] for line in run.metrics()] == [1]
    with run:
        run.log({"a": 2}, step=2)
    assert [line["step"] for line in run.metrics()] == [1, 2]


def test_a_damaged_line_in_the_middle_is_named(run):
    (run.path / "metrics.jsonl").write_text('{"step": 1}\n{"st\n{"step": 3}\n')
    with pytest.raises(UserError, match=r"metrics\.jsonl is damaged"):
        run.metrics()


# -- resuming ----------------------------------------------------------------------------------------------------------


def test_resuming_restores_chance_and_cuts_metrics_back(run):
    def work(steps):
        for step in steps:
            numbers = (random.random(), float(np.random.rand()), float(torch.rand(())))
            run.log({"drawn": sum(numbers)}, step)
            if step % 2 == 0:
                run.save_checkpoint(step, {"done": step})

    with run:
        work(range(6))
    whole = [(line["step"], line["drawn"]) for line in run.metrics()]
    random.seed(99)
    with run:
        step, state = run.load_checkpoint()
        assert (step, state) == (4, {"done": 4})
        assert [line["step"] for line in run.metrics()] == [0, 1, 2, 3, 4]
        work([5])
    assert [(line["step"], line["drawn"]) for line in run.metrics()] == whole
    assert [entry["step"] for entry in run.manifest["resumed"]] == [4]


def test_looking_at_a_checkpoint_changes_nothing(run):
    with run:
        run.save_checkpoint(1, {})
        run.log({"a": 1}, step=2)
        random.seed(5)
        expected = random.Random(5).random()
        run.load_checkpoint("last")
        assert random.random() == expected
    random.seed(5)
    run.load_checkpoint("last")
    assert random.random() == expected
    assert len(run.metrics()) == 1


def test_what_was_logged_before_the_first_checkpoint_is_logged_anew(run):
    with run:
        run.log({"a": 1}, step=0)
    with run:
        assert not run.has_checkpoint()
        run.log({"a": 2}, step=0)
    assert [line["a"] for line in run.metrics()] == [2]


def test_rewinding_goes_on_from_an_older_checkpoint(run):
    with run:
        run.save_checkpoint(1, {})
        run.save_checkpoint(2, {"w": torch.zeros(100)})
    damaged = run.checkpoints.folder / run.checkpoints.find("last").file
    damaged.write_bytes(b"rubbish")
    with pytest.raises(UserError, match="use checkpoint=1"), run:
        run.load_checkpoint()
    with run:
        assert run.rewind("1") == 1
        assert run.load_checkpoint() == (1, {})


def test_kill_9_leaves_a_run_that_resumes(run):
    with run:
        pass
    body = (
        "    for step in range(10 ** 6):\n"
        "        run.log({'a': step}, step)\n"
        "        run.save_checkpoint(step, {'step': step})\n"
        "        if step == 2: print('ready', flush=True)\n"
    )
    process = script(run, body)
    time.sleep(0.1)
    process.kill()
    process.wait()
    assert run.status == "interrupted"
    with run:
        step, state = run.load_checkpoint()
        assert state == {"step": step}
        assert step >= 2
        assert [line["step"] for line in run.metrics()] == list(range(step + 1))


# -- config ------------------------------------------------------------------------------------------------------------


def changed(**values):
    cfg = OmegaConf.create(CONFIG)
    for key, value in values.items():
        OmegaConf.update(cfg, key.replace("__", "."), value, force_add=True)
    return cfg


def test_a_changed_config_is_refused_by_key(run):
    assert run.check_config(CONFIG) == {}
    with pytest.raises(UserError, match=r"changed: agent\.lr \(0\.001 -> 0\.01\), new \(None -> 1\)"):
        run.check_config(changed(agent__lr=0.01, new=1, logger={"mode": "online"}))
    with pytest.raises(UserError, match="total_iterations"):
        run.check_config(changed(total_iterations=5))
    with pytest.raises(UserError, match=r"agent\.layers"):
        run.check_config(changed(agent__layers=[1]))


def test_harmless_changes_are_taken_over(run):
    cfg = changed(total_iterations=20, trainer__device="cuda", checkpoint__keep=5, agent__lr=1.0)
    assert set(run.check_config(cfg, allow=["agent"])) == {
        "agent.lr", "checkpoint.keep", "total_iterations", "trainer.device",
    }
    run.update_config(cfg, allow=["agent"])
    assert Run.open(run.path).config.total_iterations == 20
    assert run.checkpoints.keep == 5


def test_a_config_is_not_replaced_while_somebody_else_has_the_run(run):
    with run:
        pass
    before = files(run.path), (run.path / "config.yaml").read_bytes()
    second = Run.open(run.path)
    with take_lock(run.path), pytest.raises(UserError, match="is being run by process"):
        second.update_config(changed(total_iterations=20))
    assert (files(run.path), (run.path / "config.yaml").read_bytes()) == before
    second.update_config(changed(total_iterations=20))
    with second:
        assert second.config.total_iterations == 20


def test_the_config_hash_is_the_same_for_the_same_computation(tmp_path):
    def digest(**values):
        return Run.create(changed(**values), tmp_path, []).manifest["config_hash"]

    assert digest() == digest(logger={"mode": "online"}, runs_dir="elsewhere", trainer__device="cuda")
    assert len({digest(), digest(seed=4), digest(agent__lr=0.1)}) == 3


# -- what goes wrong ---------------------------------------------------------------------------------------------------


def full(*args, **kwargs):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_one_sentence_and_loses_nothing(run, monkeypatch):
    def work():
        with run:
            run.log({"a": 1}, step=1)
            run.save_checkpoint(1, {"x": 1})
            monkeypatch.setattr(atomic.os, "fsync", full)
            run.log({"a": 2}, step=2)

    with pytest.raises(RunFailed, match=r"the disk is full: .*metrics\.jsonl") as failure:
        work()
    monkeypatch.undo()
    assert "its end could not be recorded" in failure.value.__notes__[0]
    assert run.status == "interrupted"
    assert [line["step"] for line in run.metrics()] == [1]
    assert run.load_checkpoint() == (1, {"x": 1})
    assert not [name for name in files(run.path) if name.startswith(".")]


def test_a_disk_that_fills_up_within_a_line_leaves_none_of_it(tmp_path):
    file = tmp_path / "metrics.jsonl"
    line = json.dumps({"step": 1, "text": "x" * 60})
    append_line(file, line)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(line) + 20, before[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            append_line(file, line)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert file.read_text() == line + "\n"


def test_a_runs_dir_that_cannot_be_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="choose another runs_dir"):
        Run.create(CONFIG, tmp_path / "file" / "runs", [])


def test_reading_runs_needs_no_torch(run):
    code = (
        f"import sys\nfrom agentlab_runner.runners.run.folder import Run\nRun.open({str(run.path)!r}).metrics()\n"
        "print('torch' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ, check=True)
    assert out.stdout == "False\n"


@pytest.mark.parametrize("how", ["the folder", "what is in it", "descriptions alone"])
def test_a_run_whose_checkpoints_are_gone_is_not_begun_anew(run, how):
    with run:
        run.log({"loss": 1.0}, 0)
        run.save_checkpoint(4, {"x": 1})
    pattern = {"the folder": "*", "what is in it": "*", "descriptions alone": "*.json"}[how]
    for path in run.path.glob(f"checkpoints/{pattern}"):
        path.unlink()
    if how == "the folder":
        (run.path / "checkpoints").rmdir()
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    told = "was saved at step 4, but its checkpoints are gone; put them back, or move"
    with pytest.raises(UserError, match=told), Run.open(run.path):
        pass
    assert {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()} == before
    assert Run.open(run.path).status == "finished"  # nobody holds it


def test_a_run_that_never_saved_begins_anew(run):
    with run:
        run.log({"loss": 1.0}, 0)
    with Run.open(run.path) as again:
        assert again.metrics() == []

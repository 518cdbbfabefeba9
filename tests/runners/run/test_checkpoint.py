"""Checkpoints survive kill -9, damage and full disks, and give back exactly what was put in."""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
import traceback
from collections import OrderedDict

import numpy as np
import pytest
import torch

from agentlab_runner.runners.errors import RunFailed, UserError
from agentlab_runner.runners.run.checkpoint import Checkpoints, restore_rng, rng_state


def steps(checkpoints):
    return [checkpoint.step for checkpoint in checkpoints.all()]


def damage(checkpoints, which):
    file = checkpoints.folder / checkpoints.find(which).file
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    return file


def test_a_state_comes_back_as_it_was(tmp_path):
    state = {
        "weights": OrderedDict(w=torch.randn(3, 2), flags=torch.tensor([True])),
        "counters": (1, 2.5, None, "text", b"bytes", True),
        7: [{"deep": [torch.arange(4)]}],
    }
    Checkpoints(tmp_path).save(3, state)
    step, loaded = Checkpoints(tmp_path).load()
    assert step == 3
    torch.testing.assert_close(loaded["weights"]["w"], state["weights"]["w"], rtol=0, atol=0)
    assert loaded["counters"] == state["counters"]
    assert loaded[7][0]["deep"][0].tolist() == [0, 1, 2, 3]


def test_the_best_and_the_last_are_kept(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=2)
    for step, score in enumerate([0.1, 0.9, 0.3, None, float("nan"), 0.4]):
        checkpoints.save(step, {"step": step}, score)
    assert steps(checkpoints) == [1, 4, 5]
    assert checkpoints.load("best") == (1, {"step": 1})
    assert checkpoints.load("last") == (5, {"step": 5})
    assert checkpoints.load("4") == (4, {"step": 4})
    assert len(list(tmp_path.glob("*.pt"))) == 3


def test_of_equal_scores_the_newest_is_best(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=3)
    for step in range(3):
        checkpoints.save(step, {}, score=0.5)
    assert checkpoints.find("best").step == 2


def test_a_step_saved_again_replaces_the_first(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, {"value": "old"})
    checkpoints.save(1, {"value": "new"})
    assert checkpoints.load() == (1, {"value": "new"})
    assert len(list(tmp_path.glob("*.pt"))) == 1


def test_what_is_missing_is_named_with_what_there_is(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    with pytest.raises(UserError, match="holds no checkpoint yet"):
        checkpoints.load()
    checkpoints.save(4, {})
    with pytest.raises(UserError, match="use checkpoint=last"):
        checkpoints.load("best")
    for wrong in ("5", "newest"):
        with pytest.raises(UserError, match=f"'{wrong}'.*best, last or one of 4"):
            checkpoints.load(wrong)


def test_a_damaged_checkpoint_is_refused_by_name_and_a_sound_older_one_offered(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=3)
    for step in (1, 2, 3):
        checkpoints.save(step, {"w": torch.zeros(100)})
    damage(checkpoints, "2")
    file = damage(checkpoints, "3")
    with pytest.raises(UserError, match="use checkpoint=1 instead") as refused:
        checkpoints.load("last")
    assert str(file) in str(refused.value)


def test_a_damaged_description_or_a_lost_file_is_refused_too(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, {})
    checkpoints.save(2, {})
    (tmp_path / "000002.json").write_text('{"step": 2, "sc')
    with pytest.raises(UserError, match=r"checkpoint 2 is damaged.*use checkpoint=1"):
        checkpoints.load("last")
    (tmp_path / checkpoints.find("1").file).unlink()
    with pytest.raises(UserError, match=r"checkpoint 1 is damaged.*no other checkpoint is left"):
        checkpoints.load("1")


def test_a_file_with_code_in_it_is_not_run(tmp_path):
    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, {})
    torch.save({"x": Bomb()}, tmp_path / "evil.pt")
    description = json.loads((tmp_path / "000001.json").read_text())
    digest = hashlib.sha256((tmp_path / "evil.pt").read_bytes()).hexdigest()
    (tmp_path / "000001.json").write_text(json.dumps(description | {"file": "evil.pt", "sha256": digest}))
    with pytest.raises(UserError, match="holds more than tensors and plain values") as refused:
        checkpoints.load()
    assert "weights_only" not in "".join(traceback.format_exception(refused.value))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("value", [np.float64(1), np.zeros(2), {1, 2}, object(), slice(1)])
def test_what_could_not_be_read_back_is_refused_when_saving(tmp_path, value):
    with pytest.raises(TypeError, match=r"state\['agent'\]\[1\].*cannot be read back"):
        Checkpoints(tmp_path).save(1, {"agent": [0, value]})
    assert list(tmp_path.iterdir()) == []


def test_random_streams_go_on_where_they_were():
    def draw():
        return random.random(), random.gauss(0, 1), np.random.rand(), np.random.randn(), torch.rand(3).tolist()

    random.gauss(0, 1), np.random.randn()  # each keeps a second number in reserve
    state = rng_state()
    expected = draw()
    draw()
    restore_rng(state)
    assert draw() == expected


def test_random_streams_survive_the_disk(tmp_path):
    Checkpoints(tmp_path).save(1, rng_state())
    expected = random.random(), np.random.randn(), torch.randn(2).tolist()
    restore_rng(Checkpoints(tmp_path).load()[1])
    assert (random.random(), np.random.randn(), torch.randn(2).tolist()) == expected


class Gpus:
    """torch.cuda's generators as one of several processes sees them, each process computing on a GPU of its own."""

    def __init__(self, own: int, count: int = 2) -> None:
        self.own = own
        self.generators = [torch.Generator().manual_seed(0) for _ in range(count)]

    def seen_by(self, monkeypatch) -> "Gpus":
        def index(device):
            return device if isinstance(device, int) else self.own

        for name, function in {
            "is_available": lambda: True,
            "is_initialized": lambda: True,
            "device_count": lambda: len(self.generators),
            "get_rng_state": lambda device="cuda": self.generators[index(device)].get_state(),
            "get_rng_state_all": lambda: [generator.get_state() for generator in self.generators],
            "set_rng_state": lambda state, device="cuda": self.generators[index(device)].set_state(state),
        }.items():
            monkeypatch.setattr(torch.cuda, name, function)
        return self

    def draw(self) -> float:
        return torch.rand((), generator=self.generators[self.own]).item()


def test_every_process_draws_on_its_gpu_what_the_first_draws_on_its_own(monkeypatch):
    first, second = Gpus(own=0), Gpus(own=1)
    first.draw()
    state = first.seen_by(monkeypatch) and rng_state()
    expected = first.draw()
    second.seen_by(monkeypatch)
    restore_rng(state)
    assert second.draw() == expected


def test_a_process_that_uses_no_gpu_wakes_none(monkeypatch):
    def woken(*_):
        raise AssertionError("a GPU was woken")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    for name in ("get_rng_state", "get_rng_state_all", "set_rng_state"):
        monkeypatch.setattr(torch.cuda, name, woken)
    restore_rng(rng_state() | {"cuda": [torch.get_rng_state()]})


WRITER = """
import sys, torch
from pathlib import Path
from agentlab_runner.runners.run.checkpoint import Checkpoints
checkpoints = Checkpoints(Path(sys.argv[1]), keep=2)
for step in range(10 ** 6):
    checkpoints.save(step, {"step": step, "w": torch.full((300_000,), step)}, score=-step)
"""


def test_kill_9_while_writing_leaves_a_loadable_last_checkpoint(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)])
    try:
        for _ in range(4):
            before = checkpoints.find("last").step if checkpoints.all() else -1
            deadline = time.monotonic() + 60
            while not checkpoints.all() or checkpoints.find("last").step < before + 3:
                assert time.monotonic() < deadline, "the writer makes no progress"
                time.sleep(0.005)
            os.kill(writer.pid, signal.SIGSTOP)
            time.sleep(0.02)  # looked at while stopped anywhere in the middle of its work
            step, state = checkpoints.load("last")
            assert state["step"] == step
            assert (state["w"] == step).all()
            os.kill(writer.pid, signal.SIGCONT)
            time.sleep(random.Random(before).uniform(0, 0.01))
    finally:
        writer.kill()
        writer.wait()
    step, state = checkpoints.load("last")
    assert (state["w"] == step).all()
    assert checkpoints.load("best")[0] == 0
    checkpoints.save(step + 1, {})
    assert not list(tmp_path.glob(".*")), "half-written files are swept away"
    assert {c.file for c in checkpoints.all()} == {file.name for file in tmp_path.glob("*.pt")}


@pytest.fixture
def small_disk(tmp_path):
    """A real file system of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", folder], capture_output=True).returncode:
        pytest.skip("a small file system can be mounted by root only")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_leaves_the_last_checkpoint_and_no_rubbish(small_disk):
    checkpoints = Checkpoints(small_disk / "checkpoints")
    checkpoints.save(1, {"w": torch.ones(50_000)})
    with pytest.raises(RunFailed, match=r"the disk is full.*agentlab resume"):
        checkpoints.save(2, {"w": torch.ones(5_000_000)})
    assert checkpoints.load("last")[0] == 1
    assert sorted(file.suffix for file in checkpoints.folder.iterdir()) == [".json", ".pt"]


def test_a_checkpoint_costs_little_more_than_writing_its_bytes(tmp_path):
    state = {"screens": torch.randint(0, 255, (30_000_000,), dtype=torch.uint8)}
    checkpoints = Checkpoints(tmp_path / "checkpoints")

    def plain():
        with open(tmp_path / "plain.pt", "wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())

    def seconds(work):
        began = time.perf_counter()
        work()
        return time.perf_counter() - began

    ours = min(seconds(lambda: checkpoints.save(1, state)) for _ in range(4))
    assert ours < 5 * min(seconds(plain) for _ in range(4))


def test_a_state_whose_description_is_damaged_is_kept(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    kept = checkpoints.save(3, {"x": 1})
    (tmp_path / "000003.json").write_text("[]")
    (tmp_path / "000002-abc.pt").write_text("half-written")
    checkpoints.sweep()
    assert [path.name for path in tmp_path.glob("*.pt")] == [kept.file]
    with pytest.raises(UserError, match="no other checkpoint is left: put it back, or start a new run"):
        checkpoints.load()

"""What goes wrong on a user's machine, and the one sentence that is said about it."""

import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from agentlab_runner.runners.run.checkpoint import Checkpoints
from tests.conftest import agentlab, environment
from tests.integration.conftest import LONG, Lab, manifest, numbers, small, wait_until

TOY_CONF = str(Path(__file__).parents[1] / "runners" / "conf")


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("+exp=coso_androld", "conf has no experiment 'coso_androld'; did you mean coso_android?"),
        ("agent.alpah=1", "conf has no key 'agent.alpah'; did you mean 'agent.alpha'?"),
        ("agent=cosso", "agent has no choice 'cosso'; did you mean coso?"),
        ("env/device=sym", "env/device has no choice 'sym'; did you mean sim?"),
        ("agent.alpha=-1", "agent.alpha is -1, but must be at least 0"),
        ("agent.scm.window=0", "agent.scm.window is 0, but must be greater than 0"),
        ("agent.entropy=casual", "agent.entropy is \"casual\", but must be 'none', 'uniform' or 'causal'"),
        ("total_iterations=-1", "total_iterations is -1, but must be at least 0"),
        ("offline={}", "offline is refused: give either episodes, how many to play, or source, what loads them"),
        ("env.task_set=generall", "env is refused: unknown task_set 'generall'; choose general, webshop, all"),
        ("env.templates=[open_ap]", "env is refused: "),
        ("env.task_set=none.txt", "env is refused: task file none.txt does not exist"),
        ("env.task_set=empty.txt", "env is refused: task file empty.txt has no goal in it"),
    ],
)
def test_bad_input_is_refused_before_torch_is_imported(tmp_path, override, sentence):
    (tmp_path / "empty.txt").write_text("\n")
    fake = tmp_path / "fake" / "torch"
    fake.mkdir(parents=True)
    (fake / "__init__.py").write_text("raise SystemExit(99)")
    env = environment()
    env["PYTHONPATH"] = f"{fake.parent}:{env['PYTHONPATH']}"
    exp = () if override.startswith("+exp") else ("+exp=coso_android",)
    result = agentlab("train", *exp, override, cwd=tmp_path, env=env)
    assert result.exit_code == 2, result.stderr
    assert result.stderr.startswith(f"agentlab: {sentence}")
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "runs").exists()


def test_a_damaged_checkpoint_is_named_and_the_older_one_goes_on(lab, trained, finished):
    newest = next((trained / "checkpoints").glob("000005-*.pt"))
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    newest.write_bytes(content)
    refused = lab("resume", "run=latest", code=2).stderr
    assert f"agentlab: checkpoint 5 is damaged (runs/{trained.name}/checkpoints/{newest.name} is not" in refused
    assert refused.endswith("; use checkpoint=4 instead\n")
    lab("resume", "run=latest", "checkpoint=4")
    assert numbers(trained) == numbers(finished)


def test_a_damaged_trajectory_file_is_named_before_any_work(lab):
    (lab.path / "episodes.pt").write_bytes(b"PK\x03\x04 and then nothing")
    source = "{_target_: agentlab_runner.agents.coso.released.load_trajectories, path: episodes.pt}"
    refused = lab.train(f"offline={{source: {source}}}", code=2).stderr
    assert refused.startswith("agentlab: episodes.pt is damaged (")
    assert refused.count("\n") == 1


@pytest.fixture
def small_disk(lab: Lab) -> Iterator[Path]:
    disk = lab.path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200m", "tmpfs", disk], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small disk needs root")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


def test_a_full_disk_leaves_the_last_checkpoint(lab, small_disk, finished):
    process = lab.start("train", *small("coso_android", f"runs_dir={small_disk}"))
    wait_until(lambda: bool(list(small_disk.glob("*/checkpoints/000001.json"))), process)
    with open(small_disk / "ballast", "wb", buffering=0) as ballast, suppress(OSError):
        while True:  # until no space is left
            ballast.write(bytes(1 << 16))
    _, stderr = process.communicate(timeout=LONG)
    assert process.returncode == 1
    assert stderr.splitlines()[-1].startswith("agentlab: the disk is full: ")
    (run,) = (file.parent for file in small_disk.glob("*/manifest.json"))
    checkpoints = Checkpoints(run / "checkpoints")
    assert checkpoints.is_sound(checkpoints.find("last"))
    done = numbers(run)
    assert done == numbers(finished)[: len(done)]


@pytest.mark.slow
def test_without_an_answer_from_wandb_the_run_goes_on_offline(lab):
    lab.env.update(WANDB_API_KEY="0" * 40, WANDB_BASE_URL="http://127.0.0.1:9")
    result = lab.alone("train", *small("coso_android", "logger=wandb", "logger.mode=online", "total_iterations=1"))
    assert "the run goes on offline" in result.stderr
    assert "wandb: " not in result.stderr, "W&B itself keeps quiet"
    assert manifest(lab.run)["status"] == "finished"
    assert list(lab.run.rglob(f"offline-run-*-{manifest(lab.run)['wandb_id']}"))


def test_runs_started_in_the_same_second_have_folders_of_their_own(tmp_path):
    lab = Lab(tmp_path, environment() | {"AGENTLAB_CONF": TOY_CONF})
    started = [lab.start("train", "+exp=counting") for _ in range(3)]
    for process in started:
        _, stderr = process.communicate(timeout=LONG)
        assert process.returncode == 0, stderr
    runs = list((tmp_path / "runs").iterdir())
    assert len(runs) == 3
    assert all(len(numbers(run)) == 3 for run in runs)

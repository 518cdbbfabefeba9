"""What W&B has of a run in the end: every line once, whatever stopped it, and every evaluation."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import wandb

from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.files.lock import take_lock
from agentlab_runner.runners.run.apart import apart, evaluating
from agentlab_runner.runners.run.folder import Run
from agentlab_runner.runners.run.wandb_files import MIRRORED, mirrored_rows, records, upload_line
from agentlab_runner.runners.types import Decision, Step, StopReason, Trajectory
from tests.runners.run.wandb_server import KEY, serving

SCREEN = np.full((24, 16, 3), 200, np.uint8)
EPISODE = Trajectory(
    (Step({"text": "", "image": SCREEN}, Decision("tap"), 1.0),), {"text": "", "image": SCREEN},
    StopReason.SUCCESS, success=True, seed=1, task="alarm",
)  # fmt: skip
RESULT = {"episodes": 2, "success": 0.5, "interval": [0.1, 0.9], "tasks": {"alarm": {"episodes": 2, "success": 0.5}}}


@pytest.fixture
def make(tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))

    def create(name=None, group=None, **logger):
        node = {"_target_": "agentlab_runner.runners.run.tracking.WandbTracker", "project": "p", **logger}
        path = tmp_path / "sweeps" / group / "jobs" / "1a2b" if group else None
        return Run.create({"seed": 1, "logger": node}, tmp_path / "my runs", [], name=name, path=path, group=group)

    yield create
    wandb.teardown()


@pytest.fixture
def server(make, monkeypatch):
    with serving() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        yield server
        wandb.teardown()


def segments(run, killed=0):
    """The `.wandb` files of the run in the order of their sessions, each as a list of its records.

    W&B's service writes them to the end an instant after `finish` returns; those of `killed` sessions have none.
    """
    deadline = time.monotonic() + 20
    while True:
        names = [str(file.relative_to(run.path)) for file in run.path.glob("wandb/offline-run-*/*.wandb")]
        found = [list(records(run.path, name)) for name in names]
        ended = [one for one in found if any(record.HasField("exit") for record in one)]
        if len(ended) == len(found) - killed or time.monotonic() > deadline:
            return sorted(found, key=began)
        time.sleep(0.05)


def began(segment):
    return next((one.run.start_time.ToNanoseconds() for one in segment if one.HasField("run")), 0)


def values(items):
    return {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}


def history(segment):
    rows = [values(one.history.item) for one in segment if one.HasField("history")]
    return [(row["_step"], row["step"], row["loss"]) for row in rows]


def summary(segment):
    return values(item for one in segment if one.HasField("summary") for item in one.summary.update)


def train(run, steps, checkpoint=None):
    with run:
        if run.has_checkpoint():
            run.load_checkpoint()
        for step in steps:
            run.log({"loss": step / 2}, step=step)
            if step == checkpoint:
                run.save_checkpoint(step, {"x": step})


def sync(run):
    segments(run)  # written to the end
    line = upload_line(run.path)
    done = subprocess.run(
        line.replace("wandb sync", f"{sys.executable} -m wandb sync"),
        shell=True, capture_output=True, text=True, cwd=run.path.parent,
    )
    assert done.returncode == 0, done.stderr


# -- every line once ---------------------------------------------------------------------------------------------------


def test_a_second_segment_goes_on_where_the_first_stopped_without_repeats(make):
    run = make()
    train(run, range(5), checkpoint=2)
    train(run, range(3, 8))  # 3 and 4 are computed again
    first, second = segments(run)
    assert history(first) == [(step, step, step / 2) for step in range(5)]
    assert history(second) == [(step, step, step / 2) for step in range(5, 8)]
    assert json.loads((run.path / MIRRORED).read_text()) == {"rows": 8}


def test_lines_of_one_step_are_rows_of_their_own(make):
    run = make()
    train(run, [0, 0, 1], checkpoint=0)
    train(run, [1, 2])
    first, second = segments(run)
    assert [row[:2] for row in history(first)] == [(0, 0), (1, 0), (2, 1)]
    assert [row[:2] for row in history(second)] == [(3, 2)]


def test_what_a_killed_run_lost_is_brought_after(make):
    run = make()
    body = (
        "import os\nfrom agentlab_runner.runners.run.folder import Run\n"
        "from agentlab_runner.runners.types import Histogram\n"
        f"with Run.open({str(run.path)!r}) as run:\n"
        "    for step in range(4):\n"
        "        run.log({'loss': step / 2, 'h': Histogram((1, 2), (0.0, 0.5, 1.0))}, step=step)\n"
        "    run.save_checkpoint(3, {})\n"
        "    run.log({'loss': 2.0}, step=4)\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    run._lock.close()
    run._lock = None
    killed = subprocess.run([sys.executable, "-c", body], capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert len(run.metrics()) == 5
    had = mirrored_rows(run.path, run.manifest["wandb_id"])
    train(Run.open(run.path), [4, 5])
    rows = sorted(row for segment in segments(run, killed=1) for row in history(segment))
    assert rows == [(step, step, step / 2) for step in range(6)], f"W&B had written {had} of them before the kill"


def test_a_run_that_was_not_mirrored_at_first_is_brought_after_whole(make):
    run = make()
    run.config["logger"] = None
    train(run, range(3), checkpoint=2)
    run = Run.open(run.path)
    train(run, [3])
    (only,) = segments(run)
    assert [row[0] for row in history(only)] == [0, 1, 2, 3]


def test_segments_that_were_sent_and_cleaned_away_are_not_sent_again(make):
    import shutil

    run = make()
    train(run, range(3), checkpoint=2)
    shutil.rmtree(run.path / "wandb")
    train(run, [3])
    (only,) = segments(run)
    assert [row[0] for row in history(only)] == [3]


def test_a_torn_file_is_read_as_far_as_it_is_whole(make):
    run = make()
    with run:
        for step in range(300):
            run.log({"loss": step / 2, "long": float(step)}, step=step)
    segments(run)  # written to the end
    (file,) = (run.path / "wandb").glob("offline-run-*/*.wandb")
    data = file.read_bytes()
    assert len(data) > 3 * 32768, "pieces cross blocks"
    assert mirrored_rows(run.path, run.manifest["wandb_id"]) == 300
    file.write_bytes(data[: len(data) // 2])
    (run.path / MIRRORED).unlink()
    assert 100 < mirrored_rows(run.path, run.manifest["wandb_id"]) < 200
    file.write_bytes(b"nonsense" * 9000)
    assert mirrored_rows(run.path, run.manifest["wandb_id"]) == 0


# -- evaluations -------------------------------------------------------------------------------------------------------


def evaluate(run, step=2):
    run = Run.open(run.path)
    with evaluating(run, run.config.logger):
        run.write_eval(f"checkpoint_{step}", RESULT, step)
        run.save_episodes(f"checkpoint_{step}", [EPISODE], step=step)
    return run


def evaluate_elsewhere(run):
    """The same in a process of its own, as `agentlab eval` is; what it says."""
    code = (
        "import logging, sys\nfrom agentlab_runner.runners.run.folder import Run\n"
        "from tests.runners.run.test_mirrored import evaluate\nlogging.basicConfig(level=logging.WARNING)\n"
        "evaluate(Run.open(sys.argv[1]))"
    )
    env = {name: value for name, value in os.environ.items() if name != "WANDB_SERVICE"}  # of this process's own
    done = subprocess.run([sys.executable, "-c", code, str(run.path)], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_an_evaluation_reaches_the_runs_own_wandb_run(make):
    run = make()
    train(run, range(3), checkpoint=2)
    evaluate(run)
    _, second = segments(run)
    (started,) = [one.run for one in second if one.HasField("run")]
    assert started.run_id == run.manifest["wandb_id"]
    said = summary(second)
    assert said["eval/checkpoint_2/success"] == 0.5
    assert said["eval/checkpoint_2/episodes"] == 2
    assert said["eval/checkpoint_2/recorded"]["count"] == 1
    assert said["eval/checkpoint_2/step"] == 2
    assert said["eval/checkpoint_2/table"]["nrows"] == 2
    assert history(second) == [], "the curves are those of training"
    (table,) = run.path.rglob("*.table.json")
    assert json.loads(table.read_text())["data"][1][0] == "alarm"
    assert len(list((run.path / "wandb").rglob("*.gif"))) == 1
    assert run.status == "finished"
    train(Run.open(run.path), [3])
    assert [row[0] for row in history(segments(run)[-1])] == [3], "an evaluation moves no row"


def test_an_untrained_agents_evaluation_is_in_its_runs_summary(make):
    run = make()
    with run, apart(run):
        run.log({"warm_start/loss": 0.5, "loss": 0.0}, step=0)
        run.write_eval("untrained", RESULT, 0)
    (only,) = segments(run)
    assert history(only) == [(0, 0, 0.0)]
    assert summary(only)["eval/untrained/success"] == 0.5


def test_damaged_evaluations_and_recordings_are_named_and_the_rest_is_told(make, caplog):
    run = make()
    train(run, range(3), checkpoint=2)
    evaluate(run)
    (run.path / "eval/torn.json").write_text("{")
    (run.path / "episodes/checkpoint_2/000/episode.json").write_text("[]")
    evaluate(run, 1)
    said = summary(segments(run)[-1])
    assert said["eval/checkpoint_2/success"] == said["eval/checkpoint_1/success"] == 0.5
    assert "eval/checkpoint_2/recorded" not in said
    assert "torn.json is left out" in caplog.text
    assert "000/episode.json is damaged" in caplog.text


def test_a_failed_evaluation_tells_wandb_nothing(make):
    run = make()
    train(run, range(3), checkpoint=2)

    def work():
        with evaluating(run, run.config.logger):
            run.write_eval("a", RESULT)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    assert len(segments(run)) == 1


def test_synced_segments_make_one_run_with_all_of_it(server, make):
    run = make()
    train(run, range(5), checkpoint=2)
    evaluate(run)
    train(run, range(3, 8))
    sync(run)
    served = server.runs[run.manifest["wandb_id"]]
    assert [(row["_step"], row["step"], row["loss"]) for row in served.history] == [(s, s, s / 2) for s in range(8)]
    assert served.summary["eval/checkpoint_2/success"] == 0.5
    assert served.summary["loss"] == 3.5
    assert any("eval/checkpoint_2/table" in name for name in served.uploads)
    assert upload_line(run.path) is None, "all of it is sent"
    train(run, range(3, 9))
    sync(run)
    assert [row["step"] for row in served.history] == list(range(9))


def test_online_the_evaluation_and_the_resumed_run_go_on_in_the_run(server, make):
    run = make(mode="online")
    train(run, range(5), checkpoint=2)
    served = server.runs[run.manifest["wandb_id"]]
    assert [row["step"] for row in served.history] == list(range(5))
    evaluate(run)
    assert served.summary["eval/checkpoint_2/success"] == 0.5
    assert served.summary["loss"] == 2.0
    train(run, range(3, 7))
    assert [(row["_step"], row["step"]) for row in served.history] == [(s, s) for s in range(7)]
    assert served.summary["eval/checkpoint_2/success"] == 0.5
    assert upload_line(run.path) is None


@pytest.mark.parametrize("mode", ["online", "offline"])
def test_an_evaluation_beside_training_is_told_by_training(server, make, mode):
    run = make(mode=mode)
    with run:
        run.log({"loss": 0.0}, step=0)
        run.save_checkpoint(2, {})
        said = evaluate_elsewhere(run)
        assert run.status == "running"
        run.log({"loss": 0.5}, step=1)
    assert f"{run.path} is in use; what mirrors it hears of this evaluation when that ends" in said
    if mode == "offline":
        assert len(segments(run)) == 1, "one writer at a time"
        sync(run)
    served = server.runs[run.manifest["wandb_id"]]
    assert [row["step"] for row in served.history] == [0, 1]
    assert served.summary["eval/checkpoint_2/success"] == 0.5
    assert served.summary["eval/checkpoint_2/table"]["nrows"] == 2
    assert served.summary["loss"] == 0.5
    assert served.exit_code == 0


def test_an_evaluation_that_has_the_run_lets_it_go(make):
    run = make()
    train(run, range(3), checkpoint=2)
    evaluate(run)
    take_lock(run.path).close()


# -- names -------------------------------------------------------------------------------------------------------------


def test_a_job_of_a_sweep_is_called_by_what_differs(make):
    run = make(name="seed=1 agent.entropy=none", group="toy-1234")
    train(run, [0], checkpoint=0)
    evaluate(run, 0)
    for segment in segments(run):
        (started,) = [one.run for one in segment if one.HasField("run")]
        assert (started.display_name, started.run_group) == ("seed=1 agent.entropy=none", "toy-1234")


def test_the_line_that_uploads_is_one_a_shell_reads(make):
    run = make()
    assert upload_line(run.path) is None
    train(run, [0])
    assert upload_line(run.path) == f"wandb sync '{run.path}/wandb'/offline-run-*"
    for file in Path(run.path).rglob("*.wandb"):
        file.with_name(f"{file.name}.synced").touch()
    assert upload_line(run.path) is None


def test_what_a_run_folder_says_of_its_evaluations_is_data_to_the_mirror(make, tmp_path, caplog):
    run = make()
    (tmp_path / "other.wandb").write_bytes(b"x" * 99)
    (run.path / "eval").mkdir()
    for number, said in enumerate(({"tasks": 5}, {"n": 1, "tasks": {"a": 1}}, {"n": "x"}, {"n": 1.0})):
        (run.path / f"eval/{number}.json").write_text(json.dumps({"apart": True} | said))
    (run.path / "eval/2.json").write_text("[")
    (run.path / "mirrored.json").write_text('{"rows": [1]}')
    train(run, [1])
    assert [f"eval/{number}.json is left out" in caplog.text for number in range(4)] == [True, True, True, False]
    assert history(*segments(run)) == [(0, 1, 0.5)]
    (session,) = run.path.glob("wandb/offline-run-*/*.wandb")
    session.unlink()
    session.symlink_to(tmp_path / "other.wandb")
    with pytest.raises(UserError, match="leads out of"):
        mirrored_rows(run.path, run.manifest["wandb_id"], uploaded=1)

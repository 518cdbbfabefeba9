"""coso_android from the first command to the last: train, evaluate, resume, report, compare."""

import json
import shutil
import signal

import pytest
from PIL import Image

from tests.integration.conftest import LONG, Lab, logged, manifest, numbers, small, steps_kept, wait_until


def test_a_run_records_what_a_researcher_looks_at(finished):
    lines = numbers(finished)
    assert [line["step"] for line in lines] == [0, 0, 1, 2, 3, 4, 5]
    assert "warm_start/imitation/loss" in lines[0]
    for line in lines[2:]:
        assert {"train/success", "rollout/parse_fail_rate", "causal/acc", "causal/mean_b", "actor/loss"} <= line.keys()
        b = line["causal/b"]
        assert b["edges"][0] == 0
        assert b["edges"][-1] == 1
        assert len(b["counts"]) + 1 == len(b["edges"])
        with Image.open(finished / line["causal/heatmap"]["file"]) as picture:
            assert picture.format == "PNG"
    assert [line["step"] for line in lines if "eval/success" in line] == [0, 2, 4, 5]
    for step in (0, 2, 4, 5):
        result = json.loads((finished / f"eval/iteration_{step}.json").read_text())
        low, high = result["interval"]
        assert low <= result["success"] <= high
        assert set(result["tasks"]) == {"open_app"}
        assert len(list((finished / f"episodes/iteration_{step}").glob("*/episode.json"))) == 2
    assert {4, 5} <= set(steps_kept(finished))
    assert manifest(finished)["status"] == "finished"


def test_the_small_policy_can_act(finished):
    """Otherwise the comparisons of this folder would compare zeros."""
    last = numbers(finished)[-1]
    assert last["rollout/parse_fail_rate"] < 0.5
    assert sum(line.get("train/success", 0) for line in numbers(finished)) > 0
    assert any(line.get("causal/mean_b") for line in numbers(finished))


def test_eval_of_the_best_checkpoint_is_written_into_the_run(lab, trained):
    metrics = json.loads(lab("eval", "run=latest", "checkpoint=best", "--json").stdout)["metrics"]
    (file,) = (trained / "eval").glob("checkpoint_*.json")
    assert json.loads(file.read_text())["tasks"]["open_app"]["success"] == metrics["eval/task/open_app"]
    best = max(line["eval/success"] for line in numbers(trained) if "eval/success" in line)
    assert metrics["eval/success"] == best, "the same tasks and seeds as in training, so the same result"


def test_eval_without_a_run_is_that_of_the_untrained_policy(lab, finished):
    metrics = json.loads(lab("eval", *small("coso_android"), "--json").stdout)["metrics"]
    assert metrics["eval/success"] == next(line["eval/success"] for line in numbers(finished) if "eval/success" in line)
    assert (lab.run / "eval/untrained.json").exists()


def test_a_run_starts_from_what_another_has_learnt(lab, finished, trained):
    lab.train("init_from=latest", "seed=3", "total_iterations=1", "tags=[second]", "--name", "second")
    (second,) = (lab.path / "runs").glob("*_second")
    origin, config = manifest(second)["init_from"], (second / "config.yaml").read_text()
    assert origin["run"] == f"runs/{finished.name}"
    assert f"init_from: runs/{finished.name}@{origin['step']}" in config
    assert [line["step"] for line in numbers(second)] == [0, 1]  # no warm start
    expected = {line["step"]: line["eval/success"] for line in numbers(finished) if "eval/success" in line}
    assert numbers(second)[0]["eval/success"] == expected[origin["step"]]
    lab("report", str(second), "--out", "second.html")
    page = (lab.path / "second.html").read_text()
    assert f"checkpoint {origin['step']} of runs/{finished.name}" in page
    assert "second" in page
    wider = lab.train("init_from=latest", "agent.critic_width=7", code=2)
    assert "do not fit; give agent and model that run's shape" in wider.stderr
    assert len(list((lab.path / "runs").iterdir())) == 2


def test_report_and_compare_answer_from_the_folder(lab, trained):
    copy = trained.with_name("copy")
    shutil.copytree(trained, copy)
    page = (lab.path / lab("report", str(trained), str(copy)).stdout.strip()).read_text()
    assert "open_app" in page
    assert page.count("data:image/") >= 2
    assert "eval/success" in lab("compare", str(trained), str(copy)).stdout
    assert "coso_android" in lab("list").stdout
    assert "entropy: causal" in lab("show", "+exp=coso_android").stdout


@pytest.fixture
def under_way(lab: Lab):
    """A run with W&B whose third process finishes it: Ctrl-C ended the first, `kill -9` the second."""
    first = lab.start("train", *small("coso_android", "logger=wandb", "checkpoint.every=100"))
    wait_until(lambda: logged(lab) >= 1, first)
    first.send_signal(signal.SIGINT)
    _, stderr = first.communicate(timeout=LONG)
    assert first.returncode == 130
    assert stderr.splitlines()[-1] == f"agentlab: interrupted; go on with: agentlab resume run=runs/{lab.run.name}"
    return lab


def test_ctrl_c_and_kill_9_leave_no_trace_in_the_numbers(under_way, finished):
    lab, run = under_way, under_way.run
    assert manifest(run)["status"] == "interrupted"
    done = logged(lab)
    assert steps_kept(run)[-1] == done < 4, "the iteration that Ctrl-C met was finished and saved"

    second = lab.start("resume", "run=latest", "checkpoint.every=1")
    wait_until(lambda: steps_kept(run)[-1] > done, second)
    second.kill()
    second.communicate()
    assert steps_kept(run)[-1] < 5

    lab.alone("resume", "run=latest")
    assert numbers(run) == numbers(finished)
    assert manifest(run)["status"] == "finished"
    sessions = [folder.name for folder in run.rglob("offline-run-*") if folder.is_dir()]
    assert len(sessions) == 3
    assert {name.rsplit("-", 1)[1] for name in sessions} == {manifest(run)["wandb_id"]}

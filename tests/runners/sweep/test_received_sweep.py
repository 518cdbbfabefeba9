"""Sweep folders that somebody else may have written: bad jobs are told of, and nothing in them chooses a program."""

import json
import sys
from dataclasses import asdict

import pytest

from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.report import report
from agentlab_runner.runners.run.folder import Run
from agentlab_runner.runners.sweep.compare import compare
from agentlab_runner.runners.sweep.job import Record, Status
from agentlab_runner.runners.sweep.plan import Plan, claim
from agentlab_runner.runners.sweep.results import Results
from agentlab_runner.runners.sweep.sweep import sweep
from tests.conftest import ROOT


@pytest.fixture
def swept(tmp_path):
    """Three finished jobs of different seeds."""
    for seed in range(3):
        folder = tmp_path / "jobs" / f"{seed}"
        with Run.create({"seed": seed, "logger": None}, tmp_path, ["agentlab", "train"], path=folder) as run:
            run.log({"score": float(seed)}, step=1)
        Record([f"seed={seed}"], Status.FINISHED, began=float(seed)).write(folder)
    (tmp_path / "sweep.json").write_text(json.dumps({"swept": ["seed"]}))
    return tmp_path


GOOD = asdict(Record(["seed=0"], Status.FINISHED, began=0.0))
WRONG = [{"overrides": 1}, {"overrides": [1]}, {"began": "x"}, {"more": 1}, {"error": None}]
BAD = ["{}", "[]", "{", "\0", '{"status": "great"}', *(json.dumps(GOOD | wrong) for wrong in WRONG)]


@pytest.mark.parametrize("content", BAD)
def test_a_job_that_cannot_be_read_is_left_out_with_a_notice(swept, content, caplog):
    (swept / "jobs/0/job.json").write_text(content)
    results = Results.read(swept, [], "score")
    assert [job.seed for job in results.jobs] == ["1", "2"]
    assert "jobs/0 is left out" in caplog.text
    assert report([swept], swept / "report.html").exists()


def test_a_job_whose_run_cannot_be_read_is_left_out_too(swept, caplog):
    (swept / "jobs/0/metrics.jsonl").write_text("[]\n")
    (swept / "jobs/1/manifest.json").write_text("[]")
    assert [job.last for job in Results.read(swept, [], "score").jobs] == [None, 1.0, 2.0]
    assert [entry.path.name for entry in compare([swept], "score").entries] == ["2"]
    assert caplog.text.count("left out") == 2


@pytest.mark.parametrize(
    "said",
    [
        {"swept": 1}, {"swept": [1]}, {"reference": []}, {"reference": {"overrides": [], "config": 1}},
        {"reference": {"overrides": ["hydra.searchpath=[file:///evil]"], "config": {}}},
        {"reference": {"overrides": ["seed={_schema_: antigravity.geohash}"], "config": {}}},
        {"reference": {"overrides": ["seed={_target_: os.system}"], "config": {}}},
    ],
)  # fmt: skip
def test_what_a_sweep_folder_says_it_varies_chooses_no_program(tmp_path, monkeypatch, said):
    monkeypatch.setenv("AGENTLAB_CONF", str(ROOT / "tests/runners/conf"))
    monkeypatch.chdir(tmp_path)
    plan = Plan.parse(["+exp=climb", "seed=0,1"])
    claim(tmp_path, plan)
    assert claim(tmp_path, plan).swept_keys == ["seed"]
    known = json.loads((tmp_path / "sweep.json").read_text())
    (tmp_path / "sweep.json").write_text(json.dumps(known | said))
    with pytest.raises(UserError, match=r"sweep\.json (is damaged|has seed built from).*--name"):
        claim(tmp_path, plan)
    assert "antigravity" not in sys.modules


def test_a_link_out_of_a_sweep_folder_is_no_way_to_write_there(tmp_path, monkeypatch):
    monkeypatch.setenv("AGENTLAB_CONF", str(ROOT / "tests/runners/conf"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "thesis").write_text("years of work")
    (tmp_path / "sweeps/sent").mkdir(parents=True)
    (tmp_path / "sweeps/sent/lock").symlink_to(tmp_path / "thesis")
    with pytest.raises(UserError, match="lock leads out of"):
        sweep(["+exp=climb", "seed=0,1"], name="sent")
    assert (tmp_path / "thesis").read_text() == "years of work"

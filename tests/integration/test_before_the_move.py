"""A run made at commit 5955ece, when modules had other names and places, is still a run."""

import json
import shutil
from pathlib import Path

import pytest

OLD = Path(__file__).parent / "before_the_move"


@pytest.fixture
def old(tmp_path) -> Path:
    return Path(shutil.copytree(OLD, tmp_path / "runs" / "old"))


def test_it_goes_on(cli, old):
    result = cli("resume", "run=runs/old", "total_iterations=6")
    assert result.exit_code == 0, result.stderr
    steps = [json.loads(line)["step"] for line in (old / "metrics.jsonl").read_text().splitlines()]
    assert max(steps) == 6
    assert json.loads((old / "manifest.json").read_text())["resumed"][0]["step"] == 4


def test_it_is_evaluated(cli, old):
    result = cli("eval", "run=runs/old", "eval.episodes=3", "--json")
    assert result.exit_code == 0, result.stderr
    assert "eval/success" in json.loads(result.stdout)["metrics"]


def test_it_is_reported_and_compared(cli, old, tmp_path):
    result = cli("report", "runs/old", "--out", "page.html")
    assert result.exit_code == 0, result.stderr
    assert "tomato_salad" in (tmp_path / "page.html").read_text()
    assert cli("compare", "runs/old").exit_code == 0

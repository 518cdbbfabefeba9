import json
import logging
from pathlib import Path

import pytest
from PIL import Image

from agentlab_runner.runners.errors import RunFailed, UserError
from agentlab_runner.runners.run.folder import Run
from agentlab_runner.runners.sweep.compare import compare
from agentlab_runner.runners.terminal.tables import Visible, print_table
from agentlab_runner.runners.terminal.verbs import say
from tests.runners.received import declare, forge


def make_run(path: Path, curves: dict[str, list[float]], **config: object) -> Path:
    with Run.create({"seed": 0, "agent": {"lr": 0.1}, "logger": None, **config}, path.parent, [], path=path) as run:
        for step in range(max(map(len, curves.values()), default=0)):
            run.log({name: values[step] for name, values in curves.items() if step < len(values)}, step=step)
    return path


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    return [
        make_run(tmp_path / "a", {"eval/success": [0.1, 0.6, 0.5], "eval/return": [1.0], "loss": [3.0, 2.0, 1.0]}),
        make_run(tmp_path / "b", {"eval/success": [0.1, 0.3], "eval/length": [9.0]}, seed=1, agent={"lr": 0.2}),
    ]


def rows(table: list[list[str]]) -> dict[str, list[str]]:
    return {row[0].strip(): row[1:] for row in table}


def test_headline_config_differences_and_facts_stand_side_by_side(runs: list[Path]) -> None:
    comparison = compare(runs)
    table = rows(comparison.rows())
    assert comparison.header() == ["", "a", "b"]
    assert table["eval/success"] == ["0.5", "0.3"]
    assert table["first"] == ["0.1 (step 0)", "0.1 (step 0)"]
    assert table["highest"] == ["0.6 (step 1)", "0.3 (step 1)"]
    assert table["status"] == ["finished", "finished"]
    assert table["steps"] == ["2", "1"]
    assert "loss" not in table  # training metrics are shown when asked for
    assert {key: table[key] for key in ("agent.lr", "seed")} == {"agent.lr": ["0.1", "0.2"], "seed": ["0", "1"]}


def test_only_what_differs_is_listed(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a", {"eval/success": [1.0]})
    elsewhere = make_run(tmp_path / "b", {"eval/success": [0.0]}, runs_dir="x")
    assert compare([run, elsewhere]).differences == {}
    other = make_run(tmp_path / "c", {"eval/success": [1.0]}, extra={"window": 4})
    assert compare([run, other]).differences == {"extra.window": [None, 4]}


def test_runs_of_different_metrics_show_a_dash(runs: list[Path]) -> None:
    table = rows(compare(runs).rows())
    assert table["eval/return"] == ["1", "-"]
    assert table["eval/length"] == ["-", "9"]


def test_a_metric_is_chosen_and_an_unknown_one_named(runs: list[Path]) -> None:
    assert rows(compare(runs, "loss").rows())["loss"] == ["1", "-"]
    with pytest.raises(UserError, match="no run logged 'los'; they logged: eval/length, eval/return"):
        compare(runs, "los")


def test_json_is_plain(runs: list[Path]) -> None:
    content = json.loads(json.dumps(compare(runs).as_dict()))
    assert content["runs"][0]["metrics"]["eval/success"] == {
        "first": 0.1, "last": 0.5, "last_step": 2, "highest": 0.6, "highest_step": 1,
    }  # fmt: skip
    assert content["differences"] == {"agent.lr": [0.1, 0.2], "seed": [0, 1]}


def test_curves_become_a_picture(runs: list[Path], tmp_path: Path) -> None:
    compare(runs).plot(tmp_path / "plots" / "curves.png")
    assert Image.open(tmp_path / "plots" / "curves.png").size == (960, 600)


def test_labels_tell_runs_of_the_same_name_apart(tmp_path: Path) -> None:
    paths = [make_run(tmp_path / parent / "run", {}) for parent in ("x", "y")]
    assert compare(paths).header() == ["", "x/run", "y/run"]


def test_nothing_and_no_run_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="name two run folders"):
        compare([])
    with pytest.raises(UserError, match="is not a run folder"):
        compare([tmp_path])


def test_what_a_received_run_says_of_itself_commands_no_terminal(
    runs: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    escape, turned, half = "\x1b]0;mine\x07", "\u202e", "\ud800"
    forge(runs[0], lambda config: config.update({"k" + escape: turned, "tags": 5, "notes": [escape]}))
    declare(runs[0], notes=escape + "\nnext", tags=[half])
    comparison = compare(runs)
    print_table(comparison.header(), comparison.rows(), always_head=True)
    shown = capsys.readouterr().out
    assert not {"\x1b", "\x07", turned, half} & {*shown}
    assert r"\x1b]0;mine\x07\nnext" in shown
    assert r"\ud800" in shown
    say(UserError(f"{escape} is odd"))
    assert capsys.readouterr().err == "agentlab: \\x1b]0;mine\\x07 is odd\n"
    record = logging.LogRecord("x", logging.WARNING, "", 0, "left out: %s", (escape,), None)
    assert Visible().format(record) == r"left out: \x1b]0;mine\x07"


@pytest.mark.parametrize("step", [10**30, -(10**30), 1.5, "1", True, None])
def test_a_step_that_no_run_has_done_is_damage(runs: list[Path], step: object) -> None:
    (runs[0] / "metrics.jsonl").write_text(json.dumps({"step": step, "loss": 1}) + "\n")
    with pytest.raises(UserError, match="a line has no step"):
        compare([runs[0]])


def test_a_picture_is_written_whole_or_told_of(runs: list[Path], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunFailed, match=r"file/curves.png cannot be written \(Not a directory|File exists\)"):
        compare(runs).plot(tmp_path / "file" / "curves.png")

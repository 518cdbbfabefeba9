"""Whatever a run folder that somebody sent says, the page is made and tells what was left out."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agentlab_runner.runners.errors import RunFailed
from agentlab_runner.runners.files import atomic
from agentlab_runner.runners.report import report
from tests.runners.received import ALIAS_BOMB, declare, png
from tests.runners.report.test_report import Page, make_run

ODD = ["null", "true", "-1", "1" + "0" * 400, "1e999", "NaN", '"../../x"', "[]", "{}", "[[]]", '{"a": 1}', r'"\ud800"']
FILES = ("manifest.json", "eval/iteration_2.json", "episodes/iteration_2/000/episode.json", "metrics.jsonl")


@pytest.fixture
def sent(tmp_path) -> Path:
    return make_run(tmp_path / "sent")


def page(*runs: Path) -> Page:
    return Page(report(runs, runs[0].parent / "report.html"))


def places(node: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The ways to every part of a JSON value that differs in kind from its neighbours."""
    yield way
    if isinstance(node, dict):
        for name, value in list(node.items())[:12]:
            yield from places(value, (*way, name))
    elif isinstance(node, list) and node:
        yield from places(node[0], (*way, 0))


def replaced(text: str, way: tuple[Any, ...], odd: str) -> str:
    if not way:
        return odd
    content = node = json.loads(text)
    for name in way[:-1]:
        node = node[name]
    node[way[-1]] = "ODD"
    return json.dumps(content).replace('"ODD"', odd)


@pytest.mark.parametrize("file", FILES)
def test_an_odd_value_anywhere_is_data(sent, file):
    whole = (sent / file).read_text()
    *before, last = whole.splitlines() if file.endswith("l") else [whole]
    for number, way in enumerate(places(json.loads(last))):
        odd = ODD[number % len(ODD)]
        (sent / file).write_text("\n".join([*before, replaced(last, way, odd), ""]))
        shown = page(sent)
        assert shown.data["runs"][0]["name"] == "sent", (way, odd)
        assert shown.data["charts"] or file == "metrics.jsonl"


def test_pictures_and_frames_of_absurd_size_are_left_out_with_a_notice(sent):
    for folder in ("media", "episodes/iteration_1/frames"):
        next((sent / folder).glob("*.png")).write_bytes(png(50_000, 50_000))
    shown = page(sent)
    assert shown.text.count("2500000000 pixels") == 2
    assert len(shown.data["episodes"]) == 4
    assert len(shown.data["frames"]) >= 3


def test_nothing_outside_the_folder_gets_onto_the_page(sent, tmp_path):
    (tmp_path / "secret.txt").write_text("seed: 1 # secret words")
    (tmp_path / "secret.json").write_text('{"episodes": 1, "success": 1.0, "interval": null, "secret words": 1}')
    other = make_run(tmp_path / "other", said="secret words")
    links = {
        "config.yaml": tmp_path / "secret.txt",
        "error.txt": tmp_path / "secret.txt",
        "eval/x.json": tmp_path / "secret.json",
        "episodes/x": other / "episodes/iteration_2",
        "metrics.jsonl": other / "metrics.jsonl",
    }
    for name, target in links.items():
        (sent / name).unlink(missing_ok=True)
        (sent / name).symlink_to(target)
    declare(sent, status="failed")
    shown = page(sent)
    assert "secret words" not in shown.source
    for name in ("config.yaml", "eval/x.json", "episodes/x", "metrics.jsonl"):
        assert f"{name} leads out of" in shown.text


def test_one_run_that_cannot_be_read_is_a_notice_beside_the_others(sent, tmp_path):
    good = make_run(tmp_path / "good")
    (sent / "config.yaml").write_text(ALIAS_BOMB)
    (sent / "manifest.json").write_text("[]")
    (tmp_path / "none").mkdir()
    shown = page(good, sent, tmp_path / "none")
    assert [run["name"] for run in shown.data["runs"]] == ["good", "sent"]
    for fault in ("none is no run", "has the alias *a0", "manifest.json is damaged"):
        assert fault in shown.text


def test_an_evaluation_of_another_kind_is_shown_as_far_as_it_goes(sent):
    (sent / "eval/iteration_2.json").write_text('{"episodes": 3}')
    assert "no counted episode" in page(sent).text


def test_a_nest_of_evaluations_is_a_notice(sent):
    nest = {"episodes": 1, "success": 1.0}
    for _ in range(200):
        nest = {"episodes": 1, "success": 1.0, "tasks": {"a": nest}}
    (sent / "eval/iteration_2.json").write_text(json.dumps(nest))
    assert "iteration_2.json is damaged (it is nested too deeply)" in page(sent).text


def test_what_is_said_in_episodes_counts_for_the_size_of_the_page(sent):
    file = sent / "episodes/iteration_2/000/episode.json"
    episode = json.loads(file.read_text())
    episode["steps"] *= 20_000
    episode["steps"] = [{**step, "text": "x" * 1000} for step in episode["steps"]]
    file.write_text(json.dumps(episode))
    shown = page(sent)
    assert "are left out to keep the file below 15 MB" in shown.text
    assert len(shown.text) < 15e6


def test_a_step_that_no_run_has_done_is_left_out(sent):
    with open(sent / "metrics.jsonl", "a") as file:
        file.write(f'{{"step": {10**30}, "eval/success": 1}}\n')
    assert "1 torn line of metrics.jsonl left out" in page(sent).text


def test_a_page_that_cannot_be_written_leaves_no_empty_one(sent, tmp_path, monkeypatch):
    def full(*_):
        raise RunFailed("the disk is full")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(atomic, "write_atomic", full)
    with pytest.raises(RunFailed):
        report([sent])
    assert not list(tmp_path.glob("*.html"))


def test_a_config_edited_by_hand_is_told_of(sent):
    text = (sent / "config.yaml").read_text()
    (sent / "config.yaml").write_text(text.replace("causal", "none"))
    assert "was changed by hand since the run was started" in page(sent).text

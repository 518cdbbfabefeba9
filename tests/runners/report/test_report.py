"""The report page: complete, self-contained, and safe whatever a model wrote."""

import base64
import hashlib
import io
import json
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import agentlab_runner.runners.report
from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.frames import Frame
from agentlab_runner.runners.online.evaluation import headline, summarise
from agentlab_runner.runners.report import report
from agentlab_runner.runners.run.episodes import gif, save_clips
from agentlab_runner.runners.run.folder import Run
from agentlab_runner.runners.types import (
    Decision,
    Histogram,
    Picture,
    Series,
    Step,
    StopReason,
    Table,
    Trajectory,
)

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)> & \"'"
VOID = {"meta", "img", "input", "br", "link"}
CHROMIUM = shutil.which("chromium")


class Page(HTMLParser):
    """A page taken apart: its elements with their attributes, its visible text, its data block."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.source = path.read_text("utf-8")
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.blocks: list[str] = []
        self.open: list[str] = []
        self.feed(self.source)
        self.close()
        assert self.open == []
        self.data = json.loads(self.blocks[0])
        self.text = " ".join(" ".join(self.texts).split())

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> closes another element, line {self.getpos()[0]}"

    def handle_data(self, data):
        where = self.open[-1] if self.open else ""
        if where == "script":
            self.blocks.append(data)
        elif where != "style":
            self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


def screenshot(shade: int) -> np.ndarray:
    pixels = np.full((40, 24, 3), shade, np.uint8)
    pixels[5:15, 4:20] = (200, 30, 90)
    return pixels


def episode(seed: int, success: bool, *, said: str = "tap it") -> Trajectory:
    marks = [[{"kind": "tap", "x": 0.5, "y": 0.25}], [{"kind": "text", "text": said}]]
    observations = [{"text": f"Goal: {said}", "image": screenshot(shade)} for shade in (10, 20, 30)]
    infos = [{"parsed": None if i else said, "parse_failed": bool(i), "marks": marks[i]} for i in range(2)]
    steps = tuple(Step(observations[i], Decision(said), float(success and i), infos[i]) for i in range(2))
    stop = StopReason.SUCCESS if success else StopReason.HORIZON
    task = "open_app" if seed % 2 else "set_alarm"
    return Trajectory(steps, observations[2], stop, success, seed, task, f"do {said}")


def make_run(path: Path, *, seed: int = 0, entropy: str = "causal", wins: int = 3, said: str = "tap it") -> Path:
    """A finished run of two iterations, written by the real Run."""
    cfg = {"seed": seed, "agent": {"entropy": entropy, "note": said}, "logger": None}
    run = Run.create(cfg, path.parent, ["agentlab", "train", "+exp=toy", said], path=path)
    with run:
        for step in range(3):
            played = [episode(k, k < wins, said=said) for k in range(4)]
            summary = summarise(played)
            metrics = {**headline(summary, "eval"), "actor/loss": float("nan") if step == 1 else 1.5 - step}
            metrics["causal/B"] = Histogram((5, 3, 2), (0.0, 0.25, 0.5, 1.0))
            metrics["causal/tokens"] = Picture(screenshot(100 + step), caption=f"weights {said}")
            run.log(metrics, step=step)
            run.write_eval(f"iteration_{step}", summary)
            run.save_episodes(f"iteration_{step}", played, limit=2)
    return path


@pytest.fixture(scope="module")
def run_path(tmp_path_factory) -> Path:
    return make_run(tmp_path_factory.mktemp("runs") / "toy")


def test_page_needs_nothing_outside_itself(run_path, tmp_path):
    page = Page(report([run_path], tmp_path / "sub" / "report.html"))
    addresses = [
        value for _, attributes in page.elements for name, value in attributes.items() if name in ("src", "href")
    ]
    assert addresses
    assert all(address.startswith(("data:image/", "#")) for address in addresses)
    assert all(frame["uri"].startswith("data:image/webp;base64,") for frame in page.data["frames"])
    assert not page.all("link")
    targets = {attributes.get("id") for _, attributes in page.elements}
    assert {address[1:] for address in addresses if address.startswith("#")} <= targets


def test_only_its_own_script_may_run(run_path, tmp_path):
    page = Page(report([run_path], tmp_path / "report.html"))
    policy = next(meta["content"] for meta in page.all("meta") if "http-equiv" in meta)
    digest = base64.b64encode(hashlib.sha256(page.blocks[1].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "innerHTML" not in page.blocks[1]


def test_text_a_model_wrote_never_becomes_markup(run_path, tmp_path):
    plain = Page(report([run_path], tmp_path / "plain.html"))
    evil = Page(report([make_run(tmp_path / "evil", said=EVIL)], tmp_path / "evil.html"))
    assert [tag for tag, _ in evil.elements] == [tag for tag, _ in plain.elements]
    assert not any(name.startswith("on") for _, attributes in evil.elements for name in attributes)
    assert evil.data["episodes"][0]["steps"][0]["said"] == EVIL
    assert evil.data["episodes"][0]["goal"] == f"do {EVIL}"


def test_every_control_and_picture_has_a_name(run_path, tmp_path):
    page = Page(report([run_path], tmp_path / "report.html"))
    assert all("alt" in image for image in page.all("img"))
    named = [control for control in page.all("input") if "aria-label" in control]
    labelled = page.source.count("<label>")
    assert len(named) + labelled >= len(page.all("input")) + len(page.all("select"))


def test_header_says_what_was_run(run_path, tmp_path):
    page = Page(report([run_path], tmp_path / "report.html"))
    for fact in ("toy", "finished", "agentlab train +exp=toy", "cores", "75 % success on held-out tasks"):
        assert fact in page.text


def test_curves_hold_the_logged_numbers_and_show_gaps(run_path, tmp_path):
    page = Page(report([run_path], tmp_path / "report.html"))
    charts = {chart["name"]: chart["series"][0] for chart in page.data["charts"]}
    assert charts["actor/loss"]["steps"] == [0, 1, 2]
    assert charts["actor/loss"]["values"] == [1.5, None, -0.5]
    assert charts["eval/success"]["values"] == [0.75] * 3
    low, high = charts["eval/success"]["band"][2]
    assert 0.30 < low < 0.31
    assert 0.95 < high < 0.96
    assert "gaps: actor/loss" in page.text
    assert "eval/device_lost = 0" in page.text


def test_long_curves_are_thinned_and_say_so(run_path, tmp_path, monkeypatch):
    monkeypatch.setattr("agentlab_runner.runners.report.page.MOST_POINTS", 2)
    page = Page(report([run_path], tmp_path / "report.html"))
    assert next(c for c in page.data["charts"] if c["name"] == "actor/loss")["series"][0]["steps"] == [0, 2]
    assert "every k-th" in page.text


def test_evaluation_table_gives_success_by_task_with_intervals(run_path, tmp_path):
    page = Page(report([run_path], tmp_path / "report.html"))
    assert "all tasks 75 % [30, 95] of 4" in page.text
    assert "open_app 50 % [9, 91] of 2" in page.text
    assert "set_alarm 100 % [34, 100] of 2" in page.text


def test_levels_are_shown_where_the_evaluation_has_them(tmp_path):
    path = make_run(tmp_path / "run")
    level = {"1": {"episodes": 2, "success": 0.5, "interval": [0.1, 0.9]}}
    Run.open(path).write_eval("levels", summarise([episode(0, True)]) | {"levels": level})
    assert "by level level 1 – 50 % [10, 90] of 2" in Page(report([path], tmp_path / "report.html")).text


def test_frames_are_kept_once_with_their_exact_pixels(run_path, tmp_path):
    page = Page(report([run_path], tmp_path / "report.html"))
    episodes = page.data["episodes"]
    assert len(episodes) == 6
    assert len(page.data["frames"]) == 3 + 3  # three screenshots in all episodes, three pictures
    frame = page.data["frames"][episodes[0]["frames"][1]]
    image = Image.open(io.BytesIO(base64.b64decode(frame["uri"].split(",")[1])))
    np.testing.assert_array_equal(np.asarray(image.convert("RGB")), screenshot(20))
    assert (frame["width"], frame["height"]) == (24, 40)


def test_episodes_carry_what_the_player_draws(run_path, tmp_path):
    first = Page(report([run_path], tmp_path / "report.html")).data["episodes"][0]
    assert first["set"] == "iteration_2"
    assert first["steps"][0]["marks"] == [{"kind": "tap", "x": 0.5, "y": 0.25}]
    assert [step["parsed"] for step in first["steps"]] == ["tap it", None]
    assert first["prompts"] == ["Goal: tap it"] * 3
    assert (first["success"], first["stop"], first["reward"]) == (True, "success", 1.0)


def test_budget_leaves_out_whole_episodes_and_says_how_many(tmp_path, monkeypatch):
    path = make_run(tmp_path / "run")
    noise = [np.random.default_rng(k).integers(0, 256, (64, 64, 3), np.uint8) for k in range(8)]
    played = [
        Trajectory(
            (Step({"text": "", "image": noise[2 * k]}, Decision("x"), 0.0),),
            {"text": "", "image": noise[2 * k + 1]}, StopReason.HORIZON, False, k, "noise",
        )
        for k in range(4)
    ]  # fmt: skip
    Run.open(path).save_episodes("noise", played)
    monkeypatch.setattr(agentlab_runner.runners.report, "IMAGE_BUDGET", 45_000)
    page = Page(report([path], tmp_path / "report.html"))
    kept = [one for one in page.data["episodes"] if one["set"] == "noise"]
    assert 0 < len(kept) < 4
    assert all(None not in one["frames"] for one in kept)
    assert f"{4 - len(kept)} of 10 recorded episodes are left out" in page.text
    assert sum(len(frame["uri"]) for frame in page.data["frames"]) <= 45_000


def test_episodes_without_screenshots_are_shown_as_text(tmp_path):
    path = make_run(tmp_path / "run")
    step = Step({"text": "the screen in words"}, Decision("look"), 0.0)
    Run.open(path).save_episodes("words", [Trajectory((step,), {"text": "the end"}, StopReason.HORIZON, False, 0, "t")])
    page = Page(report([path], tmp_path / "report.html"))
    words = next(one for one in page.data["episodes"] if one["set"] == "words")
    assert words["frames"] == [None, None]
    assert words["prompts"] == ["the screen in words", "the end"]


def test_unfinished_run_is_reported_with_what_is_missing(tmp_path):
    run = Run.create({"seed": 0, "logger": None}, tmp_path, ["agentlab", "train"], path=tmp_path / "young")
    with run:
        run.log({"loss": 1.0}, step=0)
        page = Page(report([run.path], tmp_path / "report.html"))
    for missing in ("still going on", "no evaluation yet", "no recorded episodes yet"):
        assert missing in page.text


def test_damaged_parts_are_named_and_the_rest_is_shown(tmp_path):
    path = make_run(tmp_path / "run")
    with open(path / "metrics.jsonl", "a") as file:
        file.write('{"step": 3, "los')
    (path / "eval" / "iteration_1.json").write_text("{")
    (path / "episodes" / "iteration_1" / "000" / "episode.json").write_text("[]")
    next((path / "media").glob("*.png")).unlink()
    (path / "config.yaml").write_text("a: [")
    page = Page(report([path], tmp_path / "report.html"))
    for fault in (
        "1 torn line",
        "iteration_1.json is damaged",
        "000/episode.json is damaged",
        "1 pictures",
        "config.yaml is damaged",
    ):
        assert fault in page.text
    assert len(page.data["episodes"]) == 4


def test_failed_run_shows_its_error_and_the_way_on(tmp_path):
    run = Run.create({"seed": 0, "logger": None}, tmp_path, ["agentlab", "train"], path=tmp_path / "bad")
    with pytest.raises(RuntimeError), run:
        raise RuntimeError("out of luck")
    page = Page(report([run.path], tmp_path / "report.html"))
    assert "failed with RuntimeError: out of luck" in page.text
    assert f"agentlab resume run={run.path}" in page.text


def test_several_runs_share_charts_and_their_differences_stand_out(run_path, tmp_path):
    other = make_run(tmp_path / run_path.name, entropy="none", wins=1)
    page = Page(report([run_path, other], tmp_path / "report.html"))
    assert [series["run"] for series in page.data["charts"][0]["series"]] == [0, 1]
    assert len({run["colour"] for run in page.data["runs"]}) == len({run["key"] for run in page.data["runs"]}) == 2
    marked = page.source.split('<tr class="differs">')[1:]
    assert len(marked) == 1
    assert "agent.entropy" in marked[0]
    assert {one["run"] for one in page.data["episodes"]} == {0, 1}


def test_sweep_is_grouped_by_arm_and_names_jobs_without_a_run(tmp_path):
    sweep = tmp_path / "sweep"
    jobs = [("causal", 0, 4), ("causal", 1, 2), ("none", 0, 1), ("none", 1, None)]
    for entropy, seed, wins in jobs:
        folder = sweep / "jobs" / f"{entropy}{seed}"
        folder.mkdir(parents=True)
        overrides = ["+exp=toy", f"agent.entropy={entropy}", f"seed={seed}"]
        if wins is not None:
            make_run(folder, seed=seed, entropy=entropy, wins=wins)
        status, error = ("finished", "") if wins is not None else ("failed", "no memory left")
        (folder / "job.json").write_text(json.dumps({"overrides": overrides, "status": status, "error": error}))
    (sweep / "sweep.json").write_text(json.dumps({"fixed": ["+exp=toy"], "swept": ["agent.entropy", "seed"]}))
    page = Page(report([sweep], tmp_path / "report.html"))
    arms = [run["key"] for run in page.data["runs"]]
    assert arms == ["agent.entropy=causal", "agent.entropy=causal", "agent.entropy=none"]
    assert page.data["runs"][0]["colour"] == page.data["runs"][1]["colour"] != page.data["runs"][2]["colour"]
    assert "all tasks 75 % [50, 100] of 2 seeds 25 % of 1 seed" in page.text
    assert "agent.entropy=none seed=1 has no run: no memory left" in page.text


def test_what_is_no_run_is_refused_in_one_sentence(run_path, tmp_path):
    with pytest.raises(UserError, match=r"is no run .* `agentlab train`"):
        report([tmp_path], tmp_path / "report.html")
    with pytest.raises(UserError, match="at least one run"):
        report([], tmp_path / "report.html")
    with pytest.raises(UserError, match="is a folder"):
        report([run_path], tmp_path)
    assert not list(tmp_path.iterdir())


def asked(said: str, stop: StopReason = StopReason.GAVE_UP) -> Trajectory:
    """An episode of one step in which a model was asked twice."""
    parts = [said, Frame.of(screenshot(150)), {"frame": "gone"}]
    call = {"module": "act", "messages": [{"role": "user", "parts": parts}], "reply": said, "tokens_in": 12,
            "tokens_out": 3, "seconds": 0.5, "cost": 0.25, "cached": True, "model": said}  # fmt: skip
    extras = {"calls": [call, call], "record": {"plan": said}}
    step = Step({"text": said, "image": screenshot(10)}, Decision("x", extras, said), 0.0,
                {"scores": {"left": 2.0}, "outcomes": [{"primitive": "click 3", "fault": said}]})  # fmt: skip
    return Trajectory(
        (step,), {"text": ""}, stop, False, 0, "ask", "goal", measures={"f1": 0.5}, reason=said
    )


@pytest.mark.parametrize("said", ["look", EVIL, "a\x1b[31mred\x1b[0m \x1b]0;title\x07b\x1b]open \x9b2Jc\x08"])
def test_transcripts_are_shown_escaped_and_without_what_commands_a_terminal(tmp_path, said):
    path = make_run(tmp_path / "run")
    played = [asked(said), asked(said, StopReason.ERROR)]
    Run.open(path).write_eval("asked", summarise(played), step=3)
    Run.open(path).save_episodes("asked", played, step=3)
    page = Page(report([path], tmp_path / "report.html"))
    shown = {"look": "look", EVIL: EVIL}.get(said, "ared bopen c")
    first = next(one for one in page.data["episodes"] if one["set"] == "asked")
    assert (first["stop"], first["reason"], first["measures"]) == ("gave_up", shown, {"f1": 0.5})
    (step,) = first["steps"]
    assert (step["said"], step["scores"], json.loads(step["record"])) == (shown, {"left": 2.0}, {"plan": shown})
    assert step["outcomes"] == [{"primitive": "click 3", "fault": shown}]
    assert [call["reply"] for call in step["calls"]] == [shown, shown]
    assert step["calls"][0]["cached"] is True
    assert step["calls"][0]["messages"] == step["calls"][1]["messages"] == [0]
    words, picture, gone = first["messages"][0]["parts"]
    assert (words, gone) == (shown, {"frame": None})
    frame = Image.open(io.BytesIO(base64.b64decode(page.data["frames"][picture["frame"]]["uri"].split(",")[1])))
    np.testing.assert_array_equal(np.asarray(frame.convert("RGB")), screenshot(150))
    assert "\\u001b" not in page.source
    assert "\x1b" not in page.source
    for told in ("tokens in", "models, as they call themselves", "cancelled", f"1 × {shown}", "100 %"):
        assert " ".join(told.split()) in page.text


def test_series_and_tables_are_shown_as_they_were_last(tmp_path):
    path = make_run(tmp_path / "run")
    with Run.open(path) as run:
        for step in (3, 4):
            curve = Series((0.0, 1.0, 2.0), {"up": (0.0, float("nan"), 1.0 * step)}, x_label="share of data")
            rows = (("first", step, None), ("<b>second</b>", 0.123456, "\x1b[1mbold"))
            run.log({"curve": curve, "best": Table(("name", "score", "why"), rows)}, step=step)
    page = Page(report([path], tmp_path / "report.html"))
    assert page.data["series"] == [
        {"name": "curve", "run": 0, "step": 4, "x_label": "share of data", "x": [0, 1, 2],
         "lines": {"up": [0, None, 4]}}
    ]
    assert "best, step 4 name score why first 4 – <b>second</b> 0.1235 bold" in page.text
    line = next(one for one in Run.open(path).metrics() if one["step"] == 4)
    assert line["best"]["rows"][0] == ["first", 4, None]
    with open(path / "metrics.jsonl", "a") as file:
        file.write('{"step": 5, "curve": {"x": [1], "lines": {"up": [1, 2]}}}\n')
        file.write('{"step": 6, "best": {"columns": 1, "rows": []}}\n')
    assert "2 torn lines of metrics.jsonl left out" in Page(report([path], tmp_path / "report.html")).text


@pytest.mark.skipif(CHROMIUM is None, reason="draws the page in a real browser; needs chromium")
def test_a_browser_draws_curves_and_marks(tmp_path):
    out = report([make_run(tmp_path / "run", said=EVIL)], tmp_path / "report.html")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
    flags += ["--disable-component-update", "--no-first-run", "--virtual-time-budget=2000", "--dump-dom"]
    command = [CHROMIUM, *flags, f"--user-data-dir={tmp_path / 'profile'}", out.as_uri()]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    curves, _, rest = dom.partition('id="evaluation"')
    assert curves.count('stroke-linejoin="round"') == len(Page(out).data["charts"]) > 0
    player = rest.partition('id="player-stage"')[2].partition('id="player-film"')[0]
    assert player.count("<circle") == 3  # halo, ring and point of the tap
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in player


def test_the_last_recordings_gifs_stand_in_the_page(tmp_path):
    run = make_run(tmp_path / "run")
    for name, shades in {"iteration_0": (1,), "iteration_2": (2, 3)}.items():
        save_clips(run, name, [gif(episode(shade, True)) for shade in shades])
    (run / "media/iteration_2_episode_002.gif").write_bytes(b"<svg onload=alert(1)>")
    page = Page(report([run], tmp_path / "page.html"))
    shown = [one["src"] for one in page.all("img") if one.get("src", "").startswith("data:image/gif")]
    files = [run / f"media/iteration_2_episode_00{number}.gif" for number in (0, 1)]
    assert [base64.b64decode(uri.partition(",")[2]) for uri in shown] == [file.read_bytes() for file in files]
    assert "iteration 2 episode 001" in page.text
    assert "iteration_2_episode_002.gif is no GIF and is left out" in page.text


def test_gifs_that_do_not_fit_are_counted(tmp_path, monkeypatch):
    run = make_run(tmp_path / "run")
    save_clips(run, "iteration_2", [gif(episode(1, True))])
    monkeypatch.setattr(agentlab_runner.runners.report, "IMAGE_BUDGET", 6000)
    page = Page(report([run], tmp_path / "page.html"))
    assert "1 GIFs are left out to keep the file small" in page.text

"""Recorded episodes come back from disk, and can be looked at."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.files.atomic import append_line
from agentlab_runner.runners.frames import Frame, frame_name
from agentlab_runner.runners.run.episodes import draw_marks, gif, load_episodes, save_episodes
from agentlab_runner.runners.types import Decision, Step, StopReason, Trajectory

TAP = {"kind": "tap", "x": 0.5, "y": 0.25}


def screen(shade):
    return np.full((40, 20, 3), shade, np.uint8)


def episode(shades=(10, 20), images=True):
    def observation(shade):
        return {"text": f"Goal: é {shade}"} | ({"image": screen(shade)} if images else {})

    steps = [
        Step(
            observation(shade),
            Decision(f"say {shade}", {"token_ids": (1, 2)}),
            0.5,
            {"parsed": None, "parse_failed": True, "marks": [TAP], "private": object()},
        )
        for shade in shades
    ]
    return Trajectory(tuple(steps), observation(99), StopReason.HORIZON, False, seed=7, task="alarm", goal="7:30")


def test_episodes_come_back(tmp_path):
    save_episodes(tmp_path, [episode(), episode(shades=(20,))])
    first, second = load_episodes(tmp_path)
    assert (first.task, first.goal, first.seed, first.stop, first.success) == (
        "alarm", "7:30", 7, StopReason.HORIZON, False,
    )
    assert [step.decision.action for step in first.steps] == ["say 10", "say 20"]
    assert first.steps[0].observation["text"] == "Goal: é 10"
    assert first.steps[0].reward == 0.5
    assert first.steps[0].info == {"parsed": None, "parse_failed": True, "marks": [TAP]}
    np.testing.assert_array_equal(first.steps[1].observation["image"], screen(20))
    np.testing.assert_array_equal(second.final_observation["image"], screen(99))


def test_how_an_episode_begins_again_comes_back(tmp_path):
    save_episodes(tmp_path, [replace(episode(), restart={"task": "alarm", "page_seed": 4}), episode()])
    assert [one.restart for one in load_episodes(tmp_path)] == [{"task": "alarm", "page_seed": 4}, {}]


def test_half_a_character_is_written_too(tmp_path):
    """A page that was cut in the middle of an emoji; no file in UTF-8 can hold it as it is."""
    halved = replace(episode(), goal="caf\ud83d")
    save_episodes(tmp_path, [halved])
    assert [one.goal for one in load_episodes(tmp_path)] == ["caf\ud83d"]
    append_line(tmp_path / "notes", "caf\ud83d")
    assert (tmp_path / "notes").read_text() == "caf\\ud83d\n"


def talk(*said, reply="ok"):
    messages = [{"role": "system", "parts": ["Be brief."]}, {"role": "user", "parts": list(said)}]
    return {"module": "act", "messages": messages, "reply": reply, "tokens_in": 7, "tokens_out": 2, "seconds": 0.5,
            "cost": 0.25, "cached": False, "model": "m-1"}  # fmt: skip


def test_what_models_were_asked_comes_back_each_message_and_picture_once(tmp_path):
    seen, own = screen(10), Frame.of(screen(77))
    calls = [talk("what now?", {"frame": frame_name(seen)}), talk("and now?", own)]
    steps = [
        Step({"text": "", "image": seen}, Decision("a", {"calls": calls, "record": {"plan": ["b"]}}), 0.0,
             {"scores": {"left": 2.0}}),
        Step({"text": "", "image": seen}, Decision("a", {"calls": [talk({"frame": "elsewhere"})]}, "no way"), 0.0),
    ]  # fmt: skip
    played = Trajectory(
        tuple(steps), {"text": ""}, StopReason.GAVE_UP, False, 7, "alarm", measures={"f1": 0.5}, reason="no way"
    )
    save_episodes(tmp_path, [played])
    assert sorted(file.stem for file in (tmp_path / "frames").iterdir()) == sorted([frame_name(seen), own.name])
    assert len(json.loads((tmp_path / "000" / "episode.json").read_text())["messages"]) == 4
    (loaded,) = load_episodes(tmp_path)
    assert (loaded.stop, loaded.reason, loaded.measures) == (StopReason.GAVE_UP, "no way", {"f1": 0.5})
    assert loaded.steps[0].info == {"scores": {"left": 2.0}}
    assert loaded.steps[0].decision.extras["record"] == {"plan": ["b"]}
    assert loaded.steps[1].decision.give_up == "no way"
    first, second = loaded.steps[0].decision.extras["calls"]
    assert {**first, "messages": None} == {**calls[0], "messages": None}
    assert first["messages"][0] is second["messages"][0]
    np.testing.assert_array_equal(first["messages"][1]["parts"][1].array(), seen)
    np.testing.assert_array_equal(second["messages"][1]["parts"][1].array(), screen(77))
    assert loaded.steps[1].decision.extras["calls"][0]["messages"][1]["parts"] == [{"frame": "elsewhere"}]


@pytest.mark.parametrize(
    "damage",
    [
        lambda episode: episode["steps"][0]["calls"][0].update(messages=[9]),
        lambda episode: episode["steps"][0]["calls"][0].update(messages=[-1]),
        lambda episode: episode["steps"][0]["calls"][0].update(tokens_in="many"),
        lambda episode: episode["messages"][0].update(parts=[{"frame": "../../secret"}]),
        lambda episode: episode["messages"].clear(),
        lambda episode: episode.update(measures={"f1": "high"}),
        lambda episode: episode.update(measures=[1]),
        lambda episode: episode["steps"][0].update(calls=[1]),
    ],
)
def test_a_damaged_transcript_is_refused_by_name(tmp_path, damage):
    step = Step({"text": ""}, Decision("a", {"calls": [talk("hi")]}), 0.0)
    save_episodes(tmp_path, [Trajectory((step,), {"text": ""}, StopReason.HORIZON, False, 7, "alarm")])
    file = tmp_path / "000" / "episode.json"
    episode = json.loads(file.read_text())
    damage(episode)
    file.write_text(json.dumps(episode))
    with pytest.raises(UserError, match=r"000/episode\.json is damaged"):
        load_episodes(tmp_path)


def test_a_screen_is_stored_once(tmp_path):
    save_episodes(tmp_path, [episode(shades=(1, 1, 1, 2))] * 3)
    assert len(list((tmp_path / "frames").iterdir())) == 3  # 1, 2 and the last


def test_episodes_without_screens_work(tmp_path):
    save_episodes(tmp_path, [episode(images=False)])
    (loaded,) = load_episodes(tmp_path)
    assert "image" not in loaded.final_observation
    assert Image.open(io.BytesIO(gif(loaded))).n_frames == 3


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: text.replace('"task"', '"tusk"'),
        lambda text: text.replace('"horizon"', '"bored"'),
        lambda text: json.dumps(json.loads(text) | {"final": {"text": "", "frame": "../../secret"}}),
        lambda text: json.dumps(json.loads(text) | {"final": {"text": "", "frame": "abc"}}),
        lambda text: "[]",
    ],
)
def test_a_damaged_episode_is_refused_by_name(tmp_path, damage):
    save_episodes(tmp_path, [episode(), episode()])
    file = tmp_path / "001" / "episode.json"
    file.write_text(damage(file.read_text()))
    with pytest.raises(UserError, match=r"001/episode\.json is damaged"):
        load_episodes(tmp_path)


def test_a_damaged_screen_is_refused(tmp_path):
    save_episodes(tmp_path, [episode(shades=())])
    (frame,) = (tmp_path / "frames").iterdir()
    frame.write_bytes(frame.read_bytes()[:60])
    with pytest.raises(UserError, match="is damaged"):
        load_episodes(tmp_path)


def test_no_episodes_is_said(tmp_path):
    with pytest.raises(UserError, match="holds no recorded episodes"):
        load_episodes(tmp_path)


def changed(marks):
    """[H, W] bool: where marks were drawn on a grey 200 x 100 screen."""
    blank = np.full((200, 100, 3), 128, np.uint8)
    before = blank.copy()
    drawn = draw_marks(blank, marks)
    np.testing.assert_array_equal(blank, before)
    assert drawn.shape == blank.shape
    assert drawn.dtype == np.uint8
    return (drawn != blank).any(axis=2)


def test_a_tap_is_drawn_where_it_was():
    rows, columns = np.nonzero(changed([{"kind": "tap", "x": 0.3, "y": 0.7}]))
    assert rows.mean() == pytest.approx(140, abs=1)
    assert columns.mean() == pytest.approx(30, abs=1)
    assert np.ptp(rows) < 25


def test_a_swipe_is_drawn_from_start_to_end_with_its_head_at_the_end():
    where = changed([{"kind": "swipe", "x0": 0.5, "y0": 0.8, "x1": 0.5, "y1": 0.2}])
    rows = np.nonzero(where.any(axis=1))[0]
    assert (rows.min(), rows.max()) == (pytest.approx(40, abs=5), pytest.approx(160, abs=5))
    assert where[42:50].sum() > 1.5 * where[150:158].sum()


@pytest.mark.parametrize("kind", ["text", "key", "end"])
def test_words_are_drawn_at_the_foot(kind):
    where = changed([{"kind": kind, "text": "BACK " * 50}])
    assert where[-10:].any()
    assert not where[:180].any()


def test_marks_at_the_edge_and_unknown_ones_do_no_harm():
    assert changed([{"kind": "tap", "x": 0.0, "y": 1.0}, {"kind": "swipe", "x0": 0, "y0": 0, "x1": 1, "y1": 1}]).any()
    assert not changed([{"kind": "wink"}]).any()
    assert not changed([]).any()


def test_a_gif_shows_every_step_and_the_end():
    image = Image.open(io.BytesIO(gif(episode(), seconds=0.5, width=100)))
    assert image.format == "GIF"
    assert image.n_frames == 3
    assert image.width == 100
    assert image.info["duration"] == 500
    image.seek(2)
    assert image.info["duration"] == 1500

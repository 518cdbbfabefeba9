"""Recorded episodes: what was seen, said and done, step by step, on disk and as moving pictures.

    FOLDER/000/episode.json   step, time, task, goal, seed, success, stop, reason, restart, measures, steps, final, and
                              what was said to models (`messages`, each distinct one once; calls name them by place)
    FOLDER/frames/HASH.png    every distinct picture once; the JSON names it by `runners.frames.frame_name`
    RUN/media/NAME_episode_000.gif   the first few of the episodes called NAME
"""

import io
import json
import math
from collections.abc import Mapping, Sequence
from glob import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.files.atomic import atomic_file, write_atomic
from agentlab_runner.runners.files.pictures import read_picture
from agentlab_runner.runners.files.received import read_object
from agentlab_runner.runners.frames import Frame, frame_name
from agentlab_runner.runners.run.metrics_file import is_finite
from agentlab_runner.runners.types import Decision, Observation, Step, StopReason, Trajectory

Pixels = NDArray[np.uint8]
Mark = Mapping[str, Any]
"""Something to draw on the screenshot an action was chosen on; x and y are fractions of width and height.
`{"kind": "tap", "x", "y"}`, `{"kind": "swipe", "x0", "y0", "x1", "y1"}`, `{"kind": "text" | "key" | "end", "text"}`."""

RECORDED_INFO = ("parsed", "parse_failed", "reason", "marks", "scores", "outcomes")
"""What is kept of a step's `info`; `outcomes` are `{"primitive", "fault"}` of each part of an action."""

PLACES = {"tap": ("x", "y"), "swipe": ("x0", "y0", "x1", "y1")}
"""The numbers a mark of each kind needs; the other kinds need a text."""

MOST_SEEN = 2**28
"""Pixels of the distinct frames of one set of episodes."""

INK, HALO, PAPER = (230, 30, 60), (255, 255, 255), (24, 24, 28)


def save_episodes(folder: Path, trajectories: Sequence[Trajectory], said: Mapping[str, Any] | None = None) -> None:
    """Write episodes to `folder`, numbered from 000; observations keep their `text` and `image`.

    Args:
        said: of all of them, the step and the time at which they were recorded.
    """
    for number, trajectory in enumerate(trajectories):
        save_episode(folder, number, trajectory, said)


def save_episode(
    folder: Path, number: int, trajectory: Trajectory, said: Mapping[str, Any] | None = None
) -> None:
    """Write one episode; see `save_episodes`."""
    messages: dict[str, int] = {}
    steps = [
        {
            **_save_observation(folder, step.observation),
            "action": step.decision.action,
            "reward": step.reward,
            **{key: step.info[key] for key in RECORDED_INFO if key in step.info},
            **_save_extras(folder, step.decision, messages),
        }
        for step in trajectory.steps
    ]
    episode = {
        **(said or {}),
        "task": trajectory.task,
        "goal": trajectory.goal,
        "seed": trajectory.seed,
        "success": trajectory.success,
        "stop": trajectory.stop.value,
        "reason": trajectory.reason,
        "restart": dict(trajectory.restart),
        "measures": dict(trajectory.measures),
        "steps": steps,
        "final": _save_observation(folder, trajectory.final_observation),
        "messages": [json.loads(message) for message in messages],
    }
    text = json.dumps(episode, indent=1, ensure_ascii=False, default=str)
    write_atomic(folder / f"{number:03d}" / "episode.json", text)


def load_episodes(folder: Path) -> list[Trajectory]:
    """The episodes `save_episodes` wrote, in order.

    Raises:
        UserError: if there are none, or naming the file that is damaged.
    """
    files = sorted(folder.glob("*/episode.json"))
    if not files:
        raise UserError(f"{folder} holds no recorded episodes; expected 000/episode.json, 001/episode.json, ...")
    frames: dict[str, Pixels] = {}
    trajectories = []
    for file in files:
        try:
            episode = read_object(folder, f"{file.parent.name}/episode.json")
            trajectories.append(_load_episode(episode, folder, frames))
        except (UserError, ValueError, KeyError, TypeError, OverflowError, OSError) as error:
            raise UserError(f"{file} is damaged ({error}); delete its folder to use the other episodes") from error
    return trajectories


def sets_of(folder: Path) -> list[Path]:
    """The folders that `load_episodes` takes: this one, or those in the `episodes` of a run, the latest first.

    Raises:
        UserError: if there is no such folder.
    """
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}; give a run or a folder of recorded episodes")
    if not (folder / "manifest.json").is_file():
        return [folder]
    return sorted((one for one in (folder / "episodes").glob("*") if one.is_dir()), key=_recorded_after, reverse=True)


def _recorded_after(folder: Path) -> int:
    """The step in the name of a set."""
    digits = folder.name.rpartition("_")[2]
    return int(digits) if digits.isdecimal() else -1


def draw_marks(pixels: Pixels, marks: Sequence[Mark]) -> Pixels:
    """A copy of a screenshot with an action drawn on it: a ring for a tap, an arrow for a swipe, words at the foot.

    Args:
        pixels: [H, W, 3] uint8.
        marks: see `Mark`; kinds not listed there are left out.

    Returns:
        [H, W, 3] uint8.
    """
    image = Image.fromarray(pixels).convert("RGB")
    draw = ImageDraw.Draw(image)
    width, height = image.size
    stroke = max(1, round(width / 90))
    for mark in marks:
        if mark["kind"] == "tap":
            _ring(draw, mark["x"] * width, mark["y"] * height, radius=width / 18, stroke=stroke)
        elif mark["kind"] == "swipe":
            start, end = (mark["x0"] * width, mark["y0"] * height), (mark["x1"] * width, mark["y1"] * height)
            _arrow(draw, start, end, head=width / 12, stroke=stroke)
    words = "  ".join(_words(mark) for mark in marks if mark["kind"] in ("text", "key", "end"))
    if words:
        _caption(image, words, top=height - _line_height(width))
    return np.asarray(image)


def gif(trajectory: Trajectory, seconds: float = 0.9, width: int = 256) -> bytes:
    """An episode as an animated GIF: every screenshot with its action, then the end, a caption below each.

    Args:
        trajectory: an episode whose observations have an `image`; without any the GIF shows captions alone.
        seconds: time a frame; the last one stays three times as long.
        width: least width in pixels; smaller screens are enlarged by a whole factor.
    """
    count = len(trajectory.steps)
    frames = []
    for number, step in enumerate(trajectory.steps, start=1):
        parsed = step.info.get("parsed") if "parsed" in step.info else step.decision.action
        caption = f"{number}/{count}  {'(not understood)' if parsed is None else parsed}"
        frames.append(_frame(step.observation, step.info.get("marks", ()), caption, width))
    frames.append(_frame(trajectory.final_observation, (), f"{trajectory.stop.value}: {trajectory.goal}", width))
    durations = [round(seconds * 1000)] * count + [round(seconds * 3000)]
    out = io.BytesIO()
    frames[0].save(out, format="GIF", save_all=True, append_images=frames[1:], duration=durations, loop=0)
    return out.getvalue()


def save_clips(run: Path, name: str, gifs: Sequence[bytes]) -> None:
    """Write `media/NAME_episode_000.gif` and so on, in place of those that were there."""
    for old in clips(run, name):
        old.unlink()
    for number, content in enumerate(gifs):
        write_atomic(run / "media" / f"{name}_episode_{number:03d}.gif", content)


def clips(run: Path, name: str) -> list[Path]:
    """The GIFs a run has of the recorded episodes called `name`, in order."""
    return sorted((run / "media").glob(f"{escape(name)}_episode_[0-9]*.gif"))


def _save_observation(folder: Path, observation: Observation) -> dict[str, Any]:
    image = observation.get("image")
    frame = None if image is None else _save_frame(folder / "frames", np.asarray(image))
    return {"text": observation.get("text", ""), "frame": frame}


def _save_frame(folder: Path, pixels: Pixels) -> str:
    name = frame_name(pixels)
    file = folder / f"{name}.png"
    if not file.exists():
        with atomic_file(file) as out:
            Image.fromarray(pixels).save(out, format="PNG")
    return name


def _save_extras(folder: Path, decision: Decision, messages: dict[str, int]) -> dict[str, Any]:
    """What models were asked and answered, what is recorded beside, and whether the agent gave up."""
    kept: dict[str, Any] = {}
    if decision.give_up is not None:
        kept["give_up"] = decision.give_up
    if "record" in decision.extras:
        kept["record"] = decision.extras["record"]
    calls = [
        {**call, "messages": [_save_message(folder, message, messages) for message in call["messages"]]}
        for call in decision.extras.get("calls", ())
    ]
    return kept | ({"calls": calls} if calls else {})


def _save_message(folder: Path, message: Mapping[str, Any], messages: dict[str, int]) -> int:
    """The place of a message among those of its episode."""
    parts = [
        {"frame": _save_frame(folder / "frames", part.array())} if isinstance(part, Frame) else part
        for part in message["parts"]
    ]
    text = json.dumps({"role": message["role"], "parts": parts}, ensure_ascii=False)
    return messages.setdefault(text, len(messages))


def _load_episode(episode: Mapping[str, Any], folder: Path, frames: dict[str, Pixels]) -> Trajectory:
    def picture(name: Any) -> Pixels:
        if name not in frames:
            frames[name] = read_picture(folder, f"frames/{_bare(name)}.png")
            if sum(pixels.size for pixels in frames.values()) > 3 * MOST_SEEN:
                raise ValueError("its frames are more than is shown")
        return frames[name]

    def observation(entry: Mapping[str, Any]) -> Observation:
        shown = {} if entry["frame"] is None else {"image": picture(entry["frame"])}
        return {"text": entry["text"]} | shown

    def message(entry: Mapping[str, Any]) -> dict[str, Any]:
        parts: list[Any] = []
        for part in entry["parts"]:
            if isinstance(part, str):
                parts.append(part)
            elif (folder / "frames" / f"{_bare(part['frame'])}.png").is_file():
                parts.append(Frame.of(picture(part["frame"]), part["frame"]))
            else:
                parts.append({"frame": part["frame"]})  # the agent named a picture that it did not give
        return {"role": str(entry["role"]), "parts": parts}

    said = [message(entry) for entry in episode.get("messages", ())]

    def decision(entry: Mapping[str, Any]) -> Decision:
        extras: dict[str, Any] = {"record": entry["record"]} if "record" in entry else {}
        if "calls" in entry:
            extras["calls"] = [_load_call(call, said) for call in entry["calls"]]
        give_up = entry.get("give_up")
        return Decision(entry["action"], extras, None if give_up is None else str(give_up))

    def recorded(entry: Mapping[str, Any]) -> dict[str, Any]:
        info = {key: entry[key] for key in RECORDED_INFO if key in entry}
        if info.get("marks"):
            info["marks"] = [mark for mark in info["marks"] if _is_drawable(mark)]
        if "outcomes" in info:
            told = info["outcomes"] if isinstance(info["outcomes"], list) else []
            info["outcomes"] = [one for one in told if isinstance(one, dict)]
        return info | ({"scores": _numbers(info["scores"])} if "scores" in info else {})

    steps = [
        Step(observation(entry), decision(entry), float(entry["reward"]), recorded(entry))
        for entry in episode["steps"]
    ]
    return Trajectory(
        steps=tuple(steps),
        final_observation=observation(episode["final"]),
        stop=StopReason(episode["stop"]),
        success=bool(episode["success"]),
        seed=int(episode["seed"]),
        task=str(episode["task"]),
        goal=str(episode["goal"]),
        measures=_numbers(episode.get("measures", {})),
        reason=str(episode.get("reason", "")),
        restart=_options(episode.get("restart", {})),
    )


def _bare(name: Any) -> str:
    if not isinstance(name, str) or not name.isalnum():
        raise ValueError(f"{name!r} is not the name of a frame")
    return name


def _load_call(call: Mapping[str, Any], said: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    places = [int(place) for place in call["messages"]]
    if not all(0 <= place < len(said) for place in places):
        raise ValueError("a call names a message that is not there")
    numbers = {"tokens_in": int, "tokens_out": int, "seconds": float, "cost": float}
    if not all(is_finite(call[name]) for name in numbers):
        raise ValueError("a call has no finite number of tokens, seconds or cost")
    return {
        "module": str(call["module"]),
        "messages": [said[place] for place in places],
        "reply": str(call["reply"]),
        **{name: kind(call[name]) for name, kind in numbers.items()},
        "cached": bool(call["cached"]),
        **({"model": str(call["model"])} if "model" in call else {}),
    }


def _numbers(group: Mapping[str, Any]) -> dict[str, float]:
    if not isinstance(group, dict) or not all(map(is_finite, group.values())):
        raise ValueError("a score or measure is no finite number")
    return {str(name): float(value) for name, value in group.items()}


def _options(restart: Any) -> dict[str, Any]:
    if not isinstance(restart, dict):
        raise ValueError("what begins it again is no set of options")
    return restart


def _is_drawable(mark: Any) -> bool:
    if not isinstance(mark, dict) or not isinstance(mark.get("kind"), str):
        return False
    if mark["kind"] not in PLACES:
        return isinstance(mark.get("text"), str)
    return all(is_finite(mark.get(name)) and abs(mark[name]) < 1000 for name in PLACES[mark["kind"]])


def _frame(observation: Observation, marks: Sequence[Mark], caption: str, width: int) -> Image.Image:
    """One GIF frame: the screenshot, enlarged, with its marks, above a caption strip."""
    pixels = observation.get("image")
    if pixels is None:
        pixels = np.full((width // 4, width, 3), 255, np.uint8)
    factor = math.ceil(width / pixels.shape[1])
    large = np.asarray(pixels, np.uint8).repeat(factor, axis=0).repeat(factor, axis=1)
    screen = Image.fromarray(draw_marks(large, marks))
    image = Image.new("RGB", (screen.width, screen.height + _line_height(screen.width)), PAPER)
    image.paste(screen, (0, 0))
    _caption(image, caption, top=screen.height)
    return image


def _words(mark: Mark) -> str:
    return f'types "{mark["text"]}"' if mark["kind"] == "text" else str(mark["text"])


def _line_height(width: int) -> int:
    return max(13, width // 14)


def _caption(image: Image.Image, words: str, top: int) -> None:
    """One line of light text on a dark strip, cut short where the picture ends."""
    draw = ImageDraw.Draw(image)
    height = _line_height(image.width)
    font = ImageFont.load_default(size=height * 0.72)
    line = words.replace("\n", " ")
    while line and draw.textlength(line, font=font) > image.width - 4:
        line = line[:-2].rstrip("…") + "…" if len(line) > 2 else ""
    draw.rectangle((0, top, image.width, top + height), fill=PAPER)
    draw.text((3, top + height / 2), line, font=font, fill=HALO, anchor="lm")


def _ring(draw: ImageDraw.ImageDraw, x: float, y: float, radius: float, stroke: int) -> None:
    for colour, extra in ((HALO, stroke), (INK, 0)):
        box = (x - radius - extra, y - radius - extra, x + radius + extra, y + radius + extra)
        draw.ellipse(box, outline=colour, width=stroke + 2 * extra)
    draw.ellipse((x - stroke, y - stroke, x + stroke, y + stroke), fill=INK)


def _arrow(
    draw: ImageDraw.ImageDraw, start: tuple[float, float], end: tuple[float, float], head: float, stroke: int
) -> None:
    angle = math.atan2(end[1] - start[1], end[0] - start[0])
    barbs = [
        (end[0] - head * math.cos(angle + turn), end[1] - head * math.sin(angle + turn)) for turn in (-0.5, 0.5)
    ]
    for colour, extra in ((HALO, 2 * stroke), (INK, 0)):
        for line in ([start, end], [barbs[0], end, barbs[1]]):
            draw.line(line, fill=colour, width=2 * stroke + extra, joint="curve")

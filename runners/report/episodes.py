"""The recorded episodes of runs, as the player of the page wants them."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.files.received import inside, read_object
from agentlab_runner.runners.frames import Frame
from agentlab_runner.runners.report.frames import FrameStore
from agentlab_runner.runners.report.order import in_order, overtaken
from agentlab_runner.runners.report.record import RunRecord
from agentlab_runner.runners.run.episodes import load_episodes
from agentlab_runner.runners.terminal.tables import stripped
from agentlab_runner.runners.types import Step, Trajectory


def recorded_episodes(runs: Sequence[RunRecord], store: FrameStore, notices: list[str]) -> list[dict[str, Any]]:
    """Every recorded episode whose frames fit into the budget of `store`, run by run, the newest first.

    The last and the first recording of every run are taken before those between, so that the budget goes to the end and
    the beginning of learning.
    """
    recordings = [(run, recorded_sets(record, notices)) for run, record in enumerate(runs)]
    folders_of = dict(recordings)
    ranked = [(rank, run, folder) for run, folders in recordings for rank, folder in enumerate(_by_interest(folders))]
    episodes: list[tuple[int, int, dict[str, Any]]] = []
    total = 0
    for _, run, folder in sorted(ranked):
        try:
            trajectories = load_episodes(folder)
        except UserError as fault:
            notices.append(str(fault))
            continue
        total += len(trajectories)
        for number, trajectory in enumerate(trajectories):
            episode = _episode(trajectory, store)
            if episode is not None:
                place = {"run": run, "set": folder.name, "title": f"episode {number}"}
                episodes.append((run, folders_of[run].index(folder), place | episode))
    if len(episodes) < total:
        notices.append(
            f"{total - len(episodes)} of {total} recorded episodes are left out to keep the file below 15 MB; "
            "report fewer runs to see more of each"
        )
    if not total:
        notices.append("there are no recorded episodes yet; an evaluation records some")
    return [episode for _, _, episode in sorted(episodes, key=lambda entry: (entry[0], -entry[1]))]  # newest first


def recorded_sets(run: RunRecord, notices: list[str]) -> list[Path]:
    """The folders of recorded episodes by step; one still being written has a dot before its name."""
    folders = []
    for path in sorted((run.path / "episodes").glob("[!.]*")):
        try:
            folders += [path] if inside(run.path, f"episodes/{path.name}").is_dir() else []
        except UserError as fault:
            notices.append(str(fault))
    said = {folder.name: run.evals.get(folder.name) or _said(run.path, folder) for folder in folders}
    left = overtaken(said, run.manifest.get("resumed") or [])
    return [run.path / "episodes" / name for name in in_order(said, run.scalars) if name not in left]


def _said(run: Path, folder: Path) -> Mapping[str, Any]:
    """What a recording says of itself; nothing where its first episode is damaged."""
    first = min(folder.glob("*/episode.json"), default=None)
    try:
        return read_object(run, str(first.relative_to(run))) if first else {}
    except (OSError, UserError):
        return {}


def _by_interest(folders: Sequence[Path]) -> list[Path]:
    """The last, the first, then the others backwards in time."""
    return list(dict.fromkeys([*folders[-1:], *folders[:1], *reversed(folders)]))


def _episode(trajectory: Trajectory, store: FrameStore) -> dict[str, Any] | None:
    """One episode for the player; None when its frames do not fit any more."""
    seen = [step.observation for step in trajectory.steps] + [trajectory.final_observation]
    images: list[NDArray[np.uint8]] = []

    def place(image: Any) -> int | None:
        """Of a picture among those of the episode."""
        if image is None:
            return None
        images.append(np.asarray(image, np.uint8))
        return len(images) - 1

    frames = [place(observation.get("image")) for observation in seen]
    messages = _Messages(place)
    last = str(trajectory.steps[-1].info.get("reason") or "") if trajectory.steps else ""
    record = {
        "task": trajectory.task,
        "goal": stripped(trajectory.goal),
        "success": trajectory.success,
        "stop": trajectory.stop.value,
        "reason": stripped(trajectory.reason or last),
        "measures": trajectory.measures,
        "seed": trajectory.seed,
        "reward": _finite(trajectory.total_reward),
        "prompts": [stripped(str(observation.get("text", ""))) for observation in seen],
        "steps": [_step(step, messages) for step in trajectory.steps],
    }
    words = len(json.dumps([record, messages.kept], default=str))
    indices = store.add(images, words)
    if indices is None:
        return None
    for message in messages.kept:
        for part in message["parts"]:
            if isinstance(part, dict) and part["frame"] is not None:
                part["frame"] = indices[part["frame"]]
    shown = [None if frame is None else indices[frame] for frame in frames]
    return record | {"messages": messages.kept, "frames": shown}


def _step(step: Step, messages: "_Messages") -> dict[str, Any]:
    parsed = step.info.get("parsed", str(step.decision.action))
    extras = step.decision.extras
    shown: dict[str, Any] = {
        "said": stripped(step.decision.give_up or str(step.decision.action)),
        "parsed": parsed if parsed is None else stripped(str(parsed)),
        "reward": _finite(step.reward),
        "marks": list(step.info.get("marks") or []),
    }
    if "scores" in step.info:
        shown["scores"] = step.info["scores"]
    if outcomes := step.info.get("outcomes"):
        shown["outcomes"] = [
            {name: stripped(str(one.get(name, ""))) for name in ("primitive", "fault")} for one in outcomes
        ]
    if "record" in extras:
        shown["record"] = json.dumps(_stripped(extras["record"]), ensure_ascii=False, default=str)
    if "calls" in extras:
        shown["calls"] = [
            {
                **{name: stripped(str(call.get(name, ""))) for name in ("module", "model", "reply")},
                **{name: call[name] for name in ("tokens_in", "tokens_out", "seconds", "cost", "cached")},
                "messages": [messages.place(message) for message in call["messages"]],
            }
            for call in extras["calls"]
        ]
    return shown


def _stripped(value: Any) -> Any:
    """Of JSON, every text."""
    if isinstance(value, dict):
        return {stripped(str(name)): _stripped(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_stripped(one) for one in value]
    return stripped(value) if isinstance(value, str) else value


class _Messages:
    """What was said to models in one episode, each message once."""

    def __init__(self, picture: Callable[[Any], int | None]) -> None:
        self.kept: list[dict[str, Any]] = []
        self._picture = picture
        self._places: dict[int, int] = {}

    def place(self, message: Mapping[str, Any]) -> int:
        if id(message) not in self._places:  # one object a distinct message, see runners/run/episodes.py
            self._places[id(message)] = len(self.kept)
            parts = [self._part(part) for part in message["parts"]]
            self.kept.append({"role": stripped(message["role"]), "parts": parts})
        return self._places[id(message)]

    def _part(self, part: Any) -> str | dict[str, int | None]:
        if isinstance(part, str):
            return stripped(part)
        return {"frame": self._picture(part.array()) if isinstance(part, Frame) else None}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None

"""The recorded episodes of runs, as the player of the page wants them."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.files.received import inside, read_object
from agentlab_runner.runners.report.frames import FrameStore
from agentlab_runner.runners.report.order import in_order, overtaken
from agentlab_runner.runners.report.record import RunRecord
from agentlab_runner.runners.run.episodes import load_episodes
from agentlab_runner.runners.types import Trajectory


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
    images = [observation.get("image") for observation in seen]
    record = {
        "task": trajectory.task,
        "goal": trajectory.goal,
        "success": trajectory.success,
        "stop": trajectory.stop.value,
        "reason": str(trajectory.steps[-1].info.get("reason") or "") if trajectory.steps else "",
        "seed": trajectory.seed,
        "reward": _finite(trajectory.total_reward),
        "prompts": [str(observation.get("text", "")) for observation in seen],
        "steps": [
            {
                "said": str(step.decision.action),
                "parsed": step.info.get("parsed", str(step.decision.action)),
                "reward": _finite(step.reward),
                "marks": list(step.info.get("marks") or []),
            }
            for step in trajectory.steps
        ],
    }
    words = len(json.dumps(record, default=str))
    indices = store.add([np.asarray(image, np.uint8) for image in images if image is not None], words)
    if indices is None:
        return None
    remaining = iter(indices)
    return record | {"frames": [None if image is None else next(remaining) for image in images]}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None

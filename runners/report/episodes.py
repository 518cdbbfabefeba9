"""The recorded episodes of runs, as the player of the page wants them."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from runners.episodes import load_episodes
from runners.errors import UserError
from runners.report.frames import FrameStore
from runners.report.record import RunRecord
from runners.types import Trajectory

MARK_NUMBERS = {"tap": ("x", "y"), "swipe": ("x0", "y0", "x1", "y1")}


def recorded_episodes(runs: Sequence[RunRecord], store: FrameStore, notices: list[str]) -> list[dict[str, Any]]:
    """Every recorded episode whose frames fit into the budget of `store`, newest recording first.

    The newest and the oldest recording of each run come first, so that the budget is spent on the end and the beginning.
    """
    folders = {index: _recordings(run) for index, run in enumerate(runs)}
    order = [(index, folder) for index, found in folders.items() for folder in found]
    order.sort(key=lambda pair: min(folders[pair[0]].index(pair[1]), 1.5))
    episodes: list[dict[str, Any]] = []
    total = 0
    for index, folder in order:
        try:
            trajectories = load_episodes(folder)
        except (UserError, OSError, ValueError, KeyError) as fault:
            notices.append(f"the episodes in {folder} cannot be read ({fault})")
            continue
        total += len(trajectories)
        for number, trajectory in enumerate(trajectories):
            episode = _episode(trajectory, store)
            if episode is not None:
                episodes.append({"run": index, "set": folder.name, "title": f"episode {number + 1}"} | episode)
    if len(episodes) < total:
        notices.append(
            f"{total - len(episodes)} of {total} recorded episodes left out to keep the file below 15 MB; "
            "they are in the episodes folder of their run"
        )
    if not total:
        notices.append("there are no recorded episodes yet; every evaluation records some")
    return episodes

"""`agentlab report`: one HTML file that shows what runs did and can be sent to a colleague as it is."""

from collections.abc import Sequence
from pathlib import Path

from agentlab_runner.runners.errors import UserError

IMAGE_BUDGET = 13_000_000
"""Characters of image data in one page; with curves, tables and code a page stays below 15 MB."""


def report(runs: Sequence[Path], out: Path) -> Path:
    """Write one self-contained HTML page of these runs.

    Args:
        runs: run folders, or sweep folders, whose runs are then grouped by arm.
        out: the file to write; its folder is made.

    Returns:
        `out`.

    Raises:
        UserError: when there is nothing to report, or a path is neither a run nor a sweep.
    """
    from agentlab_runner.runners.report.episodes import recorded_episodes
    from agentlab_runner.runners.report.frames import FrameStore
    from agentlab_runner.runners.report.page import render
    from agentlab_runner.runners.report.pictures import logged_pictures
    from agentlab_runner.runners.report.sources import find_runs
    from agentlab_runner.runners.run.atomic import write_atomic

    if not runs:
        raise UserError("name at least one run folder to report; `agentlab train` writes them")
    if out.is_dir():
        raise UserError(f"{out} is a folder; name the HTML file to write, for example {out / 'report.html'}")
    records, notices = find_runs(runs)
    store = FrameStore(IMAGE_BUDGET)
    pictures = logged_pictures(records, store, notices)
    episodes = recorded_episodes(records, store, notices)
    write_atomic(out, render(records, pictures, episodes, store.frames, notices))
    return out

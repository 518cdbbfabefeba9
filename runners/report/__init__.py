"""`agentlab report`: one HTML file that shows what runs did and can be sent to a colleague as it is."""

from collections.abc import Sequence
from pathlib import Path

from agentlab_runner.runners.errors import UserError

IMAGE_BUDGET = 13_000_000
"""Characters of images and of episodes' texts in one page; with curves, tables and code it stays below 15 MB."""


def report(runs: Sequence[Path], out: Path | None = None) -> Path:
    """Write one self-contained HTML page of these runs.

    Args:
        runs: run folders, or sweep folders, whose runs are then grouped by arm.
        out: the file to write; its folder is made. None: `report-RUN.html` in the current folder, with a number
            behind it if that is taken.

    Returns:
        The file written.

    Raises:
        UserError: when there is nothing to report, or a path is neither a run nor a sweep.
    """
    from agentlab_runner.runners.files.atomic import write_atomic
    from agentlab_runner.runners.report.clips import moving_pictures
    from agentlab_runner.runners.report.episodes import recorded_episodes
    from agentlab_runner.runners.report.frames import FrameStore
    from agentlab_runner.runners.report.page import render
    from agentlab_runner.runners.report.pictures import logged_pictures
    from agentlab_runner.runners.report.sources import find_runs

    if not runs:
        raise UserError("name at least one run folder to report; `agentlab train` writes them")
    if out is not None and out.is_dir():
        raise UserError(f"{out} is a folder; name the HTML file to write, for example {out / 'report.html'}")
    records, notices = find_runs(runs)
    store = FrameStore(IMAGE_BUDGET)
    pictures = logged_pictures(records, store, notices)
    episodes = recorded_episodes(records, store, notices)
    moving = moving_pictures(records, store, notices)
    page = render(records, pictures, episodes, moving, store.frames, notices)
    file = out or _free(runs)
    try:
        write_atomic(file, page.encode(errors="replace"))  # what JSON can say and UTF-8 cannot: half of a character
    except BaseException:
        if out is None:
            file.unlink(missing_ok=True)
        raise
    return file


def _free(runs: Sequence[Path]) -> Path:
    """A file of the current folder that is named after what it shows, made so that no other report takes it."""
    more = f"-and-{len(runs) - 1}-more" if len(runs) > 1 else ""
    number = 1
    while True:
        file = Path(f"report-{runs[0].resolve().name}{more}{f'-{number}' if number > 1 else ''}.html")
        try:
            file.touch(exist_ok=False)
            return file
        except FileExistsError:
            number += 1

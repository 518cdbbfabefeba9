"""The newest recorded episodes of runs as GIFs, which can be saved out of the page and shown anywhere."""

from collections.abc import Sequence
from typing import Any

from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.files.received import read_bytes
from agentlab_runner.runners.report.episodes import recorded_sets
from agentlab_runner.runners.report.frames import FrameStore
from agentlab_runner.runners.report.record import RunRecord
from agentlab_runner.runners.run.episodes import clips

LARGEST = 2**23
"""Bytes of one GIF."""


def moving_pictures(runs: Sequence[RunRecord], store: FrameStore, notices: list[str]) -> list[dict[str, Any]]:
    """`{"label", "uri"}` of each GIF that fits, those of the last recording of every run that has some."""
    figures, left_out = [], 0
    for run in runs:
        found = [found for folder in recorded_sets(run, []) if (found := clips(run.path, folder.name))]
        for file in found[-1] if found else []:
            try:
                content = read_bytes(run.path, f"media/{file.name}", LARGEST)
                if content[:6] not in (b"GIF87a", b"GIF89a"):
                    raise UserError(f"{file} is no GIF and is left out")
            except (UserError, FileNotFoundError) as fault:
                notices.append(str(fault))
                continue
            uri, label = store.clip(content), file.stem.replace("_", " ")
            if uri is None:
                left_out += 1
            else:
                figures.append({"label": label if len(runs) == 1 else f"{label} · {run.name}", "uri": uri})
    if left_out:
        notices.append(f"{left_out} GIFs are left out to keep the file small; they are in the run's media folder")
    return figures

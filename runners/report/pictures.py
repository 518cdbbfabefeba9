"""The pictures that runs logged, such as token heat maps, as figures with a slider over their steps."""

import math
from collections.abc import Sequence
from typing import Any

from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.files.pictures import read_picture
from agentlab_runner.runners.report.frames import FrameStore
from agentlab_runner.runners.report.record import RunRecord

MOST_PICTURES = 16
"""Steps kept of a picture logged again and again."""


def logged_pictures(runs: Sequence[RunRecord], store: FrameStore, notices: list[str]) -> list[dict[str, Any]]:
    """One figure a picture's name and run, with the steps it was logged at, as many as are kept."""
    figures: list[dict[str, Any]] = []
    dropped = 0
    for run in runs:
        for name, by_step in sorted(run.pictures.items()):
            logged = sorted(by_step.items())
            stride = math.ceil(len(logged) / MOST_PICTURES)
            steps = []
            for step, (file, caption) in logged[::-stride][::-1]:
                try:
                    frame = store.add([read_picture(run.path, file)])
                except UserError as fault:
                    notices.append(str(fault))
                    continue
                if frame:
                    steps.append((step, frame[0], caption or name))
            dropped += len(logged) - len(steps)
            if steps:
                step, frame_index, caption = steps[-1]
                label = name if len(runs) == 1 else f"{name} · {run.name}"
                uri = store.frames[frame_index]["uri"]
                figures.append({"label": label, "steps": steps, "step": step, "caption": caption, "uri": uri})
    if dropped:
        notices.append(f"{dropped} pictures left out to keep the file small; they are in the run's media folder")
    return figures

"""Draws training and held-out success side by side: python -m docs.draw_curves RUN... FILE.png (in the clone)."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from agentlab_runner.runners.terminal.curves import Curve, plot_curves

LINES = {
    "train/success": "training episodes",
    "eval/seen/success": "training's own tasks, played as the held-out ones are",
    "eval/success": "held-out tasks",
}


def curves(runs: Sequence[Path]) -> list[Curve]:
    """Of each metric of `LINES` one, over all runs."""
    logs = [[json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()] for run in runs]
    return [
        Curve(label, tuple({entry["step"]: entry[name] for entry in log if name in entry} for log in logs))
        for name, label in LINES.items()
    ]


def main() -> None:
    *runs, file = map(Path, sys.argv[1:])
    with file.open("wb") as out:
        plot_curves(out, curves(runs), "success", "iteration")


if __name__ == "__main__":
    main()

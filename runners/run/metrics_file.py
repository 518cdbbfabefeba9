"""`metrics.jsonl`: one JSON object a line, appended, never torn for a reader."""

import json
import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.files.atomic import append_line, atomic_file, write_atomic
from agentlab_runner.runners.files.received import LINES_LIMIT, read_bytes
from agentlab_runner.runners.types import Histogram, Metrics, Picture, Series, Table


class MetricsFile:
    """The metrics of one run.

    A line is `{"step": int, "time": unix seconds, NAME: number | {"counts", "edges"} | {"file", "caption"} |
    {"x", "lines", "x_label"} | {"columns", "rows"}}`;
    not-a-number and infinity are written as Python's json does (`NaN`, `Infinity`).
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, line: Mapping[str, Any]) -> None:
        append_line(self.path, json.dumps(line))

    def log(self, metrics: Metrics, step: int) -> None:
        """Append a line of these metrics; pictures go to `media/` beside the file."""
        line: dict[str, Any] = {"step": step, "time": round(time.time(), 3)}
        self.append(line | {name: self._as_json(name, value, step) for name, value in metrics.items()})

    def read(self) -> list[dict[str, Any]]:
        """Every line, oldest first; a last line torn by a crash is left out.

        Raises:
            UserError: if any other line is damaged.
        """
        try:
            content = read_bytes(self.path.parent, self.path.name, LINES_LIMIT)
        except FileNotFoundError:
            return []
        try:
            lines = [json.loads(line) for line in content.split(b"\n")[:-1]]
        except (ValueError, RecursionError) as error:
            raise UserError(f"{self.path} is damaged ({error}); delete the damaged line to use the rest") from error
        if not all(isinstance(line, dict) and is_step(line.get("step")) for line in lines):
            raise UserError(f"{self.path} is damaged (a line has no step); delete the damaged line to use the rest")
        return lines

    def repair(self) -> None:
        """Drop what follows the last newline: a line whose writing was cut short."""
        if self.path.exists():
            os.truncate(self.path, self.path.read_bytes().rfind(b"\n") + 1)

    def clear(self) -> None:
        self.path.unlink(missing_ok=True)

    def cut_after(self, step: int) -> None:
        """Drop the lines logged after `step`."""
        if self.path.exists():
            write_atomic(self.path, "".join(json.dumps(line) + "\n" for line in self.read() if line["step"] <= step))

    def _as_json(self, name: str, value: object, step: int) -> object:
        if isinstance(value, Histogram):
            return {"counts": list(value.counts), "edges": list(value.edges)}
        if isinstance(value, Picture):
            return {"file": self._save_picture(name, value, step), "caption": value.caption}
        if isinstance(value, Series):
            lines = {line: [float(one) for one in values] for line, values in value.lines.items()}
            return {"x": [float(one) for one in value.x], "lines": lines, "x_label": value.x_label}
        if isinstance(value, Table):
            return {"columns": list(value.columns), "rows": [list(row) for row in value.rows]}
        return float(cast(float, value))

    def _save_picture(self, name: str, picture: Picture, step: int) -> str:
        from PIL import Image

        called = re.sub(r"[^\w.-]+", "_", name).strip("._") or "run"
        file = f"media/{called}_{step:06d}.png"
        with atomic_file(self.path.parent / file) as out:
            Image.fromarray(picture.pixels).save(out, format="PNG")
        return file


def is_step(value: object) -> bool:
    """Whether a value read from JSON counts something that a run can have done."""
    return type(value) is int and abs(value) <= 2**53


def is_finite(value: object) -> bool:
    """Whether a value read from JSON is a number that can be drawn and formatted."""
    return isinstance(value, int | float) and abs(value) < 1e300

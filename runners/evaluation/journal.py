"""`RUN/journal.jsonl`: a line an episode that has ended, forced to disk before the next one counts."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.evaluation.plan import Plan
from agentlab_runner.runners.files.atomic import append_line
from agentlab_runner.runners.files.received import LINES_LIMIT, read_bytes
from agentlab_runner.runners.online.evaluation import is_line
from agentlab_runner.runners.run.folder import JOURNAL
from agentlab_runner.runners.run.metrics_file import MetricsFile
from agentlab_runner.runners.types import StopReason

AGAIN = (StopReason.DEVICE_LOST, StopReason.ERROR)
"""How an episode ended that is played again when the run is resumed: something else than the agent failed."""


class Journal:
    """The episodes of one evaluation; a line is that of `runners.online.evaluation.line_of`, with its `repeat`."""

    def __init__(self, run: Path, plan: Plan) -> None:
        self.path = run / JOURNAL
        self.plan = plan

    def append(self, line: Mapping[str, Any]) -> None:
        append_line(self.path, json.dumps(line))

    def repair(self) -> None:
        """Drop a last line whose writing was cut short."""
        MetricsFile(self.path).repair()

    def lines(self) -> list[dict[str, Any]]:
        """By number, of each episode the last time it was played; a torn last line is left out.

        Raises:
            UserError: if any other line is damaged, or is of an episode that is not in the plan.
        """
        try:
            content = read_bytes(self.path.parent, self.path.name, LINES_LIMIT)
        except FileNotFoundError:
            return []
        found: dict[int, dict[str, Any]] = {}
        for place, text in enumerate(content.split(b"\n")[:-1], start=1):
            try:
                line = json.loads(text)
            except (ValueError, RecursionError):
                line = None
            if not self._fits(line):
                raise UserError(
                    f"{self.path} is damaged (line {place} is no episode of this run); delete that line, and the "
                    "episode is played again"
                )
            found[line["number"]] = line
        return [found[number] for number in sorted(found)]

    def missing(self) -> list[int]:
        """The numbers of the episodes to play: those without a line, and those that ended as `AGAIN` says."""
        done = {line["number"] for line in self.lines() if line["stop"] not in AGAIN}
        return [start.number for start in self.plan.starts if start.number not in done]

    def _fits(self, line: Any) -> bool:
        if not is_line(line) or type(line["number"]) is not int or not 0 <= line["number"] < len(self.plan.starts):
            return False
        start = self.plan.starts[line["number"]]
        return bool(line["seed"] == start.seed and line["task"] == start.options.get("task", line["task"]))

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


class Journal:
    """The episodes of one evaluation; a line is that of `evaluation.line_of`, with `repeat` and `trial`."""

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
        """The numbers of the episodes to play, as far as is known, see `Plan.missing`."""
        done = {line["number"]: line for line in self.lines()}
        return [start.number for trial in range(self.plan.trials) for start in self.plan.missing(trial, done)]

    def _fits(self, line: Any) -> bool:
        count = len(self.plan.starts)
        if not is_line(line) or type(line["number"]) is not int or not 0 <= line["number"] < count * self.plan.trials:
            return False
        if line.get("trial") != line["number"] // count:
            return False
        start = self.plan.starts[line["number"] % count]
        return bool(line["seed"] == start.seed and line["task"] == start.options.get("task", line["task"]))

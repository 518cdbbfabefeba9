"""What training did right, kept for others to learn from: `episodes/successes/` of a run."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.files.received import read_object
from agentlab_runner.runners.types import Trajectory

if TYPE_CHECKING:
    from agentlab_runner.runners.run.folder import Run

NAME = "successes"
"""Of the recorded episodes."""


class Successes:
    """Training episodes that succeeded, at most `per_task` of each task, none that asked the same from the same start.

    Those that the run has already are counted, so that a resumed run goes on where it was.

    Raises:
        UserError: naming a recorded episode that is damaged.
    """

    def __init__(self, run: "Run", per_task: int) -> None:
        self._run, self._per_task = run, per_task
        self._known: set[str] = set()
        self._kept: Counter[str] = Counter()
        self._next = 0
        if not per_task:
            return
        for file in sorted((run.path / "episodes" / NAME).glob("*/episode.json")):
            try:
                episode = read_object(file.parent.parent, f"{file.parent.name}/episode.json")
                task, start = str(episode["task"]), _start(episode["goal"], episode["seed"], episode.get("restart"))
                number = int(file.parent.name)
            except (UserError, KeyError, ValueError) as fault:
                raise UserError(f"{file} is damaged ({fault}); delete its folder to record another") from fault
            self._known.add(task + start)
            self._kept[task] += 1
            self._next = max(self._next, number + 1)

    def record(self, trajectories: Sequence[Trajectory], step: int) -> None:
        """Write those that are new, as episodes of this iteration."""
        for trajectory in trajectories:
            task, start = trajectory.task, _start(trajectory.goal, trajectory.seed, trajectory.restart)
            if not trajectory.success or self._kept[task] >= self._per_task or task + start in self._known:
                continue
            self._run.add_episode(NAME, self._next, trajectory, step)
            self._known.add(task + start)
            self._kept[task] += 1
            self._next += 1


def _start(goal: Any, seed: Any, restart: Mapping[str, Any] | None) -> str:
    """Equal for episodes that ask the same from the same start."""
    return json.dumps([goal, restart or seed], sort_keys=True, default=str)

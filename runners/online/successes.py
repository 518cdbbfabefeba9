"""What training did right, kept for others to learn from: `episodes/successes/` of a run."""

import hashlib
import json
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

    Of more than that a fair sample is kept, whenever they were solved: what is solved first is what is easy. They are
    those whose starts come first in an order of chance, so that a resumed run keeps the same ones.

    Raises:
        UserError: naming a recorded episode that is damaged.
    """

    def __init__(self, run: "Run", per_task: int) -> None:
        self._run, self._per_task = run, per_task
        self._kept: dict[str, dict[str, int]] = {}
        """By task and place in the order, the number of the recorded episode."""
        self._next = 0
        if not per_task:
            return
        for file in sorted((run.path / "episodes" / NAME).glob("*/episode.json")):
            try:
                episode = read_object(file.parent.parent, f"{file.parent.name}/episode.json")
                task, place = str(episode["task"]), _place(episode["goal"], episode["seed"], episode.get("restart"))
                number = int(file.parent.name)
            except (UserError, KeyError, ValueError) as fault:
                raise UserError(f"{file} is damaged ({fault}); delete its folder to record another") from fault
            self._kept.setdefault(task, {})[place] = number
            self._next = max(self._next, number + 1)

    def record(self, trajectories: Sequence[Trajectory], step: int) -> None:
        """Write those that are to be kept, as episodes of this iteration; one may take the place of another."""
        if not self._per_task:
            return
        for trajectory in trajectories:
            place = _place(trajectory.goal, trajectory.seed, trajectory.restart)
            kept = self._kept.setdefault(trajectory.task, {})
            if not trajectory.success or place in kept:
                continue
            if len(kept) < self._per_task:
                kept[place], self._next = self._next, self._next + 1
            elif place < (last := max(kept)):
                kept[place] = kept.pop(last)
            else:
                continue
            self._run.add_episode(NAME, kept[place], trajectory, step)


def _place(goal: Any, seed: Any, restart: Mapping[str, Any] | None) -> str:
    """Where an episode stands in an order of chance; equal for those that ask the same from the same start."""
    start = json.dumps([goal, restart or seed], sort_keys=True, default=str)
    return hashlib.sha256(start.encode()).hexdigest()

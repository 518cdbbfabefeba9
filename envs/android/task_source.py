"""Where an episode's task comes from: the phone's own templates, or a list of goals in a text file."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from agentlab_runner.envs.android.device import TaskSpec

HORIZONS = {"general": 10, "webshop": 20, "all": 20}
"""Steps an episode may take, by task set (AitW, as DigiRL and CoSo run it)."""
SPLITS = ("train", "test")
SAMPLINGS = ("random", "uniform", "sequential")


class TaskSource:
    """Chooses tasks.

    Args:
        task_set: `general`, `webshop`, `all`, or the path of a text file (`.txt`) with one goal a line.
        split: `train` or `test`; a file is one split by itself.
        sampling: `random` draws a template and then a task of it, `uniform` a task, `sequential` counts.
        templates: names of the templates to play, all if empty; a file has none.

    Raises:
        ValueError: an argument is not one of its choices, or the file is missing, empty or not text.
    """

    def __init__(self, task_set: str, split: str, sampling: str, templates: Sequence[str] = ()) -> None:
        self.from_file = task_set.endswith(".txt")
        if task_set not in HORIZONS and not self.from_file:
            raise ValueError(
                f"unknown task_set {task_set!r}; choose {', '.join(HORIZONS)}, or a .txt file with one goal a line"
            )
        for name, value, choices in (("split", split, SPLITS), ("sampling", sampling, SAMPLINGS)):
            if value not in choices:
                raise ValueError(f"unknown {name} {value!r}; choose one of {', '.join(choices)}")
        self.templates = tuple(templates)
        if not self.from_file:
            from agentlab_runner.envs.android import tasks

            tasks.templates(task_set, self.templates)
        self.task_set = task_set
        self.split = split
        self.sampling = sampling
        self.horizon = HORIZONS.get(task_set, 20)
        self._listed: list[TaskSpec] | None = read_goals(Path(task_set)) if self.from_file else None
        self._next = 0
        self._single: dict[str, TaskSource] = {}

    def choose(self, rng: np.random.Generator, episode: int | None, template: str | None = None) -> TaskSpec:
        """The next episode's task; `episode` numbers it under sequential sampling (None: the one after the last).

        Args:
            template: its name, if not any of those that are played.

        Raises:
            ValueError: if this one is not played.
        """
        if template is not None:
            return self._of(template).choose(rng, episode)
        if self.sampling == "sequential":
            index = self._next if episode is None else episode
            self._next = index + 1
            tasks = self._tasks()
            return tasks[index % len(tasks)]
        if self.from_file:
            tasks = self._tasks()
            return tasks[int(rng.integers(len(tasks)))]
        from agentlab_runner.envs.android.tasks import sample

        return sample(rng, self.task_set, self.split, self.templates, uniform=self.sampling == "uniform")

    def _of(self, template: str) -> "TaskSource":
        """A source of this template alone; a file is one."""
        if self.from_file and template == Path(self.task_set).stem:
            return self
        if self.from_file or (self.templates and template not in self.templates):
            known = ", ".join(self.templates) or Path(self.task_set).stem
            raise ValueError(f"no task {template!r} is played here; ask for one of {known}")
        if template not in self._single:
            self._single[template] = TaskSource(self.task_set, self.split, self.sampling, (template,))
        return self._single[template]

    def _tasks(self) -> list[TaskSpec]:
        if self._listed is None:
            from agentlab_runner.envs.android.tasks import tasks

            self._listed = list(tasks(self.task_set, self.split, self.templates))
        return self._listed


def read_goals(path: Path) -> list[TaskSpec]:
    """The goals of a text file, one a line; blank lines are skipped.

    Raises:
        ValueError: the file is missing, has no goal, or is not UTF-8 text.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise ValueError(f"task file {path} does not exist; write one goal a line into it") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"task file {path} cannot be read as UTF-8 text: {error}") from None
    goals = [line.strip() for line in lines if line.strip()]
    if not goals:
        raise ValueError(f"task file {path} has no goal in it; write one goal a line")
    return [TaskSpec(template=path.stem, goal=goal, level=1) for goal in goals]

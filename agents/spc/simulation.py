"""Teachers before a simulated student, in seconds: tasks in a chain, slow forgetting, noisy scores."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from hydra.utils import instantiate
from numpy.typing import NDArray
from omegaconf import DictConfig

from agentlab_runner.runners.callbacks import Callbacks
from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.experiment import Curriculum, Trainer
from agentlab_runner.runners.run.folder import Run
from agentlab_runner.runners.terminal.progress import Progress
from agentlab_runner.runners.types import Metrics, Series, StopReason, Table, Trajectory

MEASURE = "skill"
"""What an episode is scored by."""


class ChainedStudent:
    """Has a skill in [0, 1] for each of K tasks, each of which needs the one before.

    Practice of task k multiplies the gap `1 - s_k` by `1 - rate * s_(k-1)` (`s_0 = 1`); every round multiplies every
    skill by `1 - decay`. Scores are skills with Gaussian noise.
    """

    def __init__(self, tasks: int, rate: float, decay: float, noise: float, seed: int) -> None:
        self.skills: NDArray[np.float64] = np.zeros(tasks)
        self.rate, self.decay, self.noise = rate, decay, noise
        self._rng = np.random.default_rng([seed, 0x57D])

    def practise(self, task: int) -> None:
        before = 1.0 if task == 0 else float(self.skills[task - 1])
        self.skills[task] = 1 - (1 - self.skills[task]) * (1 - self.rate * before)
        self.skills *= 1 - self.decay

    def play(self, task: int, name: str) -> Trajectory:
        """An episode without steps."""
        score = float(self.skills[task] + self.noise * self._rng.standard_normal())
        return Trajectory((), {}, StopReason.HORIZON, False, 0, name, measures={MEASURE: score})

    def context(self, reduce: str) -> NDArray[np.float64]:
        """What a contextual teacher may see of the student: its skills, as noisy as its scores."""
        return self.skills + self.noise * self._rng.standard_normal(len(self.skills))

    def setup(self, trainer: Trainer) -> None: ...

    def learn(self, trajectories: Sequence[Trajectory], trainer: Trainer) -> Metrics:
        return {}

    def state_dict(self) -> Mapping[str, Any]:
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None: ...


class OnlyTarget:
    """No curriculum: the last task alone, in the same terms."""

    target_episodes = 0

    def setup(self, tasks: Mapping[str, Mapping[str, float]], seed: int) -> None:
        self._last = list(tasks)[-1]

    def propose(self, count: int) -> Sequence[str]:
        return [self._last] * count

    def feedback(self, *_: Any) -> Metrics:
        return {}

    def state_dict(self) -> Mapping[str, Any]:
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None: ...


def taught(teacher: Curriculum, student: ChainedStudent, rounds: int, seed: int) -> tuple[list[float], list[int]]:
    """What comes of a student under a teacher.

    Returns:
        Its skill at the last task after each round, and which task each round practised. Episodes of the target that
        a teacher asks for teach the student nothing, and cost no round.
    """
    names = [f"task{number + 1}" for number in range(len(student.skills))]
    teacher.setup({name: {"n": float(number + 1)} for number, name in enumerate(names)}, seed)
    skills, played = [], []
    for _ in range(rounds):
        proposed = teacher.propose(1)
        assert proposed is not None
        task = names.index(proposed[0])
        student.practise(task)
        target = [student.play(len(names) - 1, names[-1]) for _ in range(teacher.target_episodes)]
        teacher.feedback([student.play(task, proposed[0])], target, student)
        skills.append(float(student.skills[-1]))
        played.append(task)
    return skills, played


class Teachers:
    """Every teacher of the config before every student; `skill/TEACHER/COLUMN` is the mean over rounds and students."""

    def __init__(self, cfg: DictConfig) -> None:
        self.cfg = cfg

    def train(self, run: Run) -> Metrics:
        callbacks = Callbacks(self.cfg)
        with callbacks.during(run):
            found = self._measured()
            callbacks.on_eval(run, 1, found)
            run.log(found, step=1)
        return {name: value for name, value in found.items() if not isinstance(value, Series)}

    def evaluate(self, run: Run, checkpoint: str) -> Metrics:
        if checkpoint not in ("none", "last", "best"):
            raise UserError(f"a simulation keeps no checkpoints, so there is none called {checkpoint!r}; leave it out")
        found = self._measured()
        run.write_eval("again", {name: value for name, value in found.items() if isinstance(value, float)})
        return {name: value for name, value in found.items() if not isinstance(value, Series)}

    def _measured(self) -> Metrics:
        own, found = self.cfg.simulation, dict[str, Any]()
        names = list(self.cfg.teachers)
        with Progress(len(names) * len(own.columns), "simulating") as progress:
            for column, student in own.columns.items():
                curves: dict[str, tuple[float, ...]] = {}
                for name in names:
                    skills, shares = self._course(self.cfg.teachers[name], student)
                    curves[name] = tuple(skills.mean(axis=0).tolist())
                    found[f"skill/{name}/{column}"] = float(skills.mean())
                    found[f"skill_last/{name}/{column}"] = float(skills[:, -1].mean())
                    found[f"played/{name}/{column}"] = float(shares[-1])
                    progress.advance(skill=float(skills.mean()))
                rounds = tuple(float(number + 1) for number in range(own.rounds))
                found[f"course/{column}"] = Series(rounds, curves, "round")
        columns = list(own.columns)
        rows = [(name, *(round(found[f"skill/{name}/{column}"], 3) for column in columns)) for name in names]
        return found | {"teachers": Table(("teacher", *columns), tuple(rows))}

    def _course(self, node: DictConfig, student: DictConfig) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """[students, rounds] skills at the last task; [tasks] how often each was practised."""
        own = self.cfg.simulation
        skills, counts = [], np.zeros(student.tasks)
        for number in range(own.students):
            seed = self.cfg.seed * 1000 + number
            one = ChainedStudent(student.tasks, student.rate, student.decay, own.noise, seed)
            course, played = taught(instantiate(node), one, own.rounds, seed)
            skills.append(course)
            counts += np.bincount(played, minlength=student.tasks)
        return np.array(skills), counts / counts.sum()

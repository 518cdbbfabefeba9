"""What all teachers share: whose turn it is, what was scored, their own chance, and a state that is everything."""

import copy
import json
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from agentlab_runner.agents.spc.settings import TeacherSettings
from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.experiment import Learner
from agentlab_runner.runners.types import Metrics, Table, Trajectory

log = logging.getLogger(__name__)

Vector = NDArray[np.float64]


@runtime_checkable
class KnowsItsErrors(Protocol):
    """An agent that can say by how much its critic was wrong."""

    def td_error(self) -> Mapping[str, float]:
        """By task: the mean absolute error of temporal difference in what it last learnt from."""


@runtime_checkable
class Represents(Protocol):
    """An agent that can sum up its policy in numbers."""

    def context(self, reduce: str) -> Any:
        """[D], D never changes; `reduce` is `last`, `mean` or `probe` (arXiv 2302.03429, and its released code)."""


@dataclass(frozen=True, slots=True)
class Played:
    """One episode that came of a choice."""

    place: int
    """Which of the tasks proposed since the last choice it was."""
    task: int
    score: float
    """In [0, 1]."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What came of one choice."""

    episodes: Sequence[Played]
    """In the order of their play."""
    target: float | None
    """Mean score in [0, 1] of the target's episodes; None where none counted."""
    agent: Learner

    def mean(self, task: int | None = None) -> float | None:
        """Mean score, of one task or of all; None if none was played."""
        found = [one.score for one in self.episodes if task is None or one.task == task]
        return sum(found) / len(found) if found else None

    def errors(self) -> Mapping[str, float] | None:
        """By name of the task, the finite ones of `td_error`; None of an agent that cannot say."""
        if not isinstance(self.agent, KnowsItsErrors):
            return None
        return {name: float(error) for name, error in self.agent.td_error().items() if math.isfinite(error)}


class Teacher:
    """A curriculum among K named tasks.

    A subclass says what it prefers (`preference`) and what it makes of what came of that (`hear`), and names what it
    must not forget in `kept`. Its chance is its own, so that nobody else's draws depend on it.
    """

    settings_class: ClassVar[type[TeacherSettings]] = TeacherSettings
    kept: ClassVar[tuple[str, ...]] = ()
    """Attributes that make up its state beside those of every teacher."""
    proposing: ClassVar[tuple[str, ...]] = ()
    """Those of them that change when tasks are proposed."""

    def __init__(self, **settings: Any) -> None:
        self.settings = self.settings_class(**settings)
        self.names: list[str] = []
        self.numbers: list[Mapping[str, float]] = []
        self.rng = np.random.default_rng(0)
        self.iterations = self.env_steps = self.agent_steps = 0
        self.stood = 0
        """Iterations since the last choice."""
        self.proposed = 0
        """Tasks since the last choice."""
        self.asked = 0
        """Tasks of this iteration."""
        self.standing = 0
        self.own: list[list[Any]] = []
        """Since the last choice: place, task and score of each episode."""
        self.targets: list[float] = []
        self.skipped = 0
        self.counts: list[int] = []
        """Episodes of each task so far."""
        self.scores: list[float] = []
        """Of each task, the newest mean score as it was given; NaN before."""
        self._before: Mapping[str, Any] = {}
        """What a proposal has changed since, as it was; empty when the proposal was heard of."""

    # -- what a subclass says --------------------------------------------------------------------------------------

    def begin(self) -> None:
        """The tasks are known now."""

    def preference(self) -> Vector:
        """[K], sums to 1: what it would play but for its share of uniform choice."""
        return np.full(self.size, 1 / self.size)

    def hear(self, heard: Heard) -> None:
        """A choice has stood long enough; this came of it."""

    def report(self) -> Metrics:
        """Metrics beside those of every teacher."""
        return {}

    @property
    def target_episodes(self) -> int:
        return 0

    # -- what every teacher does -----------------------------------------------------------------------------------

    @property
    def size(self) -> int:
        return len(self.names)

    @property
    def ends(self) -> bool:
        """Whether the choice that stands is heard of after this iteration."""
        return self.stood + 1 >= self.settings.every

    def setup(self, tasks: Mapping[str, Mapping[str, float]], seed: int) -> None:
        if not tasks:
            raise UserError("this environment names no tasks to choose from; use curriculum=none")
        self.names, self.numbers = list(tasks), list(tasks.values())
        self.rng = np.random.default_rng([seed, 0x5BC])
        self.counts, self.scores = [0] * self.size, [math.nan] * self.size
        self.begin()

    def probabilities(self) -> Vector:
        """[K], sums to 1, each at least alpha/K."""
        alpha = getattr(self.settings, "alpha", 0.0)
        chances: Vector = (1 - alpha) * self.preference() + alpha / self.size
        chances /= chances.sum()
        return chances

    def drawn(self, chances: Vector) -> int:
        """One index, by chance."""
        return min(int(np.searchsorted(chances.cumsum(), self.rng.random(), side="right")), len(chances) - 1)

    def propose(self, count: int) -> Sequence[str]:
        changing = ("standing", "proposed", *self.proposing)
        self._before = {name: copy.copy(getattr(self, name)) for name in changing}
        self._before |= {"rng": self.rng.bit_generator.state}
        picked = self.pick(count)
        self.proposed, self.asked = self.proposed + count, count
        return [self.names[task] for task in picked]

    def pick(self, count: int) -> Sequence[int]:
        if self.settings.draw == "episode":
            chances = self.probabilities()
            return [self.drawn(chances) for _ in range(count)]
        if self.stood == 0:
            self.standing = self.choose()
        return [self.standing] * count

    def choose(self) -> int:
        """The one task of the next `every` iterations."""
        return self.drawn(self.probabilities())

    def feedback(self, trajectories: Sequence[Trajectory], target: Sequence[Trajectory], agent: Learner) -> Metrics:
        chances, self._before = self.probabilities(), {}
        self.iterations += 1
        self.stood += 1
        self.env_steps += sum(len(one.steps) for one in trajectories)
        self.agent_steps += sum(one.agent_steps for one in trajectories)
        self._take(trajectories)
        self.targets += [score for score in self._scored(target) if score is not None]
        if self.stood >= self.settings.every:
            self.hear(Heard([Played(*one) for one in self.own], _mean(self.targets), agent))
            self.stood, self.proposed, self.own, self.targets = 0, 0, [], []
        return self._metrics(chances)

    def _take(self, trajectories: Sequence[Trajectory]) -> None:
        first, group = self.proposed - self.asked, max(1, len(trajectories) // max(1, self.asked))
        raw: dict[int, list[float]] = {}
        for number, (one, score) in enumerate(zip(trajectories, self._scored(trajectories), strict=True)):
            task = self._task(one.task)
            self.counts[task] += 1
            if score is not None:
                self.own.append([first + number // group, task, score])
                raw.setdefault(task, []).append(score * (self.settings.high - self.settings.low) + self.settings.low)
        for task, found in raw.items():
            self.scores[task] = sum(found) / len(found)

    def _task(self, name: str) -> int:
        try:
            return self.names.index(name)
        except ValueError:
            raise UserError(
                f"the environment was asked for one of {', '.join(self.names)} and began {name!r}; its reset must obey "
                "options['task'] and say it in info['task']"
            ) from None

    def _scored(self, trajectories: Sequence[Trajectory]) -> list[float | None]:
        """Scores in [0, 1]; None for an episode that does not count, or whose score is no finite number.

        Raises:
            UserError: if the score is a measure that no episode has.
        """
        name, low, high = self.settings.score, self.settings.low, self.settings.high
        if trajectories and name not in ("success", "return") and all(name not in one.measures for one in trajectories):
            known = ", ".join(sorted({measure for one in trajectories for measure in one.measures})) or "nothing"
            raise UserError(f"curriculum.score is {name!r}, but of its episodes the environment measures {known}")
        found: list[float | None] = []
        for one in trajectories:
            value = _value(one, name) if one.stop.counts else math.nan
            found.append(min(max((value - low) / (high - low), 0.0), 1.0) if math.isfinite(value) else None)
        odd = sum(score is None and one.stop.counts for score, one in zip(found, trajectories, strict=True))
        if odd:
            log.warning("the curriculum leaves %d of %d episodes out: no finite %s", odd, len(found), name)
        self.skipped += sum(score is None for score in found)
        return found

    def _metrics(self, chances: Vector) -> dict[str, Any]:
        """
        Args:
            chances: by which the tasks of this iteration were drawn.
        """
        found: dict[str, Any] = {"curriculum/skipped": float(self.skipped)}
        for task, name in enumerate(self.names):
            found[f"curriculum/prob/{name}"] = float(chances[task])
            found[f"curriculum/played/{name}"] = float(self.counts[task])
            if math.isfinite(self.scores[task]):
                found[f"curriculum/score/{name}"] = self.scores[task]
        if self.stood == 0:
            rows = zip(self.names, self.counts, chances.tolist(), map(_or_none, self.scores), strict=True)
            found["curriculum/tasks"] = Table(("task", "episodes", "probability", "score"), tuple(rows))
        return found | dict(self.report())

    # -- what must not be forgotten --------------------------------------------------------------------------------

    def state_dict(self) -> Mapping[str, Any]:
        """As it was before the last proposal, where nothing has come of that: whoever resumes proposes again."""
        kept = {name: self._before.get(name, getattr(self, name)) for name in (*_KEPT, *self.kept)}
        chance = self._before.get("rng", self.rng.bit_generator.state)
        own = {name: _packed(value) for name, value in kept.items()}
        return {"tasks": list(self.names), "rng": json.dumps(chance), **own}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        if not state:
            return  # of a run that had no curriculum
        if list(state["tasks"]) != self.names:
            said = f"among {', '.join(state['tasks'])}, and the environment has {', '.join(self.names)}"
            raise UserError(f"the curriculum of this run chooses {said}; resume it with the tasks it began with")
        self.rng.bit_generator.state = json.loads(state["rng"])
        for name in (*_KEPT, *self.kept):
            setattr(self, name, _unpacked(state[name]))
        self._before = {}
        self.restored()

    def restored(self) -> None:
        """What is not kept is made again from what is."""


_KEPT = (
    "iterations", "env_steps", "agent_steps", "stood", "proposed", "standing", "own", "targets", "skipped", "counts",
    "scores",
)  # fmt: skip


def _value(one: Trajectory, name: str) -> float:
    if name == "success":
        return float(one.success)
    return one.episode_return if name == "return" else one.measures.get(name, math.nan)


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _packed(value: Any) -> Any:
    """As a checkpoint takes it."""
    if isinstance(value, np.ndarray):
        import torch  # a checkpoint is written: it is here already

        return torch.from_numpy(value.copy())
    return copy.deepcopy(value)


def _unpacked(value: Any) -> Any:
    return value.numpy().copy() if hasattr(value, "numpy") else copy.deepcopy(value)

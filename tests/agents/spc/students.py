"""Students whose progress a test decides, and an environment for one agent with tasks of its own."""

import math

import numpy as np

from agentlab_runner.runners.types import Decision, Step, StopReason, Trajectory
from tests.runners.toy import Guess

TASKS = {"n1": {"n": 1.0}, "n2": {"n": 2.0}, "n4": {"n": 4.0}}
RANGE = {"score": "skill", "min_score": 0.0, "max_score": 1.0}


def episode(task, score=1.0, stop=StopReason.HORIZON, steps=0):
    """One whose measure `skill` is `score`."""
    played = tuple(Step({}, Decision(0), score) for _ in range(steps))
    return Trajectory(played, {}, stop, bool(score > 0.5), 0, task, measures={"skill": score})


class Student:
    """Sums up its policy as a test says."""

    def __init__(self, contexts=None, errors=None):
        self.contexts, self.errors = iter(contexts or ()), errors

    def context(self, reduce):
        return next(self.contexts)


class Mistaken(Student):
    def td_error(self):
        return self.errors


class Silent:
    """An agent that says nothing of itself."""


def ready(kind, seed=0, tasks=TASKS, **settings):
    """A teacher that has its tasks."""
    teacher = kind(**{**RANGE, **settings})
    teacher.setup(tasks, seed)
    return teacher


def rounds(teacher, count, score, episodes=1, target=0.5, student=None):
    """The tasks proposed in `count` iterations; `score(task, number)` is what comes of each."""
    asked = []
    for number in range(count):
        names = teacher.propose(episodes)
        asked.append(list(names))
        seen = [episode("target", target) for _ in range(teacher.target_episodes)]
        teacher.feedback([episode(name, score(name, number)) for name in names], seen, student or wandering(number))
    return asked


def wandering(number):
    """A student whose policy is one of three, in turn."""
    angle = 2 * math.pi * (number % 3) / 3
    return Student([np.array([10 * math.cos(angle), 10 * math.sin(angle), 0.01 * math.sin(number)])])


class Ladder(Guess):
    """Three guessing games by name; the answer is the task's number."""

    tasks = {"one": {"n": 1.0}, "two": {"n": 2.0}, "four": {"n": 4.0}}  # noqa: RUF012

    def reset(self, *, seed=None, options=None):
        seen, info = super().reset(seed=seed, options=options)
        task = (options or {}).get("task", "four")
        if task not in self.tasks:
            raise ValueError(f"{task!r} is none of {', '.join(self.tasks)}")
        self.answer = int(self.tasks[task]["n"])
        return seen, {**info, "task": task}


class Hopeless(Ladder):
    """Is never guessed, so that every episode has three steps."""

    tasks = {"one": {"n": 7.0}, "two": {"n": 8.0}, "four": {"n": 9.0}}  # noqa: RUF012


class Lying(Ladder):
    """Plays what it likes."""

    def reset(self, *, seed=None, options=None):
        seen, info = super().reset(seed=seed, options=options)
        return seen, {**info, "task": "five"}

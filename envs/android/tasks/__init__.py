"""Tasks for the simulated phone, as in AndroidWorld: parametrised, set up in the state, judged by a predicate on it."""

from collections.abc import Sequence
from functools import cache
from itertools import chain, zip_longest
from random import Random
from typing import Protocol, TypeVar

from agentlab_runner.envs.android.device import TaskSpec
from agentlab_runner.envs.android.sim.state import PhoneState, open_app
from agentlab_runner.envs.android.tasks import people, system, tools, webshop
from agentlab_runner.envs.android.tasks.template import Template, rank, split_of

_GENERAL = system.TEMPLATES + people.TEMPLATES + tools.TEMPLATES
TASK_SETS: dict[str, tuple[Template, ...]] = {
    "general": tuple(sorted(_GENERAL, key=lambda template: template.level)),
    "webshop": webshop.TEMPLATES,
    "all": tuple(sorted(_GENERAL + webshop.TEMPLATES, key=lambda template: template.level)),
}
TEMPLATES = {template.name: template for template in TASK_SETS["all"]}


T = TypeVar("T")


class Chance(Protocol):
    """`random.Random` and `numpy.random.Generator` alike."""

    def random(self) -> float: ...


def templates(task_set: str, names: tuple[str, ...] = ()) -> tuple[Template, ...]:
    """The templates of a set; those named, if any are.

    Raises:
        ValueError: if there is no such set, or none of that name in it.
    """
    if task_set not in TASK_SETS:
        raise ValueError(f"there is no task set {task_set!r}; choose one of {', '.join(TASK_SETS)}")
    known = {template.name: template for template in TASK_SETS[task_set]}
    for name in names:
        if name not in known:
            raise ValueError(f"task set {task_set} has no template {name!r}; choose from {', '.join(known)}")
    return tuple(template for template in known.values() if not names or template.name in names)


@cache
def tasks(task_set: str, split: str, names: tuple[str, ...] = ()) -> Sequence[TaskSpec]:
    """Every task of a set, once: templates take turns, so that a prefix of the list is a fair sample of it.

    Raises:
        ValueError: if there is no such set, split or template.
    """
    _check(split)
    columns = [
        [template.spec(params, rank(params)) for params in split_of(template)[split]]
        for template in _played(task_set, split, names)
    ]
    return tuple(task for task in chain.from_iterable(zip_longest(*columns)) if task is not None)


def sample(rng: Chance, task_set: str, split: str, names: tuple[str, ...] = (), uniform: bool = False) -> TaskSpec:
    """A random task: first the template, then its parameters, then the wording; or first any task, if `uniform`.

    Raises:
        ValueError: if there is no such set, split or template.
    """
    _check(split)
    if uniform:
        task = _pick(rng, tasks(task_set, split, names))
        template, params = template_of(task), task.params
    else:
        template = _pick(rng, _played(task_set, split, names))
        params = _pick(rng, split_of(template)[split])
    return template.spec(params, int(rng.random() * len(template.goals)))


@cache
def _played(task_set: str, split: str, names: tuple[str, ...]) -> Sequence[Template]:
    played = tuple(template for template in templates(task_set, names) if split_of(template)[split])
    if not played:
        raise ValueError(f"{', '.join(names)} can be asked for in one way only and have no {split} tasks; name others")
    return played


def _pick(rng: Chance, options: Sequence[T]) -> T:
    return options[int(rng.random() * len(options))]


def _check(split: str) -> None:
    if split not in ("train", "test"):
        raise ValueError(f"there is no split {split!r}; choose train or test")


def template_of(task: TaskSpec) -> Template:
    """The template a task was made from.

    Raises:
        ValueError: if the simulated phone does not know it.
    """
    if task.template not in TEMPLATES:
        raise ValueError(f"the simulated phone has no task template {task.template!r}; it knows {', '.join(TEMPLATES)}")
    return TEMPLATES[task.template]


def setup(task: TaskSpec, state: PhoneState, rng: Random) -> None:
    """Change a fresh phone so that the task can be done and is not yet; put the app in front that it starts in."""
    template_of(task).setup(state, task, rng)
    start = dict(task.params).get("start", "home")
    if start != "home":
        open_app(state, start)


def success(task: TaskSpec, state: PhoneState) -> bool:
    """Whether the task is done in this state; changes nothing."""
    return template_of(task).done(state, task)

"""Rooms and tasks from a seed, in disjoint parts for training and test.

A layout is the furniture of one room, made from its number alone: of every kind of room 0 to 23 are for training and 24
to 29 for test (ALFRED divides its 120 floor plans alike). A combination is a task type with a kind of thing and of
receptacle; about a quarter of every type's are for test. What lies where is drawn anew for every episode.
"""

import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Literal, TypeVar, get_args

from agentlab_runner.envs.alfworld import catalog
from agentlab_runner.envs.alfworld.catalog import HOLDS, LAMP, OPENABLE, ROOMS, Kind
from agentlab_runner.envs.alfworld.world import TREATMENT, Goal, Receptacle, State, TaskType, Thing, World, names

T = TypeVar("T")
Split = Literal["train", "test_seen", "test"]
"""`test`: new layouts and new combinations; `test_seen`: new combinations in the layouts of training."""
Sampling = Literal["random", "sequential"]
Layout = tuple[str, int]
"""A kind of room and a number."""

LAYOUTS, TRAIN_LAYOUTS = 30, 24
MIDDLE = "loc_bar_00"
_SENTENCES = {
    TaskType.PICK: ("put a {0} in {1}", "bring a {0} to the {1}"),
    TaskType.LOOK: ("look at a {0} with the {1} on", "hold a {0} in the light of the {1}"),
    TaskType.CLEAN: ("put a clean {0} in {1}", "wash a {0}, then bring it to the {1}"),
    TaskType.HEAT: ("put a hot {0} in {1}", "warm up a {0}, then bring it to the {1}"),
    TaskType.COOL: ("put a cool {0} in {1}", "chill a {0}, then bring it to the {1}"),
    TaskType.PICK_TWO: ("put two {0} in {1}", "bring two {0} to one {1}"),
}
_ABLE = {TaskType.CLEAN: catalog.CLEANABLE, TaskType.HEAT: catalog.HEATABLE, TaskType.COOL: catalog.COOLABLE}
_CAN = {
    "cleanable": catalog.CLEANABLE,
    "heatable": catalog.HEATABLE,
    "coolable": catalog.COOLABLE,
    "sliceable": catalog.SLICEABLE,
    "toggleable": catalog.TOGGLEABLE,
    "hollow": catalog.HOLLOW,
}


@dataclass(frozen=True, slots=True, order=True)
class Combination:
    """A task without its scene."""

    task: TaskType
    thing: Kind
    target: Kind

    def needs(self) -> list[set[Kind]]:
        """Of each group of receptacles one must be there, so that it can be done and is not done from the start."""
        source = {kind for kind, things in HOLDS.items() if self.thing in things and kind != self.target}
        if self.task is TaskType.LOOK:
            return [source, {kind for kind, things in HOLDS.items() if LAMP in things}]
        return [{self.target}, *({TREATMENT[self.task]} for _ in _ABLE.keys() & {self.task}), source]


@cache
def combinations() -> dict[Combination, tuple[str, ...]]:
    """Every task that makes sense, with the kinds of rooms it can be asked in."""
    rooms: dict[Combination, list[str]] = {}
    for room, contents in ROOMS.items():
        for thing in contents.things:
            if any(LAMP in HOLDS[kind] for kind in contents.furniture) and room != "bathroom":
                rooms.setdefault(Combination(TaskType.LOOK, thing, LAMP), []).append(room)
            for target in contents.furniture:
                if thing not in HOLDS[target]:
                    continue
                tasks = [TaskType.PICK, TaskType.PICK_TWO]
                tasks += [
                    task
                    for task, able in _ABLE.items()
                    if thing in able and TREATMENT[task] in contents.furniture and TREATMENT[task] != target
                ]
                for task in tasks:
                    rooms.setdefault(Combination(task, thing, target), []).append(room)
    return {combination: tuple(rooms[combination]) for combination in sorted(rooms)}


@cache
def held_out() -> frozenset[Combination]:
    """The combinations of test; the last ones of training with some thing or some target stay there."""
    left = sorted(combinations(), key=lambda combination: zlib.crc32(repr(combination).encode()))
    quota = {task: count // 4 for task, count in Counter(combination.task for combination in left).items()}
    words = Counter(word for combination in left for word in (combination.thing, combination.target))
    chosen = set()
    for combination in left:
        if quota[combination.task] and min(words[combination.thing], words[combination.target]) > 1:
            chosen.add(combination)
            quota[combination.task] -= 1
            words.subtract((combination.thing, combination.target))
    return frozenset(chosen)


@cache
def furniture(layout: Layout) -> tuple[Kind, ...]:
    """The receptacles of a layout by kind, one entry each."""
    rng = Random(f"layout {layout}")
    counts = {kind: rng.randint(*bounds) for kind, bounds in ROOMS[layout[0]].furniture.items()}
    return tuple(kind for kind, count in counts.items() for _ in range(count))


def layouts(split: Split) -> list[Layout]:
    """The rooms of a split."""
    numbers = range(TRAIN_LAYOUTS, LAYOUTS) if split == "test" else range(TRAIN_LAYOUTS)
    return [(room, number) for room in ROOMS for number in numbers]


@cache
def playable(split: Split) -> tuple[tuple[Combination, tuple[Layout, ...]], ...]:
    """The combinations of a split in an order of no meaning, each with the layouts it can be done in."""
    furnished = [(layout, frozenset(furniture(layout))) for layout in layouts(split)]
    found = []
    for combination, rooms in combinations().items():
        if (combination in held_out()) != (split != "train"):
            continue
        needs = combination.needs()
        fitting = [
            layout
            for layout, kinds in furnished
            if layout[0] in rooms and not any(kinds.isdisjoint(group) for group in needs)
        ]
        if fitting:
            found.append((combination, tuple(fitting)))
    return tuple(sorted(found, key=lambda pair: zlib.crc32(f"{pair[0]}".encode())))


class Scenes:
    """Makes the worlds of one split.

    Args:
        split: `train`, `test_seen` or `test`.
        task_types: which of the six; all if empty.
        rooms: kinds of rooms; all if empty.
        things: kinds of things tasks are about; all if empty.
        receptacles: at most this many in a room; None keeps the whole layout.
        objects: how many things lie about, those of the task and its lamp included.
        sampling: `random` draws the task type first; `sequential` goes through all tasks, types taking turns.

    Raises:
        ValueError: an unknown choice, or nothing left to play.
    """

    def __init__(
        self,
        split: Split = "train",
        task_types: Sequence[str] = (),
        rooms: Sequence[str] = (),
        things: Sequence[str] = (),
        receptacles: int | None = None,
        objects: int = 12,
        sampling: Sampling = "random",
    ) -> None:
        known = {combination.thing for combination in combinations()}
        for name, given, choices in (
            ("split", [split], get_args(Split)),
            ("sampling", [sampling], get_args(Sampling)),
            ("task_types", task_types, [task.value for task in TaskType]),
            ("rooms", rooms, list(ROOMS)),
            ("things", things, sorted(known)),
        ):
            for choice in given:
                if choice not in choices:
                    raise ValueError(f"{name}: unknown {choice!r}; choose from {', '.join(choices)}")
        if receptacles is not None and receptacles < 3:
            raise ValueError(f"receptacles is {receptacles}; a task may need 3: a source, an appliance and a target")
        if objects < 3:
            raise ValueError(f"objects is {objects}; a task may need 3: two things and a lamp")
        self.receptacles, self.objects, self.sampling = receptacles, objects, sampling
        self._by_task: dict[TaskType, list[tuple[Combination, list[Layout]]]] = {}
        for combination, everywhere in playable(split):
            asked = combination.task in (task_types or TaskType) and combination.thing in (things or known)
            fitting = [layout for layout in everywhere if layout[0] in (rooms or ROOMS)]
            if asked and fitting:
                self._by_task.setdefault(combination.task, []).append((combination, fitting))
        if not self._by_task:
            raise ValueError(
                f"no task of the split {split} is left by task_types={list(task_types)}, rooms={list(rooms)} and "
                f"things={list(things)}; allow more of them"
            )

    @property
    def combinations(self) -> list[Combination]:
        """What can be asked for."""
        return [combination for group in self._by_task.values() for combination, _ in group]

    def make(self, seed: int, episode: int | None = None, task: str | None = None) -> World:
        """The world of an episode: everything random comes from `seed`, the task under `sequential` from `episode`.

        Args:
            task: its type, if not any.

        Raises:
            ValueError: there is none of this type.
        """
        rng = Random(f"scene {seed}")
        groups = of_type(self._by_task, task)
        if self.sampling == "sequential" and episode is not None:
            turn, kind = divmod(episode, len(groups))
            combination, fitting = groups[kind][turn % len(groups[kind])]
        else:
            combination, fitting = rng.choice(rng.choice(groups))
        return self._furnish(combination, rng.choice(fitting), rng)

    def _furnish(self, combination: Combination, layout: Layout, rng: Random) -> World:
        receptacles = _receptacles(self._choose(combination, furniture(layout), rng))
        kinds = [combination.thing] * (2 if combination.task is TaskType.PICK_TWO else 1)
        kinds += [LAMP] * (combination.task is TaskType.LOOK)
        others = [kind for kind in ROOMS[layout[0]].things if kind != combination.thing]
        kinds += rng.choices(others, k=self.objects - len(kinds))
        placed = [(kind, where) for kind in kinds if (where := _spot(kind, combination, receptacles, rng)) is not None]
        ids = _ids([kind for kind, _ in placed])
        called = names(ids)
        contents: dict[str, list[str]] = {receptacle.id: [] for receptacle in receptacles}
        spots = {}
        for id_, (_, where) in sorted(zip(ids, placed, strict=True)):
            contents[where.id].append(id_)
            spots[id_] = where.place
        things = tuple(
            Thing(id_, called[id_], kind, _abilities(kind))
            for id_, kind in sorted(zip(ids, (kind for kind, _ in placed), strict=True))
        )
        present = {receptacle.kind for receptacle in receptacles}
        fits = frozenset((kind, thing.kind) for kind in present for thing in things if thing.kind in HOLDS[kind])
        sentence = rng.choice(_SENTENCES[combination.task]).format(combination.thing, combination.target)
        goal = Goal(combination.task, combination.thing, combination.target, sentence)
        return World(receptacles, things, fits, State(MIDDLE, contents, spots), goal)

    def _choose(self, combination: Combination, kinds: Sequence[Kind], rng: Random) -> list[Kind]:
        """The furniture of a room, cut down to `receptacles` of which one of each needed group stays."""
        left = list(kinds)
        if self.receptacles is None or len(left) <= self.receptacles:
            return left
        rng.shuffle(left)
        chosen: list[Kind] = []
        for group in combination.needs():
            if group.isdisjoint(chosen):
                chosen.append(left.pop(next(i for i, kind in enumerate(left) if kind in group)))
        return chosen + left[: self.receptacles - len(chosen)]


def of_type(by_task: Mapping[TaskType, T], task: str | None) -> list[T]:
    """What there is of a task type, or of each.

    Raises:
        ValueError: if nothing is of this type.
    """
    if task is None:
        return [by_task[known] for known in TaskType if known in by_task]
    if task not in list(TaskType) or TaskType(task) not in by_task:
        known = ", ".join(one.value for one in TaskType if one in by_task)
        raise ValueError(f"there is no task {task!r} here; ask for one of {known}")
    return [by_task[TaskType(task)]]


def _receptacles(kinds: Sequence[Kind]) -> tuple[Receptacle, ...]:
    ids = _ids(kinds)
    called = names(ids)
    pairs = sorted(zip(ids, kinds, strict=True))
    return tuple(
        Receptacle(id_, called[id_], kind, f"loc_bar_{place:02d}", kind in OPENABLE)
        for place, (id_, kind) in enumerate(pairs, start=1)
    )


def _ids(kinds: Sequence[Kind]) -> list[str]:
    """An id for each, so that `names` gives it its kind: the engine adds `basin` itself."""
    seen: Counter[Kind] = Counter()
    ids = []
    for kind in kinds:
        seen[kind] += 1
        stem, tail = (kind.removesuffix("basin"), f"_bar_{kind}") if kind.endswith("basin") else (kind, "")
        ids.append(f"{stem}_bar_{seen[kind]:02d}{tail}")
    return ids


def _spot(kind: Kind, combination: Combination, receptacles: Sequence[Receptacle], rng: Random) -> Receptacle | None:
    """Where a thing lies at first; a task's own thing never where it is to go."""
    possible = [
        receptacle
        for receptacle in receptacles
        if kind in HOLDS[receptacle.kind] and not (kind == combination.thing and receptacle.kind == combination.target)
    ]
    return rng.choice(possible) if possible else None


@cache
def _abilities(kind: Kind) -> frozenset[str]:
    able = {name for name, kinds in _CAN.items() if kind in kinds}
    return frozenset(able if kind in catalog.TOGGLEABLE else able | {"pickupable"})

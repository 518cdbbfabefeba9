"""The nouns of a household game: its world, which never changes, the state, which does, and the goal.

Both engines speak of these: the twin plays on them, the PDDL engine is compared with them.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from agentlab_runner.envs.alfworld.catalog import Kind


class TaskType(StrEnum):
    """The six tasks of ALFWorld, by the names of its data."""

    PICK = "pick_and_place_simple"
    LOOK = "look_at_obj_in_light"
    CLEAN = "pick_clean_then_place_in_recep"
    HEAT = "pick_heat_then_place_in_recep"
    COOL = "pick_cool_then_place_in_recep"
    PICK_TWO = "pick_two_obj_and_place"


TREATMENT = {TaskType.CLEAN: "sinkbasin", TaskType.HEAT: "microwave", TaskType.COOL: "fridge"}
"""Where a task's object is treated before it is put down."""


@dataclass(frozen=True, slots=True)
class Goal:
    """What is asked for."""

    task: TaskType
    thing: Kind
    target: Kind
    """The receptacle it goes to; the lamp in LOOK."""
    text: str
    """In words, for the prompt."""


@dataclass(frozen=True, slots=True)
class Receptacle:
    """Something things lie in or on."""

    id: str
    """As the PDDL problem calls it."""
    name: str
    """As commands call it: `cabinet 2`."""
    kind: Kind
    place: str
    openable: bool


@dataclass(frozen=True, slots=True)
class Thing:
    """Something that lies in or on a receptacle."""

    id: str
    name: str
    kind: Kind
    can: frozenset[str]
    """Of `pickupable cleanable heatable coolable toggleable sliceable hollow`."""
    holds: tuple[str, ...] = ()
    """Names of what is inside from the start, if it is hollow."""


@dataclass(slots=True)
class State:
    """What changes. Sets and lists hold the ids of things and receptacles."""

    place: str
    """Where the agent stands."""
    contents: dict[str, list[str]]
    """Receptacle -> what is in or on it, sorted; every receptacle has an entry."""
    spots: dict[str, str]
    """Thing -> the place it is at, unless it is held."""
    held: str | None = None
    opened: set[str] = field(default_factory=set)
    clean: set[str] = field(default_factory=set)
    hot: set[str] = field(default_factory=set)
    cool: set[str] = field(default_factory=set)
    toggled: set[str] = field(default_factory=set)
    sliced: set[str] = field(default_factory=set)
    left: set[tuple[str, str]] = field(default_factory=set)
    """(thing, receptacle) pairs that were once together and no longer are: `look` speaks of them."""

    def copy(self) -> "State":
        return State(
            self.place,
            {receptacle: list(things) for receptacle, things in self.contents.items()},
            dict(self.spots),
            self.held,
            set(self.opened),
            set(self.clean),
            set(self.hot),
            set(self.cool),
            set(self.toggled),
            set(self.sliced),
            set(self.left),
        )


@dataclass(frozen=True, slots=True)
class World:
    """A scene and a goal; receptacles and things are sorted by id."""

    receptacles: tuple[Receptacle, ...]
    things: tuple[Thing, ...]
    fits: frozenset[tuple[Kind, Kind]]
    """(receptacle, thing) pairs of kinds that go together."""
    start: State
    goal: Goal
    problem: str = ""
    """The PDDL problem it was read from, if it was."""

    def at(self, place: str) -> list[Receptacle]:
        """The receptacles one can reach from a place."""
        return [receptacle for receptacle in self.receptacles if receptacle.place == place]


def names(ids: Iterable[str]) -> dict[str, str]:
    """Id -> the name in commands: `mug_bar_3` of three mugs is `mug 1`.

    The engine's rule: the text before `_bar_`, with `basin` added where the id says basin, is counted, and numbers are
    given downwards in the order of the ids.
    """
    ordered = sorted(ids)
    stems = {id_: id_.split("_bar_", 1)[0] + ("basin" if "basin" in id_ else "") for id_ in ordered}
    left = Counter(stems.values())
    named = {}
    for id_, stem in stems.items():
        named[id_] = f"{stem} {left[stem]}"
        left[stem] -= 1
    return named


def conditions(world: World, state: State) -> tuple[int, int]:
    """How many of the goal's conditions hold, and how many there are (those of ALFRED, arXiv 1912.01734).

    PICK: in place. PICK_TWO: one for each of two in the same place. LOOK: held, and the light on where the agent
    stands. CLEAN, HEAT and COOL: one in place, one treated, and one that is both.
    """
    goal = world.goal
    kind = {thing.id for thing in world.things if thing.kind == goal.thing}
    if goal.task is TaskType.LOOK:
        lit = any(
            thing.kind == goal.target and thing.id in state.toggled and "toggleable" in thing.can
            for receptacle in world.at(state.place)
            for thing in world.things
            if thing.id in state.contents[receptacle.id]
        )
        return (state.held in kind) + lit, 2
    targets = [receptacle.id for receptacle in world.receptacles if receptacle.kind == goal.target]
    placed = [kind.intersection(state.contents[target]) for target in targets]
    if goal.task is TaskType.PICK_TWO:
        return min(max(map(len, placed), default=0), 2), 2
    if goal.task is TaskType.PICK:
        return int(any(placed)), 1
    treated, able = {
        TaskType.CLEAN: (state.clean, "cleanable"),
        TaskType.HEAT: (state.hot, "heatable"),
        TaskType.COOL: (state.cool, "coolable"),
    }[goal.task]
    ready = {thing.id for thing in world.things if thing.id in kind & treated and able in thing.can}
    return any(placed) + bool(ready) + any(ready & there for there in placed), 3


"""The household in pure Python: text, admissible commands and outcome as the PDDL engine gives them, without its cost.

The wording and the quirks are those of ALFWorld's grammar (`alfred.twl2`, MIT), kept so that a policy trained here can
be played there; the quirks:

- `look` in the middle of the room, where a game begins, sees nothing (only the introduction lists the furniture);
- only what is held can be examined;
- food can be sliced through the door of a closed fridge, and lamps switched in a closed drawer;
- a lamp is turned on every time it is used;
- a thing that was taken off a receptacle and put down elsewhere at the same place is `next to` the former.
"""

from bisect import insort
from collections.abc import Callable, Sequence
from functools import partial
from typing import Self

from agentlab_runner.envs.alfworld.catalog import CUTTING
from agentlab_runner.envs.alfworld.engine import NOTHING, Turn
from agentlab_runner.envs.alfworld.world import Receptacle, State, Thing, World, conditions

_HELP = (
    ("look", "look around your current location"),
    ("inventory", "check your current inventory"),
    ("go to (receptacle)", "move to a receptacle"),
    ("open (receptacle)", "open a receptacle"),
    ("close (receptacle)", "close a receptacle"),
    ("take (object) from (receptacle)", "take an object from a receptacle"),
    ("move (object) to (receptacle)", "place an object in or on a receptacle"),
    ("examine (something)", "examine a receptacle or an object"),
    ("use (object)", "use an object"),
    ("heat (object) with (receptacle)", "heat an object using a receptacle"),
    ("clean (object) with (receptacle)", "clean an object using a receptacle"),
    ("cool (object) with (receptacle)", "cool an object using a receptacle"),
    ("slice (object) with (object)", "slice an object using a sharp object"),
)
_HELP_COLUMN = {"move (object) to (receptacle)": 33}
"""Every explanation begins at column 36 of the engine's page but this one."""
HELP = "Available commands:\n" + "".join(
    f"  {f'{command}:':{_HELP_COLUMN.get(command, 35) - 1}}{meaning}\n" for command, meaning in _HELP
)

Do = Callable[[], str]


class Twin:
    """Plays a world by its rules; satisfies `envs.alfworld.engine.Engine`."""

    def __init__(self) -> None:
        self._do: dict[str, Do] = {}

    def start(self, world: World) -> Turn:
        self.resume(world, world.start)
        around = _listed([receptacle.name for receptacle in world.receptacles])
        text = (
            "-= Welcome to TextWorld, ALFRED! =-\n\nYou are in the middle of a room. "
            f"Looking quickly around you, you see {around}.\n\nYour task is to: {world.goal.text}."
        )
        return self._turn(text)

    def resume(self, world: World, state: State) -> Self:
        """Stand in a world in any of its states, of which a copy is taken."""
        self.world = world
        self.state: State = state.copy()
        self._things = {thing.id: thing for thing in world.things}
        self._here: list[Receptacle] = []
        self._elsewhere: list[Receptacle] = []
        self._arrive(self.state.place)
        self._do = self._possible()
        return self

    def step(self, command: str) -> Turn:
        do = self._do.get(command.strip())
        return self._turn(NOTHING if do is None else do())

    def plan(self) -> Sequence[str]:
        raise ValueError("the twin has no planner; use engine=pddl, or the hand-written expert")

    def close(self) -> None:
        """Nothing is held."""

    def _turn(self, text: str) -> Turn:
        self._do = self._possible()
        met, asked = conditions(self.world, self.state)
        return Turn(text, tuple(sorted(self._do)), met == asked)

    # -- what can be done ----------------------------------------------------------------------------------------------

    def _possible(self) -> dict[str, Do]:
        state, held = self.state, self._things.get(self.state.held or "")
        do: dict[str, Do] = {"look": self._look, "inventory": self._inventory, "help": lambda: HELP}
        for there in self._elsewhere:
            do[f"go to {there.name}"] = partial(self._go, there)
        for here in self._here:
            do[f"examine {here.name}"] = partial(self._examine_receptacle, here)
            is_open = not here.openable or here.id in state.opened
            if here.openable:
                verb, method = ("close", self._close) if is_open else ("open", self._open)
                do[f"{verb} {here.name}"] = partial(method, here)
            if held is not None:
                self._use_held(do, held, here, is_open)
            for thing in map(self._things.__getitem__, state.contents[here.id]):
                if held is None and is_open and "pickupable" in thing.can:
                    do[f"take {thing.name} from {here.name}"] = partial(self._take, thing, here)
                if "toggleable" in thing.can:
                    do[f"use {thing.name}"] = partial(self._toggle, thing)
        if held is not None:
            do[f"examine {held.name}"] = partial(self._examine_thing, held)
            if held.kind in CUTTING:
                for food in self._sliceable():
                    do[f"slice {food.name} with {held.name}"] = partial(self._slice, food, held)
        return do

    def _use_held(self, do: dict[str, Do], held: Thing, here: Receptacle, is_open: bool) -> None:
        state = self.state
        if is_open and (here.kind, held.kind) in self.world.fits:
            do[f"move {held.name} to {here.name}"] = partial(self._put, held, here)
        match here.kind:
            case "sinkbasin" if "cleanable" in held.can:
                do[f"clean {held.name} with {here.name}"] = partial(self._treat, "clean", held, here, state.clean)
            case "microwave" if "heatable" in held.can:
                do[f"heat {held.name} with {here.name}"] = partial(self._treat, "heat", held, here, state.hot)
            case "fridge" if "coolable" in held.can:
                do[f"cool {held.name} with {here.name}"] = partial(self._treat, "cool", held, here, state.cool)

    def _sliceable(self) -> list[Thing]:
        place, spots = self.state.place, self.state.spots
        return [thing for thing in self.world.things if "sliceable" in thing.can and spots.get(thing.id) == place]

    # -- doing it ------------------------------------------------------------------------------------------------------

    def _arrive(self, place: str) -> None:
        self.state.place = place
        self._here, self._elsewhere = [], []
        for receptacle in self.world.receptacles:
            (self._here if receptacle.place == place else self._elsewhere).append(receptacle)

    def _go(self, there: Receptacle) -> str:
        self._arrive(there.place)
        return f"You arrive at {there.name}. {self._examine_receptacle(there)}"

    def _open(self, here: Receptacle) -> str:
        self.state.opened.add(here.id)
        return f"You open the {here.name}. {self._examine_receptacle(here)}"

    def _close(self, here: Receptacle) -> str:
        self.state.opened.discard(here.id)
        return f"You close the {here.name}."

    def _take(self, thing: Thing, here: Receptacle) -> str:
        state = self.state
        state.contents[here.id].remove(thing.id)
        state.left.add((thing.id, here.id))
        state.spots.pop(thing.id, None)
        state.held = thing.id
        return f"You pick up the {thing.name} from the {here.name}."

    def _put(self, held: Thing, here: Receptacle) -> str:
        state = self.state
        insort(state.contents[here.id], held.id)
        state.left.discard((held.id, here.id))
        state.spots[held.id] = here.place
        state.held = None
        return f"You move the {held.name} to the {here.name}."

    def _treat(self, verb: str, held: Thing, here: Receptacle, became: set[str]) -> str:
        for temperature in (self.state.hot, self.state.cool):
            if verb != "clean":
                temperature.discard(held.id)
        became.add(held.id)
        return f"You {verb} the {held.name} using the {here.name}."

    def _toggle(self, thing: Thing) -> str:
        self.state.toggled.add(thing.id)
        return f"You turn on the {thing.name}."

    def _slice(self, food: Thing, knife: Thing) -> str:
        self.state.sliced.add(food.id)
        return f"You sliced the {food.name} with the {knife.name}."

    # -- saying it -----------------------------------------------------------------------------------------------------

    def _look(self) -> str:
        if not self._here:
            return "You are in the middle of a room. Looking quickly around you, you see nothing."
        facing = _joined([receptacle.name for receptacle in self._here])
        beside = [
            thing.name
            for thing in self.world.things
            if self.state.spots.get(thing.id) == self.state.place
            for receptacle in self._here
            if (thing.id, receptacle.id) in self.state.left
        ]
        return f"You are facing the {facing}. Next to it, you see {_listed(beside)}."

    def _inventory(self) -> str:
        if self.state.held is None:
            return "You are not carrying anything."
        return f"You are carrying: a {self._things[self.state.held].name}."

    def _examine_receptacle(self, here: Receptacle) -> str:
        if here.openable and here.id not in self.state.opened:
            return f"The {here.name} is closed."
        inside = _listed([self._things[thing].name for thing in self.state.contents[here.id]])
        if here.openable:
            return f"The {here.name} is open. In it, you see {inside}."
        return f"On the {here.name}, you see {inside}."

    def _examine_thing(self, thing: Thing) -> str:
        if "hollow" in thing.can:
            return f"This is a normal {thing.name}. In it, you see {_listed(thing.holds)}."
        state, id_ = self.state, thing.id
        clean, sliced = id_ in state.clean, id_ in state.sliced
        words = ["hot"] * (id_ in state.hot) + ["cool"] * (id_ in state.cool) + ["clean"] * clean
        if words == ["cool"] and not sliced:
            words = ["cold"]
        if words:
            return f"This is a {' and '.join(words)} {'sliced ' * sliced}{thing.name}."
        if "toggleable" in thing.can and id_ in state.toggled:
            return f"This {thing.name} is on."
        if "sliceable" in thing.can and sliced:
            return f"This is a sliced {thing.name}."
        return f"There's nothing special about {thing.name}."


def _listed(names: Sequence[str]) -> str:
    """`a mug 1, a fork 1, and a cup 2`, or `nothing`."""
    return _joined([f"a {name}" for name in names]) or "nothing"


def _joined(words: Sequence[str]) -> str:
    return ", and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))

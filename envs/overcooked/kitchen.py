"""The rules of the kitchen, a primitive step at a time, on states that never change in place."""

from typing import NamedTuple

from agentlab_runner.envs.overcooked.layout import MOVES, PLATE, SIDE, Cell, Layout

CHOPS = 3
"""Strokes until a food is chopped."""


class State(NamedTuple):
    """Everything about the kitchen but the clock."""

    agent: Cell
    held: str
    """The item in the agent's hands, "" for none; what lies in a held plate is held with it."""
    places: tuple[Cell, ...]
    """True cell of each item of the layout; a held one's is the agent's, a food in the plate is where the plate is."""
    chops: tuple[int, ...]
    """Strokes each food has had."""
    plated: frozenset[str]
    """Foods in the plate."""
    memory: tuple[Cell, ...]
    """Where the agent last saw each item, or believes it to be."""


class Event(NamedTuple):
    """What a primitive step did that is paid for."""

    kind: str
    """`chopped`, `delivered` or `wrong`; "" for nothing."""
    food: str = ""


NOTHING = Event("")


class Kitchen:
    """One room and one order.

    Args:
        layout: the room.
        dish: ingredients the plate must hold, and nothing else.
        radius: how many cells around it the agent sees (Chebyshev distance); 0 for all.
    """

    def __init__(self, layout: Layout, dish: tuple[str, ...], radius: int) -> None:
        self.layout, self.dish, self.radius = layout, dish, radius
        self._index = {name: i for i, name in enumerate(layout.items)}

    def start(self) -> State:
        layout = self.layout
        return State(layout.agent, "", layout.starts, (0,) * len(layout.foods), frozenset(), layout.starts)

    def place(self, state: State, item: str) -> Cell:
        return state.places[self._index[item]]

    def remembered(self, state: State, item: str) -> Cell:
        return state.memory[self._index[item]]

    def is_chopped(self, state: State, food: str) -> bool:
        return state.chops[self._index[food]] >= CHOPS

    def sees(self, state: State, cell: Cell) -> bool:
        """Whether the cell is inside the agent's window."""
        return not self.radius or max(abs(cell[0] - state.agent[0]), abs(cell[1] - state.agent[1])) <= self.radius

    def on(self, state: State, cell: Cell) -> str:
        """The item that lies there: a food, or the plate with what is in it; "" for nothing."""
        lying = [
            name
            for name, place in zip(self.layout.items, state.places, strict=True)
            if place == cell and name != state.held and name not in state.plated
        ]
        return lying[0] if lying and cell != state.agent else ""

    def step(self, state: State, direction: str) -> tuple[State, Event]:
        """One primitive step; `direction` is one of `MOVES`, or "stay"."""
        event = NOTHING
        if direction != "stay":
            dx, dy = MOVES[direction]
            target = (state.agent[0] + dx, state.agent[1] + dy)
            if self.layout.is_floor(target):
                state = self._carry(state._replace(agent=target), target)
            elif target == self.layout.delivery:
                state, event = self._serve(state)
            elif target in self.layout.boards:
                state, event = self._use_board(state, target)
            else:
                state = self._use_counter(state, target)
        return self._look(state), event

    def _carry(self, state: State, cell: Cell) -> State:
        """What is held comes along."""
        if not state.held:
            return state
        return self._put(state, state.held, cell)

    def _put(self, state: State, item: str, cell: Cell) -> State:
        """The item, and the plate's contents with it, is now at this cell."""
        moved = {item, *(state.plated if item == PLATE else ())}
        places = [
            cell if name in moved else place
            for name, place in zip(self.layout.items, state.places, strict=True)
        ]
        return state._replace(places=tuple(places))

    def _take(self, state: State, item: str) -> State:
        return self._put(state._replace(held=item), item, state.agent)

    def _fill(self, state: State, food: str) -> State:
        """The chopped food goes into the plate, wherever that is."""
        held = "" if state.held == food else state.held
        state = state._replace(plated=state.plated | {food}, held=held)
        return self._put(state, PLATE, self.place(state, PLATE))

    def _use_counter(self, state: State, cell: Cell) -> State:
        lying, held = self.on(state, cell), state.held
        if not held:
            return self._take(state, lying) if lying else state
        if not lying:
            return self._put(state._replace(held=""), held, cell)
        if held != PLATE and lying == PLATE and self.is_chopped(state, held):
            return self._fill(state, held)
        if held == PLATE and self.is_chopped(state, lying):
            return self._fill(state, lying)
        return state

    def _use_board(self, state: State, cell: Cell) -> tuple[State, Event]:
        lying, held = self.on(state, cell), state.held
        if not lying:
            return (self._put(state._replace(held=""), held, cell) if held else state), NOTHING
        if not held:
            if lying == PLATE or self.is_chopped(state, lying):
                return self._take(state, lying), NOTHING
            return self._chop(state, lying)
        if held == PLATE and self.is_chopped(state, lying):
            return self._fill(state, lying), NOTHING
        if lying == PLATE and self.is_chopped(state, held):
            return self._take(self._fill(state, held), PLATE), NOTHING
        return state, NOTHING

    def _chop(self, state: State, food: str) -> tuple[State, Event]:
        chops = list(state.chops)
        chops[self._index[food]] += 1
        state = state._replace(chops=tuple(chops))
        return state, Event("chopped", food) if self.is_chopped(state, food) else NOTHING

    def _serve(self, state: State) -> tuple[State, Event]:
        if not state.held:
            return state, NOTHING
        if state.held == PLATE and state.plated == set(self.dish):
            served = state._replace(held="")
            return self._put(served, PLATE, self.layout.delivery), Event("delivered")
        returned = {state.held, *(state.plated if state.held == PLATE else ())}
        chops = [0 if food in returned else n for food, n in zip(self.layout.foods, state.chops, strict=True)]
        state = state._replace(held="", chops=tuple(chops), plated=state.plated - returned)
        for item in self.layout.items:
            if item in returned:
                state = self._put(state, item, self._free(state, item))
        return state, Event("wrong")

    def _free(self, state: State, item: str) -> Cell:
        """The item's first cell or, where something else lies now, the nearest counter with nothing on it."""
        home = self.layout.starts[self._index[item]]
        counters = [(x, y) for x in range(SIDE) for y in range(SIDE) if self.layout.is_counter((x, y))]
        free = [cell for cell in counters if self.on(state, cell) in ("", item)]
        return min(free, key=lambda cell: (abs(cell[0] - home[0]) + abs(cell[1] - home[1]), cell))

    def _look(self, state: State) -> State:
        """What is in the window is remembered; what is missing where it should be is believed back at its start."""
        memory = []
        for place, known, start in zip(state.places, state.memory, self.layout.starts, strict=True):
            if self.sees(state, place):
                memory.append(place)
            else:
                memory.append(start if self.sees(state, known) else known)
        return state._replace(memory=tuple(memory))

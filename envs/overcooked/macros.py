"""Macro actions: what the agent chooses, carried out as primitive steps until it ends."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass

from agentlab_runner.envs.overcooked.kitchen import CHOPS, NOTHING, Event, Kitchen, State
from agentlab_runner.envs.overcooked.layout import MOVES, PLATE, Cell

AHEAD = ("right", "left", "down", "up")
"""In the order in which a path looks at neighbours."""


def play(kitchen: Kitchen, state: State, macro: str) -> Iterator[tuple[State, Event]]:
    """The states and events of each primitive step of a macro action, which ends with the iterator.

    Whether it is over is asked before its first step and again after each one. Every macro takes one step at least: one
    that is over at once, or cannot be carried out, stays where it is for a step.
    """
    if macro == "chop":
        yield from _chop(kitchen, state)
        return
    item = macro.removeprefix("get ") if macro.startswith("get ") else ""
    while True:
        target = _target(kitchen, state, macro, item)
        direction, ends = _direction(kitchen, state, macro, item, target)
        state, event = kitchen.step(state, direction)
        yield state, event
        if ends or event.kind == "delivered" or _over(kitchen, state, macro, item):
            return


def _over(kitchen: Kitchen, state: State, macro: str, item: str) -> bool:
    """Whether nothing is left to do: there with empty hands, beside raw food on a board, or misled by memory."""
    target = _target(kitchen, state, macro, item)
    if item and kitchen.place(state, item) != target:
        return True
    if _distance(state.agent, target) != 1:
        return False
    return _raw_on_board(kitchen, state, item) if item else not state.held


def _raw_on_board(kitchen: Kitchen, state: State, item: str) -> bool:
    on_board = item != PLATE and kitchen.place(state, item) in kitchen.layout.boards
    return on_board and not kitchen.is_chopped(state, item)


def _target(kitchen: Kitchen, state: State, macro: str, item: str) -> Cell:
    if item:
        return kitchen.remembered(state, item)
    return kitchen.layout.delivery if macro == "deliver" else kitchen.layout.boards[int(macro.split()[1]) - 1]


def _direction(kitchen: Kitchen, state: State, macro: str, item: str, target: Cell) -> tuple[str, bool]:
    """The primitive step to take now, and whether the macro ends with it."""
    if item and item != PLATE and item in state.plated and kitchen.sees(state, kitchen.place(state, item)):
        return "stay", True
    distance = _distance(state.agent, target)
    if distance == 0:
        return "stay", True
    if distance > 1:
        step = first_step(kitchen, state.agent, target)
        return (step, False) if step else ("stay", True)
    towards = _towards(state.agent, target)
    if not item:
        return ("stay", True) if macro.startswith("board") and not state.held else (towards, True)
    if kitchen.place(state, item) != target:
        return "stay", True
    if item == PLATE and state.held:
        chopped = state.held != PLATE and kitchen.is_chopped(state, state.held)
        return (towards, False) if chopped else ("stay", True)  # the food goes in; the next step takes the plate
    return ("stay", True) if _raw_on_board(kitchen, state, item) else (towards, True)


def _chop(kitchen: Kitchen, state: State) -> Iterator[tuple[State, Event]]:
    for direction, (dx, dy) in MOVES.items():
        cell = (state.agent[0] + dx, state.agent[1] + dy)
        food = kitchen.on(state, cell) if cell in kitchen.layout.boards else ""
        if food and food != PLATE and not kitchen.is_chopped(state, food):
            for _ in range(CHOPS):
                state, event = kitchen.step(state, direction)
                yield state, event
                if event != NOTHING:
                    return
            return
    yield kitchen.step(state, "stay")


def _towards(cell: Cell, neighbour: Cell) -> str:
    delta = (neighbour[0] - cell[0], neighbour[1] - cell[1])
    return next(name for name, move in MOVES.items() if move == delta)


@dataclass(slots=True)
class _Node:
    cell: Cell
    cost: int
    estimate: int
    first: str

    def __lt__(self, other: "_Node") -> bool:
        """True for equals too: that decides which of several shortest paths the original walks."""
        return self.estimate <= other.estimate


def first_step(kitchen: Kitchen, start: Cell, target: Cell) -> str:
    """The first move of a shortest path over the floor to a cell beside the target (A*); "" if there is none.

    Of several shortest paths it is the original's: neighbours in the order of `AHEAD`, marked as soon as they wait.
    """
    waiting = [_Node(start, 0, _distance(start, target), "")]
    marked = {start}
    while waiting:
        node = heapq.heappop(waiting)
        for name in AHEAD:
            dx, dy = MOVES[name]
            cell = (node.cell[0] + dx, node.cell[1] + dy)
            if cell == target:
                return node.first or name
            if cell not in marked and kitchen.layout.is_floor(cell):
                marked.add(cell)
                cost = node.cost + 1
                heapq.heappush(waiting, _Node(cell, cost, cost + _distance(cell, target), node.first or name))
    return ""


def _distance(a: Cell, b: Cell) -> int:
    return abs(a[0] - b[0]) + abs(a[1] - b[1])

"""The rooms and orders of macro-action Overcooked: what stands where when an episode begins.

Facts of the environments `Overcooked-LLMA-v4` (tomato salad) and `-v3` (tomato-lettuce salad) of TWOSOME
(arXiv 2401.14151), which descend from gym-macro-overcooked. Cells are (row, column) of a 7 x 7 room.
"""

from dataclasses import dataclass

Cell = tuple[int, int]

SIDE = 7
DISHES = (
    ("tomato",),
    ("lettuce",),
    ("onion",),
    ("lettuce", "tomato"),
    ("onion", "tomato"),
    ("lettuce", "onion"),
    ("lettuce", "onion", "tomato"),
)
"""Ingredients of each order, in the order of the one-hot code that observations end with."""
MOVES: dict[str, Cell] = {"right": (0, 1), "down": (1, 0), "left": (0, -1), "up": (-1, 0)}
"""In the order in which boards to chop at are looked for."""
PLATE = "plate"


@dataclass(frozen=True, slots=True)
class Layout:
    """A room at the beginning of an episode."""

    items: tuple[str, ...]
    """What can be carried: foods, then the plate."""
    starts: tuple[Cell, ...]
    """Where each item begins and a wrongly served one returns to."""
    boards: tuple[Cell, ...]
    delivery: Cell
    agent: Cell
    walls: frozenset[Cell]
    """Counters inside the room, beside those all around it."""
    macros: tuple[str, ...]
    """`get ITEM`, `board N`, `deliver`, `chop`: the agent's actions by index."""

    @property
    def foods(self) -> tuple[str, ...]:
        return self.items[:-1]

    def is_floor(self, cell: Cell) -> bool:
        return all(0 < x < SIDE - 1 for x in cell) and cell not in self.walls

    def is_counter(self, cell: Cell) -> bool:
        """Whether things can be put down here."""
        inside = all(0 <= x < SIDE for x in cell)
        return inside and not self.is_floor(cell) and cell not in self.boards and cell != self.delivery


_DIVIDER = {
    "A": frozenset[Cell](),
    "B": frozenset((x, 3) for x in range(1, 6)),
    "C": frozenset((x, 3) for x in range(1, 5)),
}
MAPS = tuple(_DIVIDER)
"""A is open; in B a counter parts the room from wall to wall, in C it leaves a gap at the bottom."""


def tomato_salad(room: str) -> Layout:
    """One board, a tomato and a plate."""
    return Layout(
        items=("tomato", PLATE),
        starts=((0, 5), (6, 5)),
        boards=((1, 0),),
        delivery=(3, 0),
        agent=_agent(room),
        walls=_DIVIDER[room],
        macros=("get tomato", f"get {PLATE}", "board 1", "deliver", "chop"),
    )


def tomato_lettuce_salad(room: str) -> Layout:
    """Two boards, a tomato, a lettuce, a plate, and an onion nobody ordered."""
    return Layout(
        items=("tomato", "lettuce", "onion", PLATE),
        starts=((0, 5), (1, 6), (2, 6), (6, 5)),
        boards=((1, 0), (2, 0)),
        delivery=(3, 0),
        agent=_agent(room),
        walls=_DIVIDER[room],
        macros=("get tomato", "get lettuce", "get onion", f"get {PLATE}", "board 1", "board 2", "deliver", "chop"),
    )


def _agent(room: str) -> Cell:
    return (1, 4) if room == "A" else (1, 2)


ORDERS = {"-".join(dish): dish for dish in DISHES}
"""Every order by its name."""
TASKS = {
    "tomato_salad": (tomato_salad, ("tomato",)),
    "tomato_lettuce_salad": (tomato_lettuce_salad, ("lettuce", "tomato")),
}
"""Layout of each task, and the dish that is ordered unless another one is asked for."""

"""The kitchen in words: a prompt that ends in an unfinished clause, and a phrase for each macro action.

The slots and their order are TWOSOME's (arXiv 2401.14151, section on prompt design); the wording is our own.
"""

from collections.abc import Sequence

from agentlab_runner.envs.overcooked.kitchen import Kitchen, State
from agentlab_runner.envs.overcooked.layout import PLATE, Cell

ORDINALS = ("first", "second")
NUMBERS = ("no", "one", "two")


def prompt(kitchen: Kitchen, state: State) -> str:
    """Boards, what is seen in its first place, what lies on boards, the agent, the order."""
    parts = [_room(kitchen), _seen(kitchen, state), *_on_boards(kitchen, state), _agent(kitchen, state)]
    order = _list([f"chopped {food}" for food in kitchen.dish])
    goal = f"A guest wants a bowl with nothing but {order}. In order to cook it, you now have to"
    return " ".join([*filter(None, parts), goal])


def phrases(kitchen: Kitchen, state: State) -> tuple[str, ...]:
    """One imperative phrase a macro action, all different."""
    return tuple(_phrase(kitchen, state, macro) for macro in kitchen.layout.macros)


def _room(kitchen: Kitchen) -> str:
    count = len(kitchen.layout.boards)
    return f"The kitchen has {NUMBERS[count]} fixed cutting board{'s' if count > 1 else ''}."


def _seen(kitchen: Kitchen, state: State) -> str:
    layout = kitchen.layout
    visible = [
        _name(item)
        for item, start, place in zip(layout.items, layout.starts, state.places, strict=True)
        if place == start and item != state.held and kitchen.sees(state, place)
    ]
    if not visible:
        return ""
    return f"You can see {_list([_a(name) for name in visible])} on the counter{'s' if len(visible) > 1 else ''}."


def _on_boards(kitchen: Kitchen, state: State) -> list[str]:
    sentences = []
    for number, cell in enumerate(kitchen.layout.boards):
        if kitchen.sees(state, cell) and (item := kitchen.on(state, cell)):
            sentences.append(f"There is {_described(kitchen, state, item)} on {_board(kitchen, number)}.")
    return sentences


def _agent(kitchen: Kitchen, state: State) -> str:
    standing = _at_board(kitchen, state)
    where = "" if standing is None else f"standing in front of {_board(kitchen, standing)} and "
    held = _described(kitchen, state, state.held) if state.held else "nothing"
    return f"You are {where}carrying {held}."


def _described(kitchen: Kitchen, state: State, item: str) -> str:
    if item != PLATE:
        return f"{'a chopped' if kitchen.is_chopped(state, item) else _a('raw')} {item}"
    if not state.plated:
        return "an empty bowl"
    inside = [f"chopped {food}" for food in kitchen.layout.foods if food in state.plated]
    return f"a bowl of {_list(inside)}"


def _phrase(kitchen: Kitchen, state: State, macro: str) -> str:
    verb, _, what = macro.partition(" ")
    if verb == "get" and what == PLATE:
        filled = state.plated and kitchen.sees(state, kitchen.place(state, PLATE))
        return "pick up the bowl" if filled or len(kitchen.layout.foods) == 1 else "pick up the empty bowl"
    if verb == "get":
        return f"put the {what} into the bowl" if state.held == PLATE else f"pick up the {what}"
    if verb == "board":
        board = _board(kitchen, int(what) - 1)
        if state.held and (state.held == PLATE or not kitchen.is_chopped(state, state.held)):
            return f"put the {_name(state.held)} on {board}"
        return f"walk to {board}"
    if verb == "deliver":
        return "serve the dish to the guest" if state.held else "serve nothing"
    food = _choppable(kitchen, state)
    return f"chop the {food}" if food else "chop nothing"


def _choppable(kitchen: Kitchen, state: State) -> str:
    """The food that lies alone on the board in front of the agent; a chopped one too, as in the original."""
    number = _at_board(kitchen, state)
    lying = "" if number is None else kitchen.on(state, kitchen.layout.boards[number])
    return "" if lying == PLATE else lying


def _at_board(kitchen: Kitchen, state: State) -> int | None:
    """Which board the agent stands in front of: on the floor to its right."""
    cells: Sequence[Cell] = [(x, y + 1) for x, y in kitchen.layout.boards]
    return cells.index(state.agent) if state.agent in cells else None


def _board(kitchen: Kitchen, number: int) -> str:
    several = len(kitchen.layout.boards) > 1
    return f"the {ORDINALS[number]} cutting board" if several else "the cutting board"


def _name(item: str) -> str:
    return "bowl" if item == PLATE else item


def _a(name: str) -> str:
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def _list(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"

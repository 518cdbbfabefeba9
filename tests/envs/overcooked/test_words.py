"""What a prompt says is read back and compared with the kitchen, in every state that macro actions lead to."""

import re
from collections import deque
from collections.abc import Iterator

import pytest

from agentlab_runner.envs.overcooked.env import make_kitchen
from agentlab_runner.envs.overcooked.kitchen import Kitchen, State
from agentlab_runner.envs.overcooked.layout import PLATE
from agentlab_runner.envs.overcooked.macros import play
from agentlab_runner.envs.overcooked.words import phrases, prompt

PROMPT = re.compile(
    r"The kitchen has (?P<boards>one|two) fixed cutting boards?\. "
    r"(?:You can see (?P<seen>[^.]*) on the counters?\. )?"
    r"(?P<lying>(?:There is [^.]*\. )*)"
    r"You are (?:standing in front of (?P<at>the[^.]*? cutting board) and )?carrying (?P<held>[^.]*)\. "
    r"A guest wants a bowl with nothing but (?P<order>[^.]*)\. In order to cook it, you now have to"
)
LYING = re.compile(r"There is ([^.]*?) on (the[^.]*? cutting board)\. ")
TASKS = ("tomato_salad", "tomato_lettuce_salad")
Thing = tuple[str, object]
"""A food and whether it is chopped, or the plate and what is in it."""


def reachable(kitchen: Kitchen) -> Iterator[State]:
    """All states, breadth first."""
    seen, waiting = {kitchen.start()}, deque([kitchen.start()])
    while waiting:
        state = waiting.popleft()
        yield state
        for macro in kitchen.layout.macros:
            *_, (after, event) = play(kitchen, state, macro)
            if event.kind != "delivered" and after not in seen:
                seen.add(after)
                waiting.append(after)


def listed(text: str) -> list[str]:
    """`a, b and c` as a list."""
    return re.split(r", | and ", text)


def thing(text: str) -> Thing | None:
    """What a description means."""
    if text == "nothing":
        return None
    if "bowl" in text:
        inside = re.fullmatch(r"an empty bowl|a bowl of (.*)", text)[1]
        return PLATE, {food.removeprefix("chopped ") for food in listed(inside)} if inside else set()
    how, food = re.fullmatch(r"a (raw|chopped) (\w+)", text).groups()
    return food, how == "chopped"


def of(state: State, kitchen: Kitchen, item: str) -> Thing:
    return item, set(state.plated) if item == PLATE else kitchen.is_chopped(state, item)


def board_names(kitchen: Kitchen) -> list[str]:
    several = len(kitchen.layout.boards) > 1
    return ["the first cutting board", "the second cutting board"] if several else ["the cutting board"]


@pytest.mark.parametrize("task", TASKS)
def test_prompts_say_what_there_is(task):
    kitchen = make_kitchen(task, "A", 2)
    layout, names = kitchen.layout, board_names(kitchen)
    for state in reachable(kitchen):
        told = PROMPT.fullmatch(prompt(kitchen, state))
        free = {
            item: place
            for item, place in zip(layout.items, state.places, strict=True)
            if item != state.held and item not in state.plated
        }
        at_start = [item for item, start in zip(layout.items, layout.starts, strict=True) if free.get(item) == start]
        seen = [item.replace(PLATE, "bowl") for item in at_start if kitchen.sees(state, free[item])]
        assert ["one", "two"][len(layout.boards) - 1] == told["boards"]
        assert (listed(re.sub(r"\ban? ", "", told["seen"])) if told["seen"] else []) == seen
        lying = {board: thing(what) for what, board in LYING.findall(told["lying"])}
        assert lying == {
            name: of(state, kitchen, item)
            for name, cell in zip(names, layout.boards, strict=True)
            for item, place in free.items()
            if place == cell and kitchen.sees(state, cell)
        }
        before = [name for name, (x, y) in zip(names, layout.boards, strict=True) if state.agent == (x, y + 1)]
        assert told["at"] == (before[0] if before else None)
        assert thing(told["held"]) == (of(state, kitchen, state.held) if state.held else None)
        assert {food.removeprefix("chopped ") for food in listed(told["order"])} == set(kitchen.dish)


@pytest.mark.parametrize("task", TASKS)
def test_phrases_follow_the_state_and_differ(task):
    kitchen = make_kitchen(task, "A", 2)
    layout = kitchen.layout
    for state in reachable(kitchen):
        said = dict(zip(layout.macros, phrases(kitchen, state), strict=True))
        assert len(set(said.values())) == len(layout.macros)
        assert all(2 <= len(phrase.split()) <= 8 for phrase in said.values())
        holds_plate = state.held == PLATE
        raw = state.held and not holds_plate and not kitchen.is_chopped(state, state.held)
        for food in layout.foods:
            assert said[f"get {food}"] == (f"put the {food} into the bowl" if holds_plate else f"pick up the {food}")
        filled = state.plated and kitchen.sees(state, kitchen.place(state, PLATE))
        empty = len(layout.foods) > 1 and not filled
        assert said[f"get {PLATE}"] == ("pick up the empty bowl" if empty else "pick up the bowl")
        for number, name in enumerate(board_names(kitchen), start=1):
            what = "bowl" if holds_plate else state.held
            assert said[f"board {number}"] == (f"put the {what} on {name}" if holds_plate or raw else f"walk to {name}")
        assert said["deliver"] == ("serve the dish to the guest" if state.held else "serve nothing")
        lying = [
            food
            for cell in layout.boards
            if state.agent == (cell[0], cell[1] + 1)
            for food in layout.foods
            if kitchen.on(state, cell) == food
        ]
        assert said["chop"] == (f"chop the {lying[0]}" if lying else "chop nothing")

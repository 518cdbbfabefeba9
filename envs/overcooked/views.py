"""The kitchen in numbers and in pixels."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from agentlab_runner.envs.overcooked.kitchen import CHOPS, Kitchen, State
from agentlab_runner.envs.overcooked.layout import DISHES, PLATE, SIDE, Cell, Layout

CELL = 32
"""Pixels of a cell's side."""
FLOOR, COUNTER, BOARD, DELIVERY = (233, 221, 199), (150, 111, 74), (214, 174, 110), (104, 160, 112)
COLOURS = {"tomato": (208, 52, 44), "lettuce": (104, 178, 68), "onion": (186, 132, 186), PLATE: (245, 245, 245)}
AGENT = (58, 104, 180)


def vector(kitchen: Kitchen, state: State) -> NDArray[np.float32]:
    """What the agent sees, float32 [18] or [26]: whole numbers, not scaled.

    Row and column of each item (and for a food the strokes it has had), boards, delivery and agent, zeros for what is
    outside the window, then the order as one of seven.
    """
    numbers: list[int] = []
    for i, place in enumerate(state.places):
        seen = kitchen.sees(state, place)
        numbers += place if seen else (0, 0)
        if i < len(state.chops):
            numbers.append(state.chops[i] if seen else 0)
    for cell in (*kitchen.layout.boards, kitchen.layout.delivery):
        numbers += cell if kitchen.sees(state, cell) else (0, 0)
    order = [int(dish == kitchen.dish) for dish in DISHES]
    return np.array([*numbers, *state.agent, *order], dtype=np.float32)


def vector_bound(layout: Layout) -> NDArray[np.float32]:
    """The largest value of each entry of `vector`."""
    items = [bound for item in layout.items for bound in ((SIDE - 1,) * 2 + (() if item == PLATE else (CHOPS,)))]
    rest = 2 * (len(layout.boards) + 2) * (SIDE - 1,)
    return np.array([*items, *rest, *(1,) * len(DISHES)], dtype=np.float32)


def picture(kitchen: Kitchen, state: State, whole: bool = True) -> NDArray[np.uint8]:
    """The room from above, uint8 [H, W, 3], the agent's window lighter than the rest.

    What lies outside the window is drawn if the picture is to be `whole`, and left out of what the agent sees.
    """
    image = _room(kitchen.layout).copy()
    draw = ImageDraw.Draw(image)
    for item, place in zip(kitchen.layout.items, state.places, strict=True):
        if item != state.held and item not in state.plated and (whole or kitchen.sees(state, place)):
            _item(draw, kitchen, state, item, place, 1.0)
    _disc(draw, state.agent, 0.42, AGENT)
    if state.held:
        _item(draw, kitchen, state, state.held, state.agent, 0.6)
    return _dimmed(np.asarray(image), kitchen, state)


@lru_cache(maxsize=16)
def _room(layout: Layout) -> Image.Image:
    image = Image.new("RGB", (SIDE * CELL, SIDE * CELL), COUNTER)
    draw = ImageDraw.Draw(image)
    for x in range(SIDE):
        for y in range(SIDE):
            colour = FLOOR if layout.is_floor((x, y)) else COUNTER
            draw.rectangle(_box((x, y), 0.5), fill=colour, outline=(120, 90, 60))
    for cell in layout.boards:
        draw.rectangle(_box(cell, 0.4), fill=BOARD, outline=(90, 60, 30), width=2)
    draw.rectangle(_box(layout.delivery, 0.4), fill=DELIVERY, outline=(40, 90, 50), width=2)
    draw.text(_centre(layout.delivery), "OUT", fill="white", anchor="mm")
    return image


def _item(draw: ImageDraw.ImageDraw, kitchen: Kitchen, state: State, item: str, cell: Cell, size: float) -> None:
    if item == PLATE:
        _disc(draw, cell, 0.38 * size, COLOURS[PLATE])
        inside = [food for food in kitchen.layout.foods if food in state.plated]
        for number, food in enumerate(inside):
            _pieces(draw, cell, 0.2 * size, COLOURS[food], number - (len(inside) - 1) / 2)
    elif kitchen.is_chopped(state, item):
        _pieces(draw, cell, 0.3 * size, COLOURS[item], 0)
    else:
        _disc(draw, cell, 0.3 * size, COLOURS[item])
        for stroke in range(state.chops[kitchen.layout.items.index(item)]):
            x, y = _centre(cell)
            draw.line((x - 6 + 6 * stroke, y - 8, x - 6 + 6 * stroke, y + 8), fill="black", width=2)


def _pieces(draw: ImageDraw.ImageDraw, cell: Cell, size: float, colour: tuple[int, int, int], shift: float) -> None:
    """Four small squares."""
    x, y = _centre(cell)
    x += round(shift * CELL * size * 1.6)
    step = round(CELL * size / 2)
    for dx in (-step, 1):
        for dy in (-step, 1):
            draw.rectangle((x + dx, y + dy, x + dx + step - 2, y + dy + step - 2), fill=colour)


def _disc(draw: ImageDraw.ImageDraw, cell: Cell, radius: float, colour: tuple[int, int, int]) -> None:
    draw.ellipse(_box(cell, radius), fill=colour, outline=(60, 60, 60))


def _dimmed(pixels: NDArray[np.uint8], kitchen: Kitchen, state: State) -> NDArray[np.uint8]:
    seen = np.array([[kitchen.sees(state, (x, y)) for y in range(SIDE)] for x in range(SIDE)])
    light = np.where(seen, 1.0, 0.6).repeat(CELL, axis=0).repeat(CELL, axis=1)[..., None]
    return (pixels * light).astype(np.uint8)


def _centre(cell: Cell) -> tuple[int, int]:
    return round((cell[1] + 0.5) * CELL), round((cell[0] + 0.5) * CELL)


def _box(cell: Cell, radius: float) -> tuple[int, int, int, int]:
    x, y = _centre(cell)
    r = round(radius * CELL)
    return x - r, y - r, x + r - 1, y + r - 1

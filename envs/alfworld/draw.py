"""The place one stands at as a picture: furniture, what lies on it and what is held, in shapes, colours and labels.

A drawing, not a view: kinds differ in shape or colour, so that a small policy can tell them apart, and names are
written beside them for one that reads.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from agentlab_runner.envs.alfworld.catalog import Kind
from agentlab_runner.envs.alfworld.icons import receptacle_icon, thing_icon
from agentlab_runner.envs.alfworld.world import State, World

LABELLED = 160
"""Pixels a side from which names are written; below they could not be read."""
WALL, FLOOR, INK, HAND = (238, 232, 220), (205, 190, 165), (40, 40, 40), (250, 222, 190)
MARKS = {
    "hot": (225, 60, 40),
    "cool": (60, 130, 235),
    "clean": (60, 190, 120),
    "sliced": (120, 70, 30),
    "on": (255, 205, 40),
}
"""A dot in the corner of a thing for each."""


class Seen(NamedTuple):
    """A thing as it is drawn."""

    name: str
    kind: Kind
    marks: tuple[str, ...]


class Furniture(NamedTuple):
    """A receptacle as it is drawn; `inside` is None behind a closed door."""

    name: str
    kind: Kind
    inside: tuple[Seen, ...] | None
    openable: bool


def scene(world: World, state: State, size: int) -> NDArray[np.uint8]:
    """What one sees, uint8 [size, size, 3]; in the middle of the room, all of its furniture."""
    things = {thing.id: thing for thing in world.things}

    def seen(id_: str) -> Seen:
        groups = (("hot", state.hot), ("cool", state.cool), ("clean", state.clean), ("sliced", state.sliced))
        marks = [name for name, group in (*groups, ("on", state.toggled)) if id_ in group]
        return Seen(things[id_].name, things[id_].kind, tuple(marks))

    here = tuple(
        Furniture(
            receptacle.name,
            receptacle.kind,
            tuple(map(seen, state.contents[receptacle.id]))
            if not receptacle.openable or receptacle.id in state.opened
            else None,
            receptacle.openable,
        )
        for receptacle in world.at(state.place)
    )
    held = None if state.held is None else seen(state.held)
    room = () if here else tuple((receptacle.name, receptacle.kind) for receptacle in world.receptacles)
    return _paint(here, room, held, size).copy()


@lru_cache(maxsize=1024)
def _paint(
    here: tuple[Furniture, ...], room: tuple[tuple[str, Kind], ...], held: Seen | None, size: int
) -> NDArray[np.uint8]:
    image = Image.new("RGB", (size, size), WALL)
    pen = ImageDraw.Draw(image)
    ground, hand = 0.6 * size, 0.78 * size
    pen.rectangle((0, ground, size, size), fill=FLOOR)
    if here:
        for column, furniture in enumerate(here):
            width = size / len(here)
            _furniture(pen, furniture, (column * width, 0.0, (column + 1) * width, hand), size)
    else:
        _grid(pen, [(name, kind, (), True) for name, kind in room], (0.0, 0.0, size, hand), size)
    pen.rectangle((0, hand, size, size), fill=HAND)
    if held is not None:
        _grid(pen, [(*held, False)], (0.0, hand, size, size), size)
    return np.asarray(image)


Box = tuple[float, float, float, float]


def _furniture(pen: ImageDraw.ImageDraw, furniture: Furniture, box: Box, size: int) -> None:
    left, top, right, bottom = box
    text = 0.08 * size if size >= LABELLED else 0.0
    body = (left + 0.06 * size, top + text + 0.02 * size, right - 0.06 * size, bottom - 0.02 * size)
    receptacle_icon(pen, furniture.kind, body, opened=furniture.openable and furniture.inside is not None)
    _label(pen, furniture.name, ((left + right) / 2, top + text / 2), right - left, size)
    if furniture.inside:
        shelf = (body[0] + 0.03 * size, body[1] + 0.05 * size, body[2] - 0.03 * size, body[3] - 0.05 * size)
        _grid(pen, [(*thing, False) for thing in furniture.inside], shelf, size)


def _grid(pen: ImageDraw.ImageDraw, items: list[tuple[str, Kind, tuple[str, ...], bool]], box: Box, size: int) -> None:
    """Items in rows that fill a box, each with its name below; the last value says whether it is furniture."""
    left, top, right, bottom = box
    aspect = (right - left) / (bottom - top)
    columns = next(n for n in range(1, len(items) + 1) if n * n >= len(items) * aspect or n == len(items))
    rows = -(-len(items) // columns)
    width, height = (right - left) / columns, (bottom - top) / rows
    text = min(0.07 * size, 0.35 * height) if size >= LABELLED else 0.0
    side = min(width, height - text) * 0.84
    for index, (name, kind, marks, is_furniture) in enumerate(items):
        x, y = left + (index % columns + 0.5) * width, top + (index // columns) * height
        icon = (x - side / 2, y + (height - text - side) / 2, x + side / 2, y + (height - text + side) / 2)
        if is_furniture:
            receptacle_icon(pen, kind, icon, opened=False)
        else:
            thing_icon(pen, kind, icon)
        for place, mark in enumerate(marks):
            corner, dot = icon[2] - place * 0.26 * side, 0.24 * side
            pen.ellipse((corner - dot, icon[1], corner, icon[1] + dot), fill=MARKS[mark], outline=INK)
        _label(pen, name, (x, y + height - text / 2), width, size)


def _label(pen: ImageDraw.ImageDraw, text: str, centre: tuple[float, float], width: float, size: int) -> None:
    """Text as large as its width allows."""
    if size < LABELLED:
        return
    points = 0.05 * size
    while points > 6 and _font(round(points)).getlength(text) > width:
        points -= 1
    pen.text(centre, text, fill=INK, font=_font(round(points)), anchor="mm", stroke_width=1, stroke_fill=WALL)


@lru_cache(maxsize=32)
def _font(points: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(points)

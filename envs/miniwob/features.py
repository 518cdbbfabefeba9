"""What the screen shows of the thing a phrase acts on, in numbers: its place, colour, order, kind and state."""

import colorsys
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from agentlab_runner.envs.miniwob.words import Element, Offer, kind, named, sayable, takes_text

WIDTH, HEIGHT = 160.0, 210.0
"""Of the task's area, CSS pixels."""
KINDS = (
    "link", "button", "list", "text field", "password field", "date field", "text area", "box", "radio button", "label",
    "item", "cell", "header", "heading", "paragraph", "text", "letter", "area", "circle", "rectangle", "shape",
    "drawing",
)  # fmt: skip
ACTS = ("click", "type", "choose")
PAINTS = tuple(f"{name}_{part}" for name in ("colour", "frame") for part in ("there", "red", "green", "blue"))
NAMES: tuple[str, ...] = (
    "x", "y", "width", "height",                    # centre and size, shares of the task's area
    *PAINTS,                                        # background or fill, and the frame around it; 0 to 1
    "hue_cos", "hue_sin", "saturation",             # of the colour; 0 where it has none
    "ink_red", "ink_green", "ink_blue",             # of what is written
    "order", "first", "last", "equals",             # among things of one name: -1 to 1, ends, ln of how many there are
    "column", "row", "grid",                        # among things of one kind, by place: -1 to 1; whether in both ways
    *(f"kind_{name}".replace(" ", "_") for name in (*KINDS, "other")),
    *(f"act_{name}" for name in ACTS),
    "chosen", "filled", "focused", "clickable",     # a box or option that is chosen, a field that holds something
    "holds",                                        # the field or list already has what this would type or choose
    "word_order", "word_first", "word_last",        # of what is typed, among what the goal gives to type
)  # fmt: skip
"""The d columns, in order."""


def table(goal: str, offers: Sequence[Offer]) -> NDArray[np.float32]:
    """Float32 [n, d]: a row for each offer, with a column for each of `NAMES`; 0 where a thing has no such side."""
    things = list({offer.element["ref"]: offer.element for offer in offers if offer.element is not None}.values())
    pairs = zip(things, _orders(things), strict=True)
    seen = {thing["ref"]: (*_look(thing), *order, *_state(thing)) for thing, order in pairs}
    said = sayable(goal)
    rows = [
        (0.0,) * len(NAMES) if offer.element is None else _row(offer, seen[offer.element["ref"]], said)
        for offer in offers
    ]
    return np.array(rows, dtype=np.float32)


def _row(offer: Offer, seen: tuple[float, ...], said: Sequence[str]) -> tuple[float, ...]:
    assert offer.element is not None
    if offer.act == "choose":
        chosen, holds = (float(offer.word in offer.element["chosen"]),) * 2
    else:
        chosen = float(offer.element["kind"] in ("checkbox", "radio") and offer.element["value"] == "true")
        holds = float(offer.act == "type" and offer.element["value"] == offer.word)
    *look, filled, focused, clickable = seen
    acts = [float(offer.act == act) for act in ACTS]
    place = _place(said.index(offer.word), len(said)) if offer.act == "type" else (0.0, 0.0, 0.0)
    return (*look, *acts, chosen, filled, focused, clickable, holds, *place)


def _look(thing: Element) -> tuple[float, ...]:
    left, top, width, height = (float(thing[side]) for side in ("left", "top", "width", "height"))
    paint, frame, ink = (_paint(str(thing[name])) for name in ("colour", "frame", "ink"))
    hue, _, saturation = colorsys.rgb_to_hls(*paint[1:])
    tint = (math.cos(math.tau * hue), math.sin(math.tau * hue), saturation) if saturation else (0.0, 0.0, 0.0)
    places = ((left + width / 2) / WIDTH, (top + height / 2) / HEIGHT, width / WIDTH, height / HEIGHT)
    return (*places, *paint, *frame, *tint, *ink[1:])


def _orders(things: Sequence[Element]) -> Iterator[tuple[float, ...]]:
    """Of each its order among those of its name, its place among those of its kind, and that kind."""
    names, kinds = [named(thing) for thing in things], [kind(thing) for thing in things]
    many, met = Counter(names), Counter[str]()
    centres = [
        tuple(round(thing[side] + thing[size] / 2) for side, size in (("left", "width"), ("top", "height")))
        for thing in things
    ]
    axes = {
        one: [sorted({at[axis] for at, own in zip(centres, kinds, strict=True) if own == one}) for axis in (0, 1)]
        for one in set(kinds)
    }
    for name, own, at in zip(names, kinds, centres, strict=True):
        order = _place(met[name], many[name]) if many[name] > 1 else (0.0, 0.0, 0.0)
        met[name] += 1
        columns, rows = axes[own]
        place = (_place(columns.index(at[0]), len(columns))[0], _place(rows.index(at[1]), len(rows))[0])
        grid = float(len(columns) > 1 and len(rows) > 1)
        listed = [float(own == one) for one in KINDS]
        yield *order, math.log(many[name]), *place, grid, *listed, float(not any(listed))


def _state(thing: Element) -> tuple[float, ...]:
    filled = takes_text(thing) and thing["value"] != ""
    return float(filled), float(thing["focused"]), float(thing["clickable"])


def _place(number: int, count: int) -> tuple[float, float, float]:
    """-1 to 1 of the first to the last, and whether it is either."""
    across = 2 * number / (count - 1) - 1 if count > 1 else 0.0
    return across, float(number == 0), float(number == count - 1)


def _paint(css: str) -> tuple[float, float, float, float]:
    """Whether a style's colour shows, and its red, green and blue."""
    numbers = [float(number) for number in re.findall(r"[\d.]+", css)]
    if not css.startswith("rgb") or len(numbers) < 3 or (len(numbers) == 4 and numbers[3] == 0):
        return 0.0, 0.0, 0.0, 0.0
    return 1.0, numbers[0] / 255, numbers[1] / 255, numbers[2] / 255

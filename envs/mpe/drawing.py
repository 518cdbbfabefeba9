"""A moment of a particle world from above."""

import colorsys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

SIDE = 200
"""Pixels."""
PAPER, MARK, RING, OTHER = (255, 255, 255), (60, 60, 60), (190, 190, 190), (150, 110, 70)

Disc = tuple[float, float, float]
"""x, y and radius."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What is drawn."""

    movers: Sequence[Disc]
    """Agents first, as many as `present` says."""
    marks: Sequence[Disc]
    present: Sequence[bool]
    ring: float | None
    """Radius of a ring around every mark."""


def drawn(scene: Scene, shown: Mapping[str, Tensor]) -> NDArray[np.uint8]:
    """[SIDE, SIDE, 3]: marks dark, agents in a colour of their own, or of their skill, other movers brown.

    Lines of `shown["attention"]` go from who heeds to who is heeded, the darker the more.
    """
    movers, agents = scene.movers, sum(scene.present)
    reach = max(1.2, *(1.1 * max(abs(x), abs(y)) for x, y, _ in (*movers, *scene.marks)))
    scale = SIDE / (2 * reach)
    picture = Image.new("RGB", (SIDE, SIDE), PAPER)
    draw = ImageDraw.Draw(picture)

    def at(x: float, y: float) -> tuple[float, float]:
        return (x + reach) * scale, (reach - y) * scale

    def box(disc: Disc, radius: float | None = None) -> list[float]:
        (x, y), size = at(*disc[:2]), (disc[2] if radius is None else radius) * scale
        return [x - size, y - size, x + size, y + size]

    for mark in scene.marks:
        if scene.ring is not None:
            draw.ellipse(box(mark, scene.ring), outline=RING)
        draw.ellipse(box(mark), fill=MARK)
    skills = shown["skill"].long().tolist() if "skill" in shown else list(range(agents))
    for number, mover in enumerate(movers):
        draw.ellipse(box(mover), fill=colour(skills[number]) if number < agents else OTHER)
    if "attention" in shown:
        for one, weights in enumerate(shown["attention"][:agents, :agents].clamp(0, 1).tolist()):
            for other, weight in enumerate(weights):
                if one != other and weight > 0.05:
                    shade = round(230 * (1 - weight))
                    draw.line([at(*movers[one][:2]), at(*movers[other][:2])], fill=(shade,) * 3, width=1)
    return np.asarray(picture)


def colour(number: int) -> tuple[int, int, int]:
    """Far from those of the numbers before it: hues a golden section apart."""
    red, green, blue = colorsys.hsv_to_rgb(number * 0.618034 % 1, 0.65, 0.85 - 0.2 * (number // 8 % 2))
    return round(255 * red), round(255 * green), round(255 * blue)

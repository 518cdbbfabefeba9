"""Pixels from widgets. Every distinct picture is drawn once, then pasted."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from agentlab_runner.envs.android.sim.icons import ICONS, Stroke
from agentlab_runner.envs.android.sim.widgets import BLANK, HEIGHT, WIDTH, Bounds, Look

FINE = 4
"""Shapes are drawn this many times larger and averaged down."""
Painted = tuple[Bounds, Look, str, tuple["Painted", ...]]
"""Bounds, look, text, and the parts painted in one piece with it."""


@lru_cache(maxsize=96)
def render(parts: tuple[Painted, ...], scale: float) -> NDArray[np.uint8]:
    """The screen as uint8 [round(2280 scale), round(1080 scale), 3]; read-only, because it is shared."""
    canvas = Image.new("RGB", (round(WIDTH * scale), round(HEIGHT * scale)), "#ffffff")
    _compose(canvas, parts, 0, 0, scale)
    pixels = np.asarray(canvas)
    pixels.setflags(write=False)
    return pixels


def _compose(canvas: Image.Image, parts: tuple[Painted, ...], left: int, top: int, scale: float) -> None:
    """Paste parts on a canvas whose corner is the screen's (left, top)."""
    for part in parts:
        bounds, look, text, inner = part
        if look is BLANK and not text and not inner:
            continue
        x, y = round(bounds[0] * scale), round(bounds[1] * scale)
        width, height = round(bounds[2] * scale) - x, round(bounds[3] * scale) - y
        picture = _piece(part, scale) if inner else sprite(look, text, width, height, scale)
        canvas.paste(picture, (x - left, y - top), picture if picture.mode == "RGBA" else None)


@lru_cache(maxsize=64)
def _piece(part: Painted, scale: float) -> Image.Image:
    (left, top, right, bottom), look, text, inner = part
    x, y = round(left * scale), round(top * scale)
    picture = sprite(look, text, round(right * scale) - x, round(bottom * scale) - y, scale).copy()
    _compose(picture, inner, x, y, scale)
    return picture


@lru_cache(maxsize=1500)
def sprite(look: Look, text: str, width: int, height: int, scale: float) -> Image.Image:
    """One widget's picture at screen resolution; RGB when nothing shines through, which pastes faster."""
    if look.fill.count(",") == 1:
        return _gradient(look.fill, width, height)
    image = Image.new("RGBA", (width * FINE, height * FINE), (0, 0, 0, 0))
    draw = ImageDraw.Draw(image)
    unit = scale * FINE
    if look.fill or look.border:
        box = (0, 0, width * FINE - 1, height * FINE - 1)
        draw.rounded_rectangle(
            box,
            look.radius * unit,
            fill=look.fill or None,
            outline=look.border or None,
            width=round(8 * unit) if look.border else 0,
        )
    text_left, text_top, text_right = _decorate(draw, look, width, height, scale)
    image = image.reduce(FINE)
    _write(ImageDraw.Draw(image), look, text, (text_left, text_top, text_right, height), scale)
    return image.convert("RGB") if look.fill and not look.radius and len(look.fill) == 7 else image


def _gradient(fill: str, width: int, height: int) -> Image.Image:
    top, bottom = (Image.new("RGB", (width, height), colour) for colour in fill.split(","))
    return Image.composite(bottom, top, Image.linear_gradient("L").resize((width, height)))


def _decorate(draw: ImageDraw.ImageDraw, look: Look, width: int, height: int, scale: float) -> tuple[int, int, int]:
    """Draw icon and trailing mark; return where text may stand: left, top and right, in screen pixels."""
    side, margin = look.icon_size * scale, 28 * scale
    left, top, right = margin, 0.0, width - margin
    if look.icon:
        if look.place == "left":
            x, y = margin, (height - side) / 2
            left += side + 1.2 * margin
        elif look.place == "top":
            x, y = (width - side) / 2, 0.04 * height
            top, left, right = y + side, 0, width
        else:
            x, y = (width - side) / 2, (height - side) / 2
        _icon(
            draw, look.icon, x * FINE, y * FINE, side * FINE, look.icon_color, look.badge, look.badge_radius, look.fill
        )
    if look.trail in ("on", "off"):
        _switch(draw, look.trail == "on", width * FINE, height * FINE, scale * FINE)
        right -= 190 * scale
    elif look.trail:
        size = 76 * scale
        _icon(
            draw,
            look.trail,
            (right - size) * FINE,
            (height - size) / 2 * FINE,
            size * FINE,
            look.sub_color,
            "",
            0,
            look.fill,
        )
        right -= size + margin
    return round(left), round(top), round(right)


def _switch(draw: ImageDraw.ImageDraw, on: bool, width: float, height: float, unit: float) -> None:
    w, h = 170 * unit, 92 * unit
    x, y = width - w - 30 * unit, (height - h) / 2
    draw.rounded_rectangle((x, y, x + w, y + h), h / 2, fill="#14b84b" if on else "#b9c1ca")
    knob = h * 0.38
    cx = x + w - h / 2 if on else x + h / 2
    draw.ellipse((cx - knob, y + h / 2 - knob, cx + knob, y + h / 2 + knob), fill="#ffffff")


def _icon(
    draw: ImageDraw.ImageDraw,
    name: str,
    x: float,
    y: float,
    side: float,
    colour: str,
    badge: str,
    radius: float,
    behind: str,
) -> None:
    if badge:
        draw.rounded_rectangle((x, y, x + side, y + side), side * radius, fill=badge)
        x, y, side = x + side * 0.2, y + side * 0.2, side * 0.6
    for stroke in ICONS[name]:
        _stroke(draw, stroke, x, y, side / 24, colour, badge or behind or "#ffffff")


def _stroke(draw: ImageDraw.ImageDraw, stroke: Stroke, x: float, y: float, u: float, colour: str, behind: str) -> None:
    kind, *rest = stroke
    assert isinstance(kind, str)
    ink = behind if kind.isupper() else colour
    if isinstance(rest[-1], str):
        ink = rest.pop()  # type: ignore[assignment]
    n = [float(value) for value in rest]

    def points(values: list[float]) -> list[tuple[float, float]]:
        return [(x + a * u, y + b * u) for a, b in zip(values[::2], values[1::2], strict=True)]

    def around(cx: float, cy: float, r: float) -> list[tuple[float, float]]:
        return points([cx - r, cy - r, cx + r, cy + r])

    match kind.lower():
        case "o":
            draw.ellipse(around(*n), fill=ink)
        case "c":
            draw.ellipse(around(*n[:3]), outline=ink, width=max(1, round(n[3] * u)))
        case "r":
            draw.rounded_rectangle(points(n[:4]), n[4] * u, fill=ink)
        case "b":
            draw.rounded_rectangle(points(n[:4]), n[4] * u, outline=ink, width=max(1, round(n[5] * u)))
        case "l":
            draw.line(points(n[1:]), fill=ink, width=max(1, round(n[0] * u)), joint="curve")
        case "p":
            draw.polygon(points(n), fill=ink)
        case "a":
            draw.arc(around(*n[:3]), n[3], n[4], fill=ink, width=max(1, round(n[5] * u)))


@lru_cache(maxsize=64)
def _font(pixels: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(pixels)  # a TrueType face that comes inside Pillow: the same pixels everywhere
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font


def _write(draw: ImageDraw.ImageDraw, look: Look, text: str, box: tuple[int, int, int, int], scale: float) -> None:
    if not text:
        return
    left, top, right, bottom = box
    if look.align == "centre" and not look.icon:
        left, right = 0, draw.im.size[0]
    font, room = _font(max(6, round(look.size * scale))), right - left
    if look.wrap:
        lines = _wrap(text, font, room)
        size = round(look.size * 1.3 * scale)
        for number, line in enumerate(lines[: max(1, (bottom - top) // size)]):
            _line(draw, line, left, top + round(0.3 * size) + number * size + size // 2, font, look.color, look.bold)
        return
    middle = (top + bottom) // 2
    line = _fit(text, font, room)
    x = left + max(0, (room - font.getlength(line)) / 2) if look.align == "centre" else left
    if look.sub:
        small = _font(max(6, round(look.size * 0.76 * scale)))
        gap = round(0.62 * look.size * scale)
        _line(draw, line, x, middle - gap, font, look.color, look.bold)
        _line(draw, _fit(look.sub, small, room), left, middle + gap, small, look.sub_color, False)
    else:
        _line(draw, line, x, middle, font, look.color, look.bold)


def _line(
    draw: ImageDraw.ImageDraw, text: str, x: float, y: float, font: ImageFont.FreeTypeFont, colour: str, bold: bool
) -> None:
    draw.text((round(x), y), text, fill=colour, font=font, anchor="lm")
    if bold:
        draw.text((round(x) + 1, y), text, fill=colour, font=font, anchor="lm")


def _fit(text: str, font: ImageFont.FreeTypeFont, room: int) -> str:
    if font.getlength(text) <= room:
        return text
    while text and font.getlength(text + "…") > room:
        text = text[:-1]
    return text + "…"


def _wrap(text: str, font: ImageFont.FreeTypeFont, room: int) -> list[str]:
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) > room and lines[-1]:
            lines.append(_fit(word, font, room))
        else:
            lines[-1] = _fit(longer, font, room)
    return lines

"""The table as pixels: own card faces and numbers, drawn with Pillow and the typeface that comes inside it.

Places and sizes are those of gym_cards on a picture of 300 pixels, and scale with it. Below `SMALL` pixels its captions
could not be read: NumberLine then shows two large numbers, the upper one the target, and captions are left out.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from agentlab_runner.envs.cards.games import Blackjack, Card, Game, Points

TABLE = (53, 101, 77)
RED, BLACK = (196, 30, 40), (20, 20, 20)
SMALL = 200
FINE = 4
"""Shapes are drawn this many times larger and averaged down."""
BACK: Card = ("", "")
"""A card face down."""


def paint(game: Game, size: int) -> NDArray[np.uint8]:
    """The player's view, uint8 [size, size, 3]; read-only, because it is shared."""
    if isinstance(game, Blackjack):
        return _blackjack(game.dealer[0], game.cards, size)
    if isinstance(game, Points):
        return _points(game.cards, tuple(game.formula), game.name == "points24", size)
    return _numberline(*game.state, size)


@lru_cache(maxsize=256)
def _numberline(target: int, current: int, size: int) -> NDArray[np.uint8]:
    image = Image.new("RGB", (size, size), "white")
    draw = ImageDraw.Draw(image)
    for number, caption, top in ((target, "Target", 60), (current, "Current", 180)):
        if size < SMALL:
            half = 0 if caption == "Target" else size // 2
            _write(draw, (size // 2, half + size // 4), str(number), round(0.46 * size), "black", "mm", bold=True)
        else:
            place = _at(30, size), _at(top, size)
            _write(draw, place, f"{caption}: {number}", _at(36, size), "black", bold=True)
    if size < SMALL:
        draw.line((0, size // 2, size, size // 2), fill="black", width=max(1, size // 64))
    return _pixels(image)


@lru_cache(maxsize=512)
def _blackjack(open_card: Card, cards: tuple[Card, ...], size: int) -> NDArray[np.uint8]:
    image = Image.new("RGB", (size, size), TABLE)
    draw = ImageDraw.Draw(image)
    if size >= SMALL:
        _write(draw, (_at(5, size), _at(5, size)), "Dealer", _at(16, size), "white", bold=True)
        _write(draw, (_at(5, size), _at(130, size)), "Player", _at(16, size), "white", bold=True)
    places = [(5, 25), (78, 25)] + [(5 + 74 * (i % 5), 150 + 102 * (i // 5)) for i in range(len(cards))]
    for card, (x, y) in zip((open_card, BACK, *cards), places, strict=True):
        image.paste(_face(card, _at(70, size), _at(98, size)), (_at(x, size), _at(y, size)))
    return _pixels(image)


@lru_cache(maxsize=512)
def _points(cards: tuple[Card, ...], formula: tuple[str, ...], two_lines: bool, size: int) -> NDArray[np.uint8]:
    image = Image.new("RGB", (size, size), TABLE)
    width = int(size / len(cards) * 0.9)
    height = int(width * 7 / 5)
    for i, card in enumerate(cards):
        image.paste(_face(card, width, height), (_at(5, size) + int(i * width * 1.1), (size - height) // 2))
    draw, left, symbols = ImageDraw.Draw(image), _at(10, size), " ".join(formula)
    if size < SMALL:
        _write(draw, (left, int(0.82 * size)), "".join(formula), size // (12 if two_lines else 7), "white")
    elif two_lines:
        _write(draw, (left, int(0.70 * size)), "Formula:", _at(16, size), "white")
        _write(draw, (left, int(0.80 * size)), symbols, _at(16, size), "white")
    else:
        _write(draw, (left, int(0.86 * size)), f"Formula: {symbols}", _at(20, size), "white")
    return _pixels(image)


@lru_cache(maxsize=512)
def _face(card: Card, width: int, height: int) -> Image.Image:
    """One card: the rank above, the suit below, both as large as they go."""
    rank, suit = card
    image = Image.new("RGB", (width * FINE, height * FINE), TABLE)
    draw = ImageDraw.Draw(image)
    box = (0, 0, width * FINE - 1, height * FINE - 1)
    draw.rounded_rectangle(box, width * FINE // 12, fill="white", outline="black", width=max(FINE, width * FINE // 40))
    if card == BACK:
        inset = width * FINE // 8
        draw.rectangle((inset, inset, box[2] - inset, box[3] - inset), fill=(40, 70, 150))
        return image.reduce(FINE)
    colour = RED if suit in "HD" else BLACK
    _suit(draw, suit, box[2] / 2, 0.74 * box[3], 0.19 * box[3], colour)
    place = round(box[2] / 2), round(0.30 * box[3])
    _write(draw, place, "10" if rank == "T" else rank, round(0.5 * box[3]), colour, "mm", bold=True)
    return image.reduce(FINE)


def _suit(draw: ImageDraw.ImageDraw, suit: str, x: float, y: float, r: float, colour: tuple[int, int, int]) -> None:
    """A suit's sign round (x, y), 2r high."""

    def disc(dx: float, dy: float, radius: float) -> None:
        draw.ellipse(
            (x + (dx - radius) * r, y + (dy - radius) * r, x + (dx + radius) * r, y + (dy + radius) * r), fill=colour
        )

    def shape(*corners: tuple[float, float]) -> None:
        draw.polygon([(x + dx * r, y + dy * r) for dx, dy in corners], fill=colour)

    match suit:
        case "D":
            shape((0, -1), (0.75, 0), (0, 1), (-0.75, 0))
        case "H":
            disc(-0.42, -0.4, 0.48)
            disc(0.42, -0.4, 0.48)
            shape((-0.84, -0.17), (0, -0.5), (0.84, -0.17), (0, 1))
        case "S":
            disc(-0.42, 0.2, 0.46)
            disc(0.42, 0.2, 0.46)
            shape((-0.84, 0), (0, -1), (0.84, 0), (0, 0.5))
            shape((0, 0.2), (0.35, 1), (-0.35, 1))
        case "C":
            disc(0, -0.5, 0.45)
            disc(-0.5, 0.2, 0.45)
            disc(0.5, 0.2, 0.45)
            shape((0, -0.3), (0.35, 1), (-0.35, 1))


def _write(
    draw: ImageDraw.ImageDraw,
    place: tuple[int, int],
    text: str,
    height: int,
    colour: str | tuple[int, int, int],
    anchor: str = "la",
    bold: bool = False,
) -> None:
    draw.text(place, text, colour, _font(height), anchor, stroke_width=max(1, height // 28) if bold else 0)


@lru_cache(maxsize=32)
def _font(pixels: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(pixels)  # a TrueType face that comes inside Pillow: the same pixels everywhere
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font


def _at(place: int, size: int) -> int:
    return round(place * size / 300)


def _pixels(image: Image.Image) -> NDArray[np.uint8]:
    pixels = np.asarray(image)
    pixels.setflags(write=False)
    return pixels

"""A picture of utterances with every token coloured by its causal weight."""

from collections.abc import Callable, Mapping

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from agentlab_runner.runners.types import Histogram, Picture

_WIDTH, _MARGIN, _LINE = 960, 12, 24


def heatmap(weights: Mapping[tuple[int, ...], Tensor], decode: Callable[[list[int]], str], rows: int = 8) -> Picture:
    """Tokens of up to `rows` utterances on red of strength |B|, white at 0.

    Args:
        weights: token ids -> B [T] in [-1, 1].
        decode: ids -> text.
    """
    font = ImageFont.load_default(size=15)
    canvas = Image.new("RGB", (_WIDTH, 4000), "white")
    pen = ImageDraw.Draw(canvas)
    y = _MARGIN
    for ids, row in list(weights.items())[:rows]:
        x: float = _MARGIN
        for token, weight in zip(ids, row.tolist(), strict=True):
            text = "".join(c if c.isprintable() else "·" for c in decode([token])) or "∅"
            wide = pen.textlength(text, font=font) + 2
            if x + wide > _WIDTH - _MARGIN:
                x, y = _MARGIN, y + _LINE
            pale = round(255 * (1 - min(abs(weight), 1.0)))
            pen.rectangle((x, y, x + wide, y + _LINE - 4), fill=(255, pale, pale))
            pen.text((x + 1, y), text, fill="black", font=font)
            x += wide + 1
        y += _LINE + _MARGIN
    return Picture(np.asarray(canvas.crop((0, 0, _WIDTH, y))), "tokens coloured by their causal weight B")


def weight_histogram(weights: Mapping[tuple[int, ...], Tensor], bins: int = 20) -> Histogram:
    """Counts of B over all tokens of the utterances, in [0, 1], or [-1, 1] where signed weights fall below 0."""
    values = np.concatenate([row.numpy() for row in weights.values()])
    counts, edges = np.histogram(values, bins=bins, range=(-1.0, 1.0) if values.min() < 0 else (0.0, 1.0))
    return Histogram(tuple(counts.tolist()), tuple(edges.tolist()))

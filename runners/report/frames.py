"""Screenshots and pictures as data URIs: each distinct one once, compressed, within a budget."""

import base64
import hashlib
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

LONGEST_SIDE = 900
"""Pixels; a larger image is scaled down to it."""
LOSSLESS_LIMIT = 24_000
"""Bytes above which a lossy form is tried; flat drawings stay below it and keep their exact pixels."""


class FrameStore:
    """The images of one page, referred to by their index in `frames`."""

    def __init__(self, budget: int) -> None:
        """`budget`: characters that the page may spend on images, as data URIs, and on what is said beside them."""
        self.frames: list[dict[str, Any]] = []
        """`{"uri", "width", "height"}`; the size is the original's, in pixels."""
        self.budget = budget
        self.spent = 0
        self._index: dict[bytes, int] = {}

    def add(self, images: Sequence[NDArray[np.uint8]], words: int = 0) -> list[int] | None:
        """Indices of these images ([H, W, 3]); None, and nothing kept, when they do not all fit into the budget.

        `words`: characters of text that come with them and have to fit, too.
        """
        fresh: dict[bytes, dict[str, Any]] = {}
        cost = words
        if self.spent + cost > self.budget:
            return None
        digests = [hashlib.sha256(repr(image.shape).encode() + image.tobytes()).digest() for image in images]
        for digest, image in zip(digests, images, strict=True):
            if digest in self._index or digest in fresh:
                continue
            fresh[digest] = _encode(image)
            cost += len(fresh[digest]["uri"])
            if self.spent + cost > self.budget:
                return None
        self.spent += cost
        for digest, frame in fresh.items():
            self._index[digest] = len(self.frames)
            self.frames.append(frame)
        return [self._index[digest] for digest in digests]

    def clip(self, content: bytes) -> str | None:
        """A GIF as a data URI, as it is; None when it does not fit into the budget."""
        uri = f"data:image/gif;base64,{base64.b64encode(content).decode()}"
        if self.spent + len(uri) > self.budget:
            return None
        self.spent += len(uri)
        return uri


def _encode(pixels: NDArray[np.uint8]) -> dict[str, Any]:
    image = Image.fromarray(pixels)
    width, height = image.size
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    packed = _webp(image, lossless=True, quality=40, method=2)
    if len(packed) > LOSSLESS_LIMIT:
        packed = min(packed, _webp(image, quality=80, method=2), key=len)
    return {"uri": f"data:image/webp;base64,{base64.b64encode(packed).decode()}", "width": width, "height": height}


def _webp(image: Image.Image, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", **options)
    return buffer.getvalue()

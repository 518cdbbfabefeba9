"""Reading the PNG files of a run, each within bounds that no header talks anybody out of."""

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.files.received import inside

MOST_PIXELS = 2**25
"""Of one picture; a few kilobytes of PNG can hold more than a machine's memory."""


def read_picture(folder: Path, name: str) -> NDArray[np.uint8]:
    """[H, W, 3] of a PNG file in `folder`.

    Raises:
        UserError: if there is none, it is damaged, too large, or lies outside `folder`.
    """
    path = inside(folder, name)
    if not path.is_file():
        raise UserError(f"{path} is not there")
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path, formats=["PNG"]) as image:
            width, height = image.size
            if width * height > MOST_PIXELS:
                raise UserError(f"{path} is a picture of {width} x {height} pixels, which is more than is shown")
            return np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, MemoryError, Image.DecompressionBombError) as fault:
        reason = "it is no PNG" if isinstance(fault, UnidentifiedImageError) else fault
        raise UserError(f"{path} cannot be read as a picture ({reason})") from None

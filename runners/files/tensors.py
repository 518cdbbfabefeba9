"""Reading what torch saved, without running anything in it."""

import warnings
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from agentlab_runner.runners.errors import UserError


class MoreThanTensors(UserError):
    """A file that would have to be run to be read."""


def read_tensors(file: Path) -> Any:
    """The content of a file of tensors and plain values, on the CPU.

    For any other file torch advises to run whatever is in it; that advice is passed on to nobody.

    Raises:
        MoreThanTensors: if the file holds other Python objects.
        UserError: if there is none, or it is damaged.
    """
    import torch

    try:
        with warnings.catch_warnings(action="ignore"):
            return torch.load(file, map_location="cpu", weights_only=True)
    except UnpicklingError:
        raise MoreThanTensors(
            f"{file} holds more than tensors and plain values, which loading would run; it is not read"
        ) from None
    except FileNotFoundError:
        raise UserError(f"there is no file {file}") from None
    except Exception as fault:  # torch, pickle and zipfile raise many unrelated kinds for a file they cannot read
        reason = (str(fault) or type(fault).__name__).splitlines()[0][:120]
        raise UserError(f"{file} is damaged ({reason})") from None

"""Weights by name out of a file: safetensors, npz or a plain state dict; nothing in it is run."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.files.tensors import read_tensors


def load_by_name(module: nn.Module, file: Path) -> None:
    """Take over every weight of `module`; a critic or an imitation head that it has not is left in the file.

    Raises:
        UserError: if a weight is missing or has another shape, or the file cannot be read.
    """
    saved, own = read_weights(file), module.state_dict()
    missing = sorted(own.keys() - saved.keys())
    if missing:
        raise UserError(f"{file} has no weight {', '.join(missing)}; give weights of this network, or weights=null")
    wrong = [f"{name} {list(saved[name].shape)}" for name in own if saved[name].shape != own[name].shape]
    if wrong:
        raise UserError(
            f"{file} has {', '.join(wrong)} where this network has other sizes; set hidden, heads, head_dim and "
            "context_size to those it was trained with, and the environment's observations and actions"
        )
    module.load_state_dict({name: saved[name] for name in own})


def read_weights(file: Path) -> dict[str, Tensor]:
    """
    Raises:
        UserError: if there is no such file, or it is of another kind.
    """
    if file.suffix == ".npz":
        return _npz(file)
    if file.suffix == ".safetensors":
        from safetensors.torch import load_file

        try:
            return load_file(file)
        except Exception as fault:  # safetensors has a kind of its own
            raise UserError(f"{file} cannot be read as safetensors ({_short(fault)}); save it again") from fault
    found: Any = read_tensors(file)
    if not isinstance(found, dict) or not all(isinstance(value, Tensor) for value in found.values()):
        raise UserError(f"{file} is no mapping of names to tensors; save a state_dict")
    return {str(name): value for name, value in found.items()}


def _npz(file: Path) -> dict[str, Tensor]:
    try:
        with np.load(file, allow_pickle=False) as arrays:
            return {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    except (OSError, ValueError, TypeError) as fault:
        raise UserError(f"{file} cannot be read as arrays ({_short(fault)}); save it with numpy.savez") from fault


def _short(fault: Exception) -> str:
    return " ".join(str(fault).split())[:120]

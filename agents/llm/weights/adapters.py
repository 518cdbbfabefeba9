"""Low-rank adapters in PEFT's folder format, old and new: take them over into a model that has the same ones."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.files.tensors import read_tensors

NAMES = ("adapter_model.safetensors", "adapter_model.bin")


def load_adapters(model: Any, folder: str | Path) -> None:
    """Replace the weights of a PEFT model's adapters by those of a PEFT folder (`.bin` of peft 0.2 onwards, too).

    Raises:
        UserError: if there are none, or they belong to another base model or to other `model.lora` settings.
    """
    folder = Path(folder).expanduser()
    file = next((folder / name for name in NAMES if (folder / name).is_file()), None)
    if file is None:
        raise UserError(f"{folder} holds no {' or '.join(NAMES)}; give the folder of a PEFT checkpoint")
    own = {name.replace(".default.", "."): p for name, p in model.named_parameters() if "lora_" in name}
    if not own:
        raise UserError(f"the model has no adapters to take those of {folder}; give it some by model.lora")
    saved = _read(file)
    if saved.keys() != own.keys():
        odd = min(saved.keys() ^ own.keys())
        where = "in the folder alone" if odd in saved else "in the model alone"
        raise UserError(
            f"the adapters of {folder} belong to another base model or to other lora settings ({odd} is {where}); "
            f"load the model they were trained on{_made_with(folder)}"
        )
    for name, tensor in saved.items():
        if tensor.shape != own[name].shape:
            raise UserError(
                f"the adapters of {folder} belong to another base model or rank ({name} is {list(tensor.shape)}, the "
                f"model's {list(own[name].shape)}); load the model they were trained on{_made_with(folder)}"
            )
    scale = _config(folder).get("lora_alpha"), model.peft_config["default"].lora_alpha
    if scale[0] is not None and scale[0] != scale[1]:
        raise UserError(f"the adapters of {folder} were made with alpha {scale[0]}; set model.lora.alpha={scale[0]}")
    with torch.no_grad():
        for name, tensor in saved.items():
            own[name].copy_(tensor)


def _read(file: Path) -> dict[str, Tensor]:
    try:
        tensors: dict[str, Tensor] = load_file(file) if file.suffix == ".safetensors" else read_tensors(file)
    except UserError as error:
        raise UserError(f"{error}; save the adapters again") from None
    except Exception as error:  # safetensors has a kind of its own
        raise UserError(f"{file} is damaged ({' '.join(str(error).split())[:120]}); save it again") from error
    return tensors


def _config(folder: Path) -> dict[str, Any]:
    file = folder / "adapter_config.json"
    config: dict[str, Any] = json.loads(file.read_text()) if file.is_file() else {}
    return config


def _made_with(folder: Path) -> str:
    config = _config(folder)
    if not config:
        return ""
    asked = {"r": config.get("r"), "alpha": config.get("lora_alpha"), "targets": config.get("target_modules")}
    settings = ", ".join(f"model.lora.{key}={value}" for key, value in asked.items() if value is not None)
    return f", {config.get('base_model_name_or_path') or 'unnamed'}, with {settings}"

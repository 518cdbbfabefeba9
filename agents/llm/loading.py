"""Fetch a checkpoint by name, with one sentence for each way it can be wrong."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor
from transformers.utils import logging

from runners.errors import UserError


def load(name: str, dtype: str) -> tuple[nn.Module, Any]:
    """The model and the processor of a hub repository or local folder.

    Raises:
        UserError: if it cannot be reached, or is of another kind.
    """
    folder = Path(name).expanduser()
    source = str(folder) if folder.is_dir() else name
    if not folder.is_dir() and (folder.is_absolute() or name.startswith((".", "~")) or name.count("/") != 1):
        raise UserError(f"there is no model folder {name}; give an existing folder or a hub repository as owner/model")
    if folder.is_dir() and not (folder / "config.json").is_file():
        raise UserError(f"{name} holds no config.json; give a folder with a checkpoint in Hugging Face format")
    with without_progress_bars():
        try:
            config = AutoConfig.from_pretrained(source)
            _check_kind(name, config)
            processor = AutoProcessor.from_pretrained(source)
            model = AutoModelForImageTextToText.from_pretrained(source, dtype=getattr(torch, dtype))
        except ImportError as error:
            raise UserError(f"{name} needs a package that is not installed: {_one_line(error)}") from error
        except OSError as error:
            if folder.is_dir():
                raise UserError(f"the checkpoint in {name} is incomplete or damaged: {_one_line(error)}") from error
            raise UserError(
                f"the hub repository {name} cannot be reached; check its name and the connection, or fetch it "
                f"elsewhere with `huggingface-cli download {name} --local-dir FOLDER` and set model.name=FOLDER"
            ) from error
        except ValueError as error:
            raise UserError(f"{name} cannot be loaded by this version of transformers: {_one_line(error)}") from error
    return model, processor


def _check_kind(name: str, config: Any) -> None:
    if type(config) not in AutoModelForImageTextToText._model_mapping:
        raise UserError(
            f"{name} is a {config.model_type} model, which does not read images and text together; choose one that "
            "AutoModelForImageTextToText loads, such as SmolVLM or Qwen2.5-VL"
        )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def add_lora(model: nn.Module, lora: Mapping[str, Any]) -> nn.Module:
    """The model with low-rank adapters (`{r, alpha, dropout, targets}`); everything else stops training."""
    from peft import LoraConfig, get_peft_model

    targets = lora.get("targets", "all-linear")
    config = LoraConfig(
        r=lora.get("r", 16),
        lora_alpha=lora.get("alpha", 32.0),
        lora_dropout=lora.get("dropout", 0.0),
        target_modules=targets if isinstance(targets, str) else list(targets),
        task_type="CAUSAL_LM",
    )
    try:
        adapted: nn.Module = get_peft_model(model, config)
    except ValueError as error:
        names = sorted({name.rsplit(".", 1)[-1] for name, part in model.named_modules() if isinstance(part, nn.Linear)})
        raise UserError(f"lora.targets {targets} match no layer of the model; it has {', '.join(names)}") from error
    return adapted


@contextmanager
def without_progress_bars() -> Iterator[None]:
    """Transformers draws none, so that a run's own line stays whole."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()

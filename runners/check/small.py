"""An experiment scaled down until it takes seconds, by its own keys."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from agentlab_runner.runners.config.compose import change
from agentlab_runner.runners.config.identity import flatten
from agentlab_runner.runners.errors import UserError

FEW = 2
"""Iterations, and steps, rounds, epochs and the like of an agent's own."""
EPISODES, LIVE, DEMONSTRATIONS = 4, 2, 16
"""Of an iteration, environments, of a warm start."""
WORDS = 16
"""Tokens of an answer."""
_LONG = {re.compile(r"(.*_)?(steps|rounds|epochs|iterations)"): FEW, re.compile(r"(.*_)?tokens"): WORDS}
"""Keys by what is enough of them."""


def small(cfg: DictConfig, overrides: Sequence[str], folder: Path) -> DictConfig:
    """The config with few iterations, episodes and steps, its runs in `folder`.

    Args:
        cfg: as composed from `overrides`.
    """
    lines = ["logger=none", "rollout=local", f"runs_dir={folder}", "callbacks=[]", "total_env_steps=null"]
    lines += [f"total_iterations={FEW}"]
    lines += [f"rollout_size={max(1, EPISODES // cfg.group_size) * cfg.group_size}", "eval.every=1", "eval.record=1"]
    lines += [f"eval.episodes={FEW}", "eval.also=null", "checkpoint.every=1", f"checkpoint.keep={FEW}"]
    lines += [f"env.num_envs={min(cfg.env.num_envs, LIVE)}"]
    if cfg.warm_start:
        lines += [f"warm_start.episodes={min(cfg.warm_start.episodes, DEMONSTRATIONS)}"]
    if cfg.offline and "episodes" in cfg.offline:
        lines += [f"offline.episodes={min(cfg.offline.episodes, EPISODES)}"]
    changed = change(cfg, lines, like=overrides)
    try:
        shorter = [f"{part}.{key}={enough}" for part in ("agent", "model") for key, enough in _shorter(cfg[part])]
        return change(changed, shorter, like=overrides)
    except UserError:  # whoever wrote them allows no fewer: then it takes as long as it takes
        return changed


def played_alone(cfg: DictConfig, overrides: Sequence[str]) -> DictConfig:
    """The same of an experiment that evaluates alone: the most likely action, so that a kill cannot show."""
    seeds = cfg.eval.get("seeds") or FEW
    changed = change(cfg, ["eval.deterministic=true", "eval.repeats=1"], like=overrides)
    OmegaConf.update(changed, "eval.seeds", min(seeds, FEW) if isinstance(seeds, int) else list(seeds)[:FEW])
    OmegaConf.update(changed, "eval.tasks", list(cfg.eval.get("tasks") or [])[:1])
    return changed


def _shorter(part: DictConfig | None) -> Iterator[tuple[str, int]]:
    """Keys of an agent or a model that say how long something takes, with less."""
    for key, value in flatten(OmegaConf.to_container(part) if part else {}).items():
        for pattern, enough in _LONG.items():
            if type(value) is int and value > enough and pattern.fullmatch(key.rpartition(".")[2]):
                yield key, enough

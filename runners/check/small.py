"""An experiment scaled down until it takes seconds, by its own keys."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from agentlab_runner.runners.config.compose import change
from agentlab_runner.runners.config.identity import flatten
from agentlab_runner.runners.errors import UserError

FEW = 2
"""Iterations, and steps, rounds, epochs and the like of an agent's own."""
EPISODES, LIVE, DEMONSTRATIONS = 4, 2, 16
"""Of an iteration, environments, of a warm start."""
_LONG = re.compile(r"(.*_)?(steps|rounds|epochs|iterations)")


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
    if "trials" not in cfg.agent and "tasks" in cfg.eval:
        OmegaConf.update(changed, "eval.tasks", list(cfg.eval.tasks)[:FEW])
    try:
        return change(changed, [f"agent.{key}={number}" for key, number in _shorter(cfg.agent)], like=overrides)
    except UserError:  # whoever wrote the agent allows no fewer: then it takes as long as it takes
        return changed


def played_alone(cfg: DictConfig, overrides: Sequence[str]) -> DictConfig:
    """The same of an experiment that evaluates alone: the most likely action, so that a kill cannot show."""
    seeds = cfg.eval.get("seeds")
    few = len(seeds) if isinstance(seeds, Sequence) else seeds or FEW
    lines = ["eval.deterministic=true", "eval.repeats=1", f"eval.seeds={min(few, FEW)}"]
    return change(cfg, lines, like=overrides)


def _shorter(agent: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """Keys of an agent that say how long something takes, with less."""
    plain = OmegaConf.to_container(agent) if OmegaConf.is_config(agent) else agent
    for key, value in flatten(plain).items():
        if type(value) is int and value > FEW and _LONG.fullmatch(key.rpartition(".")[2]):
            yield key, FEW

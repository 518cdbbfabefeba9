"""Whether the rollout, the environment and the agent of a config are made for one another, before any is imported.

A node says in `_fits_` which kinds of play it is for; one that says nothing is for `single`: Gymnasium environments,
one decision each. `batched`: teams in one environment of many rows (`runners/teams.py`); `parallel`: as PettingZoo has
them.
"""

from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from agentlab_runner.runners.errors import UserError

PARTS = ("rollout", "env", "agent")
SAYS = {
    "single": "one agent, rollout=local or ray",
    "batched": "teams as tensors, rollout=batched",
    "parallel": "teams as PettingZoo plays them, rollout=parallel",
}
"""By kind, what it is and what plays it."""


def check_fit(cfg: DictConfig) -> None:
    """
    Raises:
        UserError: naming the parts that do not fit together, and which rollout would.
    """
    kinds = {part: found for part in PARTS if (found := fits(cfg, part))}
    if not kinds or set.intersection(*map(set, kinds.values())):
        return
    told = "; ".join(f"{part} is for {_names(kinds[part])}" for part in kinds)
    rest = [set(found) for part, found in kinds.items() if part != "rollout"]
    both = sorted(set.intersection(*rest)) if rest else []
    meant = f"use {SAYS[both[0]].rpartition(', ')[2]}" if both and both[0] in SAYS else "choose another env or agent"
    raise UserError(f"rollout, env and agent do not fit together: {told}; {meant}")


def fits(cfg: DictConfig, part: str) -> list[str]:
    """Which kinds of play a part of a config that was not validated yet is for; none where there is no such part."""
    node = cfg.get(part)
    if not (isinstance(node, DictConfig) and "_target_" in node):
        return []
    said: Any = OmegaConf.to_container(node, resolve=False)
    assert isinstance(said, Mapping)
    return list(said.get("_fits_") or ["single"])


def _names(kinds: list[str]) -> str:
    return " or ".join(SAYS.get(kind, kind).partition(",")[0] for kind in kinds)

"""What makes two configs the same computation."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from agentlab_runner.runners.config.old_names import as_first_named

HARMLESS = (
    "logger", "runs_dir", "trainer.device", "trainer.strategy", "trainer.processes", "trainer.threads", "rollout",
    "checkpoint", "tags", "notes", "model.record", "model.parallel", "model.timeout", "model.retries", "model.pause",
    "model.longest_wait", "model.max_cost", "model.max_calls", "model.max_tokens_per_run", "model.cache_mb",
)  # fmt: skip
"""Config keys that do not change what a run computes: a resumed run may change them, the config hash omits them."""
SILENT: dict[str, Any] = {
    "init_from": None, "callbacks": [], "eval.also": None, "eval.tasks": [], "eval.seeds": None, "eval.repeats": 1,
}  # fmt: skip
"""Keys that older runs do not have, with the value that says what their absence says."""


def config_hash(config: Mapping[str, Any]) -> str:
    """16 hex digits that are equal exactly when two resolved configs ask for the same computation."""
    decisive = json.dumps(relevant(as_first_named(config)), sort_keys=True, default=str)
    return hashlib.sha256(decisive.encode()).hexdigest()[:16]


def relevant(config: Mapping[str, Any]) -> dict[str, Any]:
    """Of a resolved config, flat, what decides the numbers of a run."""
    return {key: value for key, value in said(flatten(config)).items() if not is_under(key, HARMLESS)}


def said(flat: Mapping[str, Any]) -> dict[str, Any]:
    """A flat config without the keys that say no more than their absence does."""
    return {key: value for key, value in flat.items() if key not in SILENT or value != SILENT[key]}


def flatten(config: Any, prefix: str = "") -> dict[str, Any]:
    """`{"env": {"horizon": 10}}` as `{"env.horizon": 10}`; lists and empty dicts are values."""
    if not isinstance(config, Mapping) or not config:
        return {prefix: config}
    entries: dict[str, Any] = {}
    for key, value in config.items():
        entries |= flatten(value, f"{prefix}.{key}" if prefix else str(key))
    return entries


def is_under(key: str, prefixes: tuple[str, ...] | list[str]) -> bool:
    """Whether a dotted key is one of `prefixes` or lies below one."""
    return any(key == prefix or key.startswith(f"{prefix}.") for prefix in prefixes)

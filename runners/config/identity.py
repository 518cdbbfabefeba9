"""What makes two configs the same computation."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from agentlab_runner.runners.config.old_names import as_first_named

HARMLESS = ("logger", "runs_dir", "trainer.device", "trainer.strategy", "trainer.processes", "rollout", "checkpoint")
"""Config keys that do not change what a run computes: a resumed run may change them, the config hash omits them."""


def config_hash(config: Mapping[str, Any]) -> str:
    """16 hex digits that are equal exactly when two resolved configs ask for the same computation."""
    relevant = {key: value for key, value in flatten(as_first_named(config)).items() if not is_under(key, HARMLESS)}
    return hashlib.sha256(json.dumps(relevant, sort_keys=True, default=str).encode()).hexdigest()[:16]


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

"""Going on with a run that is older than a key of its config."""

import copy
import re
from collections.abc import Sequence
from typing import Any, get_args

from omegaconf import DictConfig, OmegaConf, open_dict
from pydantic import BaseModel

from agentlab_runner.runners.config.compose import draft, keys
from agentlab_runner.runners.config.listing import is_group
from agentlab_runner.runners.config.validate import model_of, take_schemas
from agentlab_runner.runners.errors import UserError


def choices_in(command: Sequence[str]) -> list[str]:
    """The overrides of a run's command that choose a file of conf or take a key out.

    They tell which schema checks which node. The others say values, which the config has already, and could say more to
    Hydra than one wants to hear from a run folder.
    """
    chosen = [re.fullmatch(r"[+~]{0,2}([\w/]+)(@[\w.]+)?(=[\w./-]*)?", override) for override in command]
    groups = [match for match in chosen if match and ".." not in match[0] and not match[1].startswith("hydra")]
    return [match[0] for match in groups if match[1] == "exp" or is_group(match[1])] + [
        override for override in command if re.fullmatch(r"~[\w.]+", override) and not is_group(override[1:])
    ]


def complete(cfg: DictConfig, like: Sequence[str]) -> tuple[DictConfig, dict[str, Any], set[str]]:
    """The config of a run with what it is older than.

    A key is filled in if today's configs have it, `cfg` does not, and its schema has a default, which is what the run
    did without it.

    Args:
        cfg: a finished config, left as it is.
        like: the choices it was composed from; a config whose choices are gone is given back as it is.

    Returns:
        The config, what was filled in, and every key of today's configs that `cfg` lacks.
    """
    try:
        today = draft(like)
    except UserError:
        return cfg, {}, set()
    whole, filled = copy.deepcopy(cfg), dict[str, Any]()
    for path, name in take_schemas(today).items():
        _fill(whole, today, path, model_of(name, path), filled)
    return whole, filled, {*keys(today)} - {*keys(cfg)}


def _fill(whole: DictConfig, today: DictConfig, path: str, model: type[BaseModel], filled: dict[str, Any]) -> None:
    node, now = (OmegaConf.select(cfg, path) if path else cfg for cfg in (whole, today))
    if not isinstance(node, DictConfig) or not isinstance(now, DictConfig):
        return
    if node.get("_target_") != now.get("_target_"):
        return  # something else stands there than what the schema is of
    for name, field in model.model_fields.items():
        place = f"{path}.{name}" if path else name
        if name in node:
            inner = [m for m in (field.annotation, *get_args(field.annotation)) if isinstance(m, type)]
            for part in (m for m in inner if issubclass(m, BaseModel)):
                _fill(whole, today, place, part, filled)
        elif name in now and not field.is_required():
            value = field.get_default(call_default_factory=True)
            filled[place] = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
            with open_dict(node):
                node[name] = filled[place]

"""`config.yaml`: the resolved config of a run, as plain data, and whether it is still the one the run began with."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import yaml
from omegaconf import DictConfig, OmegaConf

from agentlab_runner.runners.config.identity import HARMLESS, config_hash, flatten, is_under, said
from agentlab_runner.runners.config.old_names import renamed
from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.files.received import read_yaml
from agentlab_runner.runners.run.manifest import Manifest

Config = DictConfig | Mapping[str, Any]


def read_config(folder: Path) -> DictConfig:
    """The config of a run folder, with today's names of what it is built from.

    It was stored with every interpolation resolved; one found in it now would read the environment of whoever opens the
    run, and is refused.

    Raises:
        UserError: if there is none, or it is damaged.
    """
    try:
        _, plain = read_yaml(folder, "config.yaml")
    except FileNotFoundError:
        raise UserError(f"{folder} is not a run folder (it has no config.yaml); name the folder of a run") from None
    for key, text in _texts(plain):
        if "${" in text or text == "???":
            raise UserError(
                f"{folder / 'config.yaml'} is no config that a run wrote ({key} is {text!r}, still to be filled in); "
                "restore it or start a new run"
            )
    config: DictConfig = OmegaConf.create(renamed(plain))
    return config


def check_unedited(folder: Path, config: Config, manifest: Manifest) -> None:
    """Whether `config` is the one whose hash the manifest has.

    Raises:
        UserError: if it is another.
    """
    if config_hash(as_plain(config)) not in (manifest["config_hash"], manifest.get("replaced_hash")):
        raise UserError(
            f"{folder / 'config.yaml'} was changed by hand since the run was started (its hash is no longer the "
            "manifest's); undo that, and give what is to be otherwise as an override (KEY=VALUE), or start a new run"
        )


def compare(ours: Config, theirs: Config, allow: Sequence[str] = ()) -> tuple[dict[str, tuple[Any, Any]], list[str]]:
    """The keys in which two configs differ, `{key: (ours, theirs)}`, and those of them a resumption may not change."""
    one, other = said(flatten(as_plain(ours))), said(flatten(as_plain(theirs)))
    absent = object()
    changed = {
        key: (one.get(key), other.get(key))
        for key in sorted(one.keys() | other.keys())
        if one.get(key, absent) != other.get(key, absent)
    }
    refused = [
        f"{key} ({old!r} -> {new!r})"
        for key, (old, new) in changed.items()
        if not is_under(key, [*HARMLESS, *allow]) and not (key == "total_iterations" and _longer(old, new))
    ]
    return changed, refused


def as_plain(config: Config) -> dict[str, Any]:
    """The config as plain dicts and lists, interpolations resolved."""
    plain = OmegaConf.to_container(config, resolve=True) if isinstance(config, DictConfig) else config
    return cast(dict[str, Any], json.loads(json.dumps(plain)))


def as_yaml(config: Mapping[str, Any]) -> str:
    """A plain config as the text of a `config.yaml`, without aliases."""
    return yaml.safe_dump(config, sort_keys=False, allow_unicode=True)


def _longer(old: object, new: object) -> bool:
    return isinstance(old, int) and isinstance(new, int) and new > old


def _texts(node: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Every string of a plain config, with its dotted key."""
    if isinstance(node, str):
        yield key, node
    elif isinstance(node, dict | list):
        for name, value in node.items() if isinstance(node, dict) else enumerate(node):
            yield from _texts(value, f"{key}.{name}" if key else str(name))

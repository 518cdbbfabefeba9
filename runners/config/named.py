"""What configs here name: all that the config of a run folder, which may be someone else's, can have imported.

A run folder chooses among the programs whose names stand in the configs installed here and in the user's own, so that a
new room needs nothing. A node of conf may list in `_yours_` those of its keys that are nobody else's to set, since they
name a program, a secret or a place to write: there a run folder may only say what configs here say. As a mapping it
lists beside each key what anybody may say there too.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from agentlab_runner.runners.config.identity import is_under
from agentlab_runner.runners.config.listing import search_path
from agentlab_runner.runners.errors import UserError

VERBS = ("command", "import", "phone")
"""Groups whose targets are verbs, and no part of any run."""

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Named:
    """What the YAML files of some folders name."""

    targets: set[str] = field(default_factory=set)
    """Every `_target_` and `_schema_`."""
    yours: dict[str, dict[str, list[Any]]] = field(default_factory=dict)
    """By `_target_`, or by the name of a node without one: its `_yours_`, with what anybody may say."""
    values: dict[tuple[str, str], list[Any]] = field(default_factory=dict)
    """By a node's `_target_`, and by its name, and a key in it: what is said there."""

    @classmethod
    def in_configs(cls, folders: Sequence[Path] | None = None) -> "Named":
        """What all configs that can be chosen now name."""
        named = cls()
        for root in search_path() if folders is None else folders:
            for file in sorted(root.rglob("*.yaml")):
                if file.relative_to(root).parts[0] not in VERBS:
                    named._take(_content(file), file.parent.name)
        return named

    def _take(self, content: Any, name: str) -> None:
        for _, key, node in _nodes(content, name, name):
            target = node.get("_target_")
            self.targets.update(str(node[mark]) for mark in ("_target_", "_schema_") if mark in node)
            if mine := node.get("_yours_"):
                said = mine if isinstance(mine, dict) else {one: [] for one in mine}
                self.yours.setdefault(str(target or key), {}).update(said)
            for inner, value in node.items():
                for owner in {key, str(target)}:
                    self.values.setdefault((owner, inner), []).append(value)


def check_named(config: Mapping[str, Any], where: str, trust: str, given: Sequence[str] = ()) -> None:
    """Whether a config from a run folder names nothing but what configs here name.

    Args:
        config: plain, with today's names.
        where: the file it was read from.
        trust: what the user would have to add to the command to have it all the same.
        given: dotted keys that the user sets anew and that are not looked at.

    Raises:
        UserError: naming the first key that does.
    """
    named = Named.in_configs()
    for path, key, node in _nodes(config, "", ""):
        if is_under(path, list(given)):
            continue
        for mark in ("_target_", "_schema_"):
            if mark in node and (not isinstance(node[mark], str) or node[mark] not in named.targets):
                raise UserError(
                    f"{where} has {path or 'the config'} built from {node[mark]}, which no config here names, so it "
                    f"is not run; if you trust whoever made this run, add {trust}"
                )
        target = str(node.get("_target_"))
        owned = named.yours.get(target, {}) | named.yours.get(key, {})
        for name in sorted(owned.keys() & node.keys()):
            allowed = [*owned[name], *named.values.get((target, name), []), *named.values.get((key, name), [])]
            if node[name] not in allowed and not is_under(f"{path}.{name}", list(given)):
                raise UserError(
                    f"{where} sets {path}.{name} to {node[name]!r}, which is for you to decide: say it again as "
                    f"{path}.{name}=VALUE, or, if you trust whoever made this run, add {trust}"
                )


def _nodes(node: Any, path: str, name: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every mapping of a plain config with its dotted path and its name, which for one in a list is the list's."""
    if isinstance(node, dict):
        yield path, name, node
        for key, value in node.items():
            yield from _nodes(value, f"{path}.{key}" if path else str(key), str(key))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _nodes(value, f"{path}.{index}", name)


def _content(file: Path) -> Any:
    try:
        return yaml.load(file.read_text(encoding="utf-8"), _Loader)
    except (OSError, ValueError, yaml.YAMLError):
        return None  # Hydra says so to whoever chooses it

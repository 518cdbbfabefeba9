"""Whether what a config is built from is there, and which name was meant."""

import pkgutil
import sysconfig
from collections.abc import Iterator, Mapping
from importlib import import_module
from types import ModuleType
from typing import Any

from agentlab_runner.runners.config.extras import advised
from agentlab_runner.runners.config.named import Named
from agentlab_runner.runners.config.suggest import nearest
from agentlab_runner.runners.errors import UserError


def check_targets(config: Mapping[str, Any], place: str = "") -> None:
    """Import what every `_target_` of a plain config names.

    Args:
        place: where the config stands in another, as the user calls it.

    Raises:
        UserError: naming the first that is not there, with the nearest name, or whose module cannot be imported.
    """
    for key, target in _targets(config, place):
        check_target(key or "the config", target)


def check_target(key: str, target: object) -> None:
    """The same for one, of the node called `key`."""
    built = f"{key} is built from {target!r}"
    if not isinstance(target, str) or "." not in target or not all(map(str.isidentifier, target.split("."))):
        hint = _meant(nearest(str(target), Named.in_configs().targets))
        raise UserError(f"{built}, which is no class or function; write _target_ as MODULE.NAME{hint}")
    found: Any = None
    path = ""
    for name in target.split("."):
        parent, owner, path = path, found, f"{path}.{name}" if path else name
        if parent and hasattr(owner, name):
            found = getattr(owner, name)
        else:
            found = _module(path, built) if not parent or isinstance(owner, ModuleType) else None
        if found is None:
            lacks = f"{parent} has no {name!r}" if parent else f"there is no module {name!r}"
            near = nearest(name, _names(owner))
            better = near and f"{parent}.{near}{target.removeprefix(path)}".lstrip(".")
            hint = _meant(better or nearest(target, Named.in_configs().targets - {target}))
            raise UserError(f"{built}, but {lacks}{hint or '; mend the name, or install or write what it names'}")
    if not callable(found):
        kind = "a module" if isinstance(found, ModuleType) else f"of type {type(found).__name__}"
        raise UserError(f"{built}, which is {kind}; name a class or function")


def _module(path: str, built: str) -> ModuleType | None:
    """The module of that name; None if there is none."""
    try:
        return import_module(path)
    except (Exception, SystemExit) as fault:
        if isinstance(fault, ModuleNotFoundError) and fault.name == path:
            return None
        said = " ".join(f"{type(fault).__name__}: {fault}".split())
        raise UserError(advised(f"{built}, but {path} cannot be imported: {said}", fault)) from fault


def _names(owner: Any) -> list[str]:
    """What stands in a module or class; without one, the modules that are nobody's installed ones, and this package."""
    if owner is None:
        standard = sysconfig.get_path("stdlib")
        found = [(str(getattr(module.module_finder, "path", "")), module.name) for module in pkgutil.iter_modules()]
        own = [name for folder, name in found if not (folder.startswith(standard) or "-packages" in folder)]
        return [*own, "agentlab_runner"]
    inside = [module.name for module in pkgutil.iter_modules(getattr(owner, "__path__", None) or [])]
    return [*inside, *(name for name in dir(owner) if not name.startswith("_"))]


def _meant(name: str | None) -> str:
    return f"; did you mean {name}?" if name else ""


def _targets(node: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Every `_target_` of a plain config with the dotted key of its node."""
    if isinstance(node, Mapping):
        if "_target_" in node:
            yield path, node["_target_"]
        for key, value in node.items():
            yield from _targets(value, f"{path}.{key}" if path else str(key))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _targets(value, f"{path}[{index}]")

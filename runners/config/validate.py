"""Check a composed config against the light pydantic models its nodes name in `_schema_`."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, TypeVar, get_args

from omegaconf import DictConfig, OmegaConf, open_dict
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from agentlab_runner.runners.config.identity import flatten
from agentlab_runner.runners.config.listing import choices, is_group
from agentlab_runner.runners.config.suggest import did_you_mean
from agentlab_runner.runners.errors import UnknownKey, UserError

M = TypeVar("M", bound=BaseModel)


def validate(cfg: DictConfig, see: str = "") -> None:
    """Check every node of a resolved config that has a `_schema_`, and take the `_schema_` keys out; see `check`."""
    check(cfg, take_schemas(cfg), see)


def take_schemas(cfg: DictConfig) -> dict[str, str]:
    """Take every `_schema_` out of a config and give them by their node's dotted key, "" being the root.

    What else a node says of itself goes too: `_yours_` (`runners/config/named.py`), `_fits_` (`runners/config/fit.py`).
    """
    plain = OmegaConf.to_container(cfg, resolve=False)
    schemas = dict(_marked(plain, "_schema_"))
    for mark in ("_schema_", "_yours_", "_fits_"):
        for path, _ in list(_marked(plain, mark)):
            owner = OmegaConf.select(cfg, path) if path else cfg
            with open_dict(owner):
                del owner[mark]
    return schemas


def check(
    cfg: DictConfig, schemas: Mapping[str, str], see: str = "", partly: bool = False, older: bool = False
) -> None:
    """Check nodes against their models.

    A model sees its node's keys except those beginning with an underscore, which are Hydra's own. Values are taken as
    JSON and strictly: `"1"` is not a number and 4.5 not a count. No number, in a node with a model or without, is
    infinite or NaN.

    Args:
        cfg: a resolved config without missing values.
        schemas: dotted key of a node ("" for the root) and the `module.Model` it must satisfy.
        see: a pointer for the user that ends the sentence of an unknown key.
        partly: keys may be missing yet.
        older: keys may be there that a schema no longer has.

    Raises:
        UserError: naming the first wrong key, its value and what it may be.
    """
    for path, name in schemas.items():
        node = OmegaConf.select(cfg, path) if path else cfg
        if not isinstance(node, DictConfig):
            continue  # the node was replaced by null
        plain = OmegaConf.to_container(node, resolve=True, throw_on_missing=True)
        assert isinstance(plain, dict)
        values = {str(key): value for key, value in plain.items() if not str(key).startswith("_")}
        model = model_of(name, path)
        try:
            model.model_validate_json(json.dumps(values), strict=True)
        except ValidationError as fault:
            allowed = {"missing": partly, "extra_forbidden": older}
            errors = [error for error in fault.errors() if not allowed.get(error["type"])]
            if errors:
                raise _refusal(errors, path, values, model, see) from fault
    for key, value in flatten(OmegaConf.to_container(cfg, resolve=True)).items():
        numbers = [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, float)]
        if not all(map(math.isfinite, numbers)):
            raise UserError(f"{key} is {value}, but must be finite; null means no limit, and text is quoted")


def checked(values: dict[str, Any], model: type[M], path: str = "") -> M:
    """The values of one node as its model; see `check`."""
    try:
        return model.model_validate_json(json.dumps(values), strict=True)
    except ValidationError as fault:
        raise _refusal(fault.errors(), path, values, model, "") from fault


def told(fault: ValidationError) -> str:
    """What a model refused elsewhere, as when an agent is built from a node without `_schema_`, as `check` says it."""
    return str(_refusal(fault.errors(), "", None, BaseModel, ""))


def _marked(node: Any, mark: str, path: str = "") -> Iterator[tuple[str, Any]]:
    """Where a mark stands and what it says, outer nodes before inner ones."""
    if isinstance(node, dict):
        if mark in node:
            yield path, node[mark]
        for name, value in node.items():
            yield from _marked(value, mark, f"{path}.{name}" if path else str(name))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _marked(value, mark, f"{path}[{index}]")


def model_of(name: str, path: str) -> type[BaseModel]:
    """The pydantic model that the node `path` names in `_schema_`.

    Raises:
        UserError: if there is none of this name.
    """
    module, _, attribute = name.rpartition(".")
    where = path or "the config"
    try:
        model = getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as fault:
        raise UserError(f"{where} names the schema {name!r}, which cannot be imported: {fault}") from fault
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        raise UserError(f"{where} names the schema {name!r}, which is not a pydantic model")
    return model


def _refusal(
    errors: list[ErrorDetails], path: str, values: dict[str, Any] | None, model: type[BaseModel], see: str
) -> UserError:
    """The most telling of a node's errors: an unknown key explains a missing one, so it goes first."""
    error = min(errors, key=lambda e: e["type"] != "extra_forbidden")
    place = _place(error["loc"], values)
    key = ".".join([path, *place] if path else place)
    if error["type"] == "extra_forbidden":
        fields = list(_fields(model, place[:-1]))
        known = [".".join([path, *place[:-1], name] if path else [*place[:-1], name]) for name in fields]
        takes = f"; {path or 'the config'} takes {', '.join(fields)}" if fields else ""
        hint = did_you_mean(key, known, quote=True) or takes
        return UnknownKey(key, f"conf has no key {key!r}{hint} {see}".rstrip())
    if error["type"] == "missing":
        return UserError(f"{key} has no value; add {key}=VALUE {see}".rstrip())
    if error["type"] in ("value_error", "assertion_error"):
        return UserError(f"{key or 'the config'} is refused: {error['msg'].partition(', ')[2]}")
    about = [other for other in errors if _place(other["loc"], values) == place]
    allowed = " or ".join(dict.fromkeys(_allowed(other, model, place) for other in about))
    hint = did_you_mean(str(error["input"]), re.findall(r"'([^']*)'", allowed))
    if isinstance(error["input"], str) and "a group of keys" in allowed and is_group(group := key.replace(".", "/")):
        hint = f"; choose one with {group}=NAME ({', '.join(choices(group))})"
    return UserError(f"{key} is {json.dumps(error['input'])}, but must be {allowed}{hint}")


def _place(location: tuple[int | str, ...], values: Any) -> list[str]:
    """The config keys of an error's location, without the names pydantic adds for the branches of a union.

    Where the values are not known (None) those that look like such a name are left out.
    """
    if values is None:
        return [str(part) for part in location if str(part).isidentifier() or isinstance(part, int)]
    place: list[str] = []
    for index, part in enumerate(location):
        inside = part in values if isinstance(values, dict) else isinstance(values, list) and isinstance(part, int)
        if inside:
            values = values[part]
        if inside or (isinstance(values, dict) and index == len(location) - 1):
            place.append(str(part))
    return place


def _fields(model: type[BaseModel], place: list[str]) -> dict[str, FieldInfo]:
    """The keys a model takes at a place inside it; none where it takes anything."""
    here = model.model_fields
    for name in place:
        annotation = here[name].annotation if name in here else None
        models = [m for m in (annotation, *get_args(annotation)) if isinstance(m, type) and issubclass(m, BaseModel)]
        here = models[0].model_fields if models else {}
    return here


def _written(number: float) -> str:
    return str(number) if isinstance(number, int) else f"{number:g}"


_KINDS = {"Dictionary": "a group of keys", "String": "text"}


def _allowed(error: ErrorDetails, model: type[BaseModel], place: list[str]) -> str:
    """Pydantic's own words for what a value must be; both bounds where it names only the one crossed."""
    if bound := re.match(r"(List|Set|Tuple|Dictionary|String) should have (at \w+ \d+ \w+)", error["msg"]):
        return f"{_KINDS.get(bound[1], 'a list')} of {bound[2]}"
    words = error["msg"].removeprefix("Input should be ").replace("valid ", "")
    words = words.replace("String should match pattern", "text that matches")
    words = words.replace("a integer", "an integer").replace("a array", "a list")  # a list is an array to pydantic
    field = _fields(model, place[:-1]).get(place[-1]) if place else None
    if field is None or error["type"] not in ("greater_than_equal", "greater_than", "less_than_equal", "less_than"):
        return words.replace("an object", "a group of keys")
    bounds = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
    limits = [
        f"{word} {_written(getattr(mark, bound))}"
        for bound, word in bounds.items()
        for mark in field.metadata
        if getattr(mark, bound, None) is not None
    ]
    return " and ".join(limits) or words  # the bounds of one branch of a union stand out of reach

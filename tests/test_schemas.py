"""Every number in the configs has a bound in its schema, so that whatever is out of range is refused by every verb."""

import re
from importlib import import_module
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

CONF = Path(__file__).parent.parent / "conf"
UNBOUNDED = {"ExpectSettings.margin", "ExpectSettings.equals", "OvercookedSettings.rewards"}
"""Numbers that may be negative."""


def parts(annotation):
    return [annotation, *(part for inner in get_args(annotation) for part in parts(inner))]


def with_its_parts(model):
    inner = [part for field in model.model_fields.values() for part in parts(field.annotation)]
    inner = [part for part in inner if isinstance(part, type) and issubclass(part, BaseModel)]
    return {model}.union(*map(with_its_parts, inner))


def models():
    named = {name for file in CONF.rglob("*.yaml") for name in re.findall(r"_schema_: (\S+)", file.read_text("utf-8"))}
    found = [getattr(import_module(name.rpartition(".")[0]), name.rpartition(".")[2]) for name in sorted(named)]
    return sorted(set().union(*map(with_its_parts, found)), key=lambda model: f"{model.__module__}.{model.__name__}")


def numbers(schema):
    """The schemas of the numbers in one field's."""
    own = [schema] if schema.get("type") in ("integer", "number") else []
    inner = [*schema.get("anyOf", []), *schema.get("prefixItems", [])]
    inner += [schema["items"]] if isinstance(schema.get("items"), dict) else []
    return own + [number for part in inner for number in numbers(part)]


@pytest.mark.parametrize("model", models(), ids=lambda model: model.__name__)
def test_numbers_are_bounded_and_finite(model):
    for name, field in model.model_json_schema()["properties"].items():
        for number in numbers(field):
            bounded = {"minimum", "exclusiveMinimum"} & number.keys()
            assert bounded or f"{model.__name__}.{name}" in UNBOUNDED, f"{model.__name__}.{name} has no bound"
    assert model.model_config.get("allow_inf_nan") is False

"""Ontology functional dependencies: discover them, check tables with them, repair tables by them."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from data_cleaning.fastofd import discover
    from data_cleaning.logic import check

__all__ = ["check", "discover"]

_HOMES = {"check": "logic", "discover": "fastofd"}


def __getattr__(name: str) -> Any:
    """Import what is asked for, not what it stands beside."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)

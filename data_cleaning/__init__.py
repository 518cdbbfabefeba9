"""Ontology functional dependencies: discover them, check tables with them, repair tables by them."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from data_cleaning.fastofd import discover
    from data_cleaning.logic import check
    from data_cleaning.ontology import Ontology
    from data_cleaning.repairs import Repair, repair
    from data_cleaning.tables import read, write
    from data_cleaning.types import OFD

__all__ = ["OFD", "Ontology", "Repair", "check", "discover", "read", "repair", "write"]

_HOMES = {
    "OFD": "types", "Ontology": "ontology", "Repair": "repairs", "check": "logic", "discover": "fastofd",
    "read": "tables", "repair": "repairs", "write": "tables",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    """What is heavy is imported when it is asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)

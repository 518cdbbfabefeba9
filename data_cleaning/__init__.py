"""Ontology functional dependencies: discover them, check tables with them, repair tables by them."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentlab_runner.data_cleaning.discovery.discover import discover
    from agentlab_runner.data_cleaning.discovery.logic import check
    from agentlab_runner.data_cleaning.ontology.ontology import Ontology
    from agentlab_runner.data_cleaning.repairs.repair import Repair, repair
    from agentlab_runner.data_cleaning.table.tables import read, write
    from agentlab_runner.data_cleaning.types import OFD

__all__ = ["OFD", "Ontology", "Repair", "check", "discover", "read", "repair", "write"]

_HOMES = {
    "OFD": "types", "Ontology": "ontology.ontology", "Repair": "repairs.repair", "check": "discovery.logic",
    "discover": "discovery.discover", "read": "table.tables", "repair": "repairs.repair", "write": "table.tables",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    """What is heavy is imported when it is asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)

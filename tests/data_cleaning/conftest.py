"""Small tables and ontologies, written down or drawn."""

from collections.abc import Mapping, Sequence

import numpy as np

from agentlab_runner.data_cleaning.ontology.ontology import Ontology
from agentlab_runner.data_cleaning.types import Table


def make_table(columns: Mapping[str, Sequence[str | None]]) -> Table:
    """A table with codes in order of first appearance."""
    codes, values = [], []
    for cells in columns.values():
        of: dict[str | None, int] = {}
        codes.append(np.array([of.setdefault(cell, len(of)) for cell in cells], dtype=np.int32))
        values.append(tuple(of))
    return Table(tuple(columns), tuple(codes), tuple(values))


def cells(table: Table, column: str) -> list[str | None]:
    at = table.names.index(column)
    return [table.values[at][code] for code in table.codes[at].tolist()]


def make_ontology(column: str, classes: Mapping[str, Sequence[str]], isa: Sequence[tuple[str, str]] = ()) -> Ontology:
    return Ontology.from_dict({column: {"classes": dict(classes), "isa": [list(edge) for edge in isa]}})

"""What the commands write beside a table: name and content of each file, ready to be written whole."""

import io
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from data_cleaning.dependencies import as_dicts, denial_constraints, index_tuples, original_lines
from data_cleaning.ontology import Ontology
from data_cleaning.types import OFD

if TYPE_CHECKING:
    from data_cleaning.repair import Repair

Files = dict[str, bytes]
"""Content by path inside a folder."""


def discovery(ofds: Sequence[OFD], ontology: Ontology, columns: Sequence[str]) -> Files:
    """Dependencies as `ofds.json`, and as the original program, HoloClean and Desbordante write them."""
    return {
        "ofds.json": _json(as_dicts(ofds)),
        "original.txt": _lines(original_lines(ofds, ontology)),
        "holoclean.txt": _lines(denial_constraints(ofds)),
        "desbordante.json": _json(index_tuples(ofds, columns)),
    }


def repaired(repair: "Repair") -> Files:
    """Provenance a cell, additions, the Pareto front, the repaired ontology, and the original program's lists."""
    files = {
        "repairs.parquet": _parquet(
            {name: [getattr(change, name) for change in repair.provenance]
             for name in ("row", "column", "old", "new", "ofd", "sense", "reason")}
        ),
        "ontology_additions.json": _json(
            [
                {"column": one.column, "value": one.value, "concept": one.name, "tuples": one.tuples,
                 "chance": one.chance, "supported": one.supported}
                for one in repair.additions
            ]
        ),
        "pareto.json": _json(
            {"points": [{"additions": p.additions, "changes": p.changes} for p in repair.pareto],
             "chosen": repair.chosen, "search": repair.search, "verified": repair.verified}
        ),
        "original_repairs.txt": _lines(original_repairs(repair)),
    }
    if repair.ontology.columns:
        files["ontology.json"] = _json(repair.ontology.to_dict())
    return files


def original_repairs(repair: "Repair") -> list[str]:
    """The original program's lists: `{tuple numbers}: {label}` of changes, then `{value}: {class}` of additions.

    Tuples count from 1, as the ids of its sample do.
    """
    rows: dict[tuple[str, str], list[int]] = {}
    for change in repair.provenance:
        rows.setdefault((change.column, change.new), []).append(change.row + 1)
    changes = [f"{{{','.join(map(str, numbers))}}}: {{{label}}}" for (_, label), numbers in rows.items()]
    return [*changes, *(f"{{{one.value}}}: {{{one.name}}}" for one in repair.additions)]


def _json(content: Any) -> bytes:
    return (json.dumps(content, ensure_ascii=False, indent=1) + "\n").encode()


def _lines(lines: Sequence[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _parquet(columns: Mapping[str, Sequence[Any]]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {name: pa.int64() if name == "row" else pa.string() for name in columns}
    table = pa.table({name: pa.array(values, types[name]) for name, values in columns.items()})
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()

"""Ontologies as JSON and as CSV."""

import csv
import json
import sys
from pathlib import Path

from agentlab_runner.data_cleaning.ontology.loaders.assemble import assemble, unreadable
from agentlab_runner.data_cleaning.ontology.ontology import Ontology
from agentlab_runner.data_cleaning.types import Hierarchy

_COLUMNS = {"concept", "label", "sense", "parent"}


def read_json(path: Path, related: bool = False) -> Ontology | Hierarchy:
    """What `Ontology.from_dict` takes, or an OBO graph.

    Raises:
        ValueError: if it is neither.
    """
    try:
        spec = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as fault:
        raise unreadable(path, "JSON", fault) from fault
    if isinstance(spec, dict) and "graphs" in spec:
        from agentlab_runner.data_cleaning.ontology.loaders import obo

        return obo.read(path, related)
    try:
        return Ontology.from_dict(spec)
    except ValueError as fault:
        raise ValueError(f"{path}: {fault}") from fault


def read_csv(path: Path) -> Hierarchy:
    """One label a row: columns `concept` and `label`, and if wanted `sense` and `parent`, in any order.

    A concept of one name under two senses is two concepts. A parent is looked for under the same sense first.

    Raises:
        ValueError: if a column is missing or unknown, or a row is ragged.
    """
    labels: dict[tuple[str, str], list[str]] = {}
    parents: dict[tuple[str, str, str], None] = {}
    csv.field_size_limit(sys.maxsize)
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(file, delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
        try:
            head = next(rows, [])
            if not {"concept", "label"} <= set(head) <= _COLUMNS or len(set(head)) < len(head):
                raise ValueError(
                    f"{path}: an ontology has the columns concept and label, and if wanted sense and parent, "
                    f"not {', '.join(head) or 'none'}"
                )
            for row in rows:
                if not row:
                    continue
                if len(row) != len(head):
                    raise ValueError(f"{path}, line {rows.line_num}: {len(row)} fields where {len(head)} are expected")
                cells = dict(zip(head, row, strict=True))
                concept, sense = cells["concept"], cells.get("sense", "")
                held = labels.setdefault((concept, sense), [])
                if cells["label"]:
                    held.append(cells["label"])
                if cells.get("parent"):
                    parents[concept, sense, cells["parent"]] = None
        except (csv.Error, UnicodeDecodeError) as fault:
            raise unreadable(path, "CSV", fault) from fault
    return _by_name(labels, parents)


def _by_name(labels: dict[tuple[str, str], list[str]], parents: dict[tuple[str, str, str], None]) -> Hierarchy:
    """Concepts keep the names that the file gives them, not their first labels."""
    senses = {"\t".join(key): key[1] for key in labels}
    anywhere = {name: "\t".join((name, sense)) for name, sense in reversed(labels)}
    isa = []
    for child, sense, parent in parents:
        same = "\t".join((parent, sense))
        isa.append(("\t".join((child, sense)), same if same in senses else anywhere.get(parent, parent)))
    built = assemble({"\t".join(key): found for key, found in labels.items()}, isa, senses)
    names = [*(name for name, _ in labels), *(concept.name for concept in built.concepts[len(labels) :])]
    renamed = (type(one)(name, one.labels, one.sense) for one, name in zip(built.concepts, names, strict=True))
    return Hierarchy(tuple(renamed), built.isa)

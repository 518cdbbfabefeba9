"""What the commands write beside a table: name and content of each file, ready to be written whole."""

import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from agentlab_runner.data_cleaning.command.show import alternatives, meaning
from agentlab_runner.data_cleaning.discovery.dependencies import (
    as_dicts,
    denial_constraints,
    index_tuples,
    original_lines,
)
from agentlab_runner.data_cleaning.ontology.ontology import Ontology
from agentlab_runner.data_cleaning.types import OFD, Table

if TYPE_CHECKING:
    from agentlab_runner.data_cleaning.discovery.logic import ClassReport, Reading, Report
    from agentlab_runner.data_cleaning.repairs.repair import Repair

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


def checked(reports: Sequence["Report"], ontology: Ontology, table: Table | None) -> Files:
    """`check.json`, and where the table is at hand per violated dependency the file of the original program."""
    files = {
        "check.json": _json(
            [
                summary(one) | {"violations": _classes(one.violations(), one.ofd, ontology),
                                "synonyms": _classes(one.synonyms(), one.ofd, ontology)}
                for one in reports
            ]
        )
    }
    for number, report in enumerate(reports):
        if table and not report.holds:
            name = re.sub(r"[/\\\0]", "_", f"{', '.join(report.ofd.lhs)}--{report.ofd.rhs}.json")
            files[f"original/{name}"] = _json(original_check(report, table, ontology, number))
    return files


def summary(report: "Report") -> dict[str, Any]:
    """Counts of a check."""
    counts = ("rows", "classes", "constant", "by_name", "violated", "flagged", "flagged_without_names", "holds",
              "incomplete")  # fmt: skip
    return as_dicts([report.ofd])[0] | {name: getattr(report, name) for name in counts}


def _classes(found: Iterable["ClassReport"], ofd: OFD, ontology: Ontology) -> list[dict[str, Any]]:
    return [
        {
            "class": dict(zip(ofd.lhs, one.lhs, strict=True)),
            "meaning": meaning(one, ofd, ontology),
            "values": [{"value": r.value, "rows": r.rows.tolist(), "covered": r.covered} for r in one.readings],
            "alternatives": [{"meaning": name, "rows": rows} for name, rows in alternatives(one, ofd, ontology)],
        }
        for one in found
    ]


def original_check(report: "Report", table: Table, ontology: Ontology, number: int) -> dict[str, Any]:
    """As the original program writes it; its ERROR_RATE is the support, and its rows count from 1."""
    ofd, names = report.ofd, table.names
    place = {name: position for position, name in enumerate(names)}
    violations = []
    for position, one in enumerate(report.violations()):
        fits = [r.value for r in one.readings if r.covered]
        violations.append(
            {
                "VID": position,
                "PATTERN": ",".join("" if value is None else value for value in one.lhs),
                "ERROR_COL": place[ofd.rhs],
                "CORRECT_COL": [place[name] for name in ofd.lhs],
                "ERROR_TUPPLES": [
                    _tuple(table, r) | {"REPAIR_CANDIDATE": fits} for r in one.readings if not r.covered
                ],
                "CORRECT_TUPPLES": [_tuple(table, r) for r in one.readings if r.covered],
            }
        )
    concepts = ontology.columns[ofd.rhs].concepts if ofd.rhs in ontology.columns else ()
    return {
        "ID": number,
        "FD": f"{', '.join(ofd.lhs)}-->{ofd.rhs}",
        "SENSE": ", ".join(dict.fromkeys(one.sense for one in concepts if one.sense)),
        "ERROR_RATE": ofd.support,
        "NUMBER_OF_ERROR": sum(len(one.outliers) for one in report.violations()),
        "TOTAL": report.rows,
        "ATTRIBUTES": list(names),
        "VIOLATION": violations,
    }


def _tuple(table: Table, reading: "Reading") -> dict[str, Any]:
    row = int(reading.rows[0])
    cells = [values[codes[row]] or "" for codes, values in zip(table.codes, table.values, strict=True)]
    return {"ROW": row + 1, "CELLS": cells, "FREQUENCY": len(reading.rows)}


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
             "chosen": repair.chosen, "left": repair.left, "search": repair.search, "verified": repair.verified}
        ),
        "original_repairs.txt": _lines(original_repairs(repair)),
        "original_senses.txt": _lines(original_senses(repair)),
    }
    if repair.unresolved:
        files["unresolved.json"] = _json(
            [{"column": one.column, "rows": list(one.rows), "why": str(one)} for one in repair.unresolved]
        )
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


def original_senses(repair: "Repair") -> list[str]:
    """Its `senses.txt`: `{tuple numbers}|SENSE` for every class in question, by dependency.

    A concept that has no sense of an authority goes by its name, a class that means one value by that value.
    """
    lines = []
    for problem in repair.problems:
        senses, readings = problem.under(repair.choices).senses.tolist(), problem.classes.readings
        for rows, sense in zip(problem.classes.tuples(), senses, strict=True):
            concept = readings.concept(sense)
            told = readings.texts[sense - readings.concepts] if concept is None else concept.sense or concept.name
            lines.append(f"{{{','.join(map(str, (rows + 1).tolist()))}}}|{told or ''}")
    return lines


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

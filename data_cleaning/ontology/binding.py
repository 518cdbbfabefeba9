"""Which ontology speaks of which column: `COLUMN=source`, `source:COLUMN`, or a source that finds its columns."""

from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

from agentlab_runner.data_cleaning.ontology.loaders import BUNDLED, load
from agentlab_runner.data_cleaning.ontology.ontology import LOW_COVERAGE, Ontology
from agentlab_runner.data_cleaning.types import Hierarchy, Table


def bind(
    specs: Sequence[str], table: Table, normalise: Sequence[str] = (), related: bool = False
) -> tuple[Ontology, list[str]]:
    """One ontology out of several sources, for the columns of a table.

    A source without a column is bound to every column of which it knows at least 10 % of the cells.

    Args:
        specs: `COLUMN=source`, `source:COLUMN` or `source`, where a source is anything `loaders.load` takes.
        normalise: `HOW` for all columns, `COLUMN=HOW` for one; else what the source asks for.
        related: see `loaders.load`.

    Returns:
        The ontology, and a sentence for every source that found its columns itself or holds what is not read.

    Raises:
        ValueError: if a source cannot be read, or a column is not there or cannot be found.
    """
    ways = _ways(normalise, table.names)
    ontology, said = Ontology(), []
    for spec in specs:
        column, source = _split(spec, table.names)
        found = load(source, related)
        if isinstance(found, Hierarchy):
            said += [f"{source}: {note}" for note in found.notes]
        if isinstance(found, Ontology):
            for bound, hierarchy in _of_columns(found, column, source).items():
                ontology = ontology.bind(bound, hierarchy, ways.get(bound, found.normalise.get(bound)))
            ontology = replace(ontology, condensed=(*ontology.condensed, *found.condensed))
            continue
        asked = BUNDLED[source].normalise if source in BUNDLED else None
        columns = [column] if column else _speaks_of(found, source, table, ways, asked)
        if not column:
            said.append(f"{source} is bound to {', '.join(columns)}, whose values it knows")
        for bound in columns:
            ontology = ontology.bind(bound, found, ways.get(bound, asked))
    ontology.require(table.names)
    return ontology, said


def _split(spec: str, columns: Sequence[str]) -> tuple[str | None, str]:
    for at in (at for at, char in enumerate(spec) if char == "="):  # a name may hold one itself
        if spec[:at] in columns:
            return spec[:at], spec[at + 1 :]
    for at in (at for at, char in enumerate(spec) if char == ":"):
        if spec[at + 1 :] in columns:
            return spec[at + 1 :], spec[:at]
    head, equals, _ = spec.partition("=")
    source, colon, column = spec.rpartition(":")
    if Path(spec).exists():
        return None, spec
    if equals:
        raise ValueError(_no_column(head, spec, columns))
    if colon and (source in BUNDLED or Path(source).exists()):
        raise ValueError(_no_column(column, spec, columns))
    return None, spec


def _no_column(column: str, spec: str, columns: Sequence[str]) -> str:
    near = get_close_matches(column, columns, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"its columns are {', '.join(columns)}"
    return f"ontology {spec!r} is for column {column!r}, which the table does not have; {hint}"


def _of_columns(found: Ontology, column: str | None, source: str) -> dict[str, Hierarchy]:
    if column is None:
        return dict(found.columns)
    if len(found.columns) != 1:
        raise ValueError(f"{source} names its columns itself ({', '.join(found.columns)}); give it without {column!r}")
    return {column: next(iter(found.columns.values()))}


def _speaks_of(
    found: Hierarchy, source: str, table: Table, ways: dict[str, str], asked: str | None
) -> list[str]:
    trial = Ontology()
    for name in table.names:
        trial = trial.bind(name, found, ways.get(name, asked))
    shares = {one.column: one.share for one in trial.coverage(table) if one.values}
    columns = [name for name, share in shares.items() if share >= LOW_COVERAGE]
    if not columns:
        best = max(shares, key=lambda name: shares[name], default=None)
        most = f" (most in {best!r}: {shares[best]:.1%})" if best else ""
        raise ValueError(
            f"{source} knows less than {LOW_COVERAGE:.0%} of the cells of every column{most}; "
            f"say which it speaks of: COLUMN={source}"
        )
    return columns


def _ways(normalise: Sequence[str], columns: Sequence[str]) -> dict[str, str]:
    ways: dict[str, str] = {}
    for one in normalise:
        column, equals, way = one.rpartition("=")
        if equals and column not in columns:
            raise ValueError(f"normalise {one!r} names column {column!r}, which the table does not have")
        ways |= {column: way} if equals else dict.fromkeys(columns, way)
    return ways

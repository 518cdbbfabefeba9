"""What a command is given, made ready: the table, what its values mean, the dependencies asked about."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from agentlab_runner.data_cleaning.command.raha import DIRTY
from agentlab_runner.data_cleaning.discovery import dependencies
from agentlab_runner.data_cleaning.ontology.binding import bind
from agentlab_runner.data_cleaning.ontology.ontology import Ontology
from agentlab_runner.data_cleaning.table.columns import check_kind, columns_of
from agentlab_runner.data_cleaning.table.delimited import AS_IT_LOOKS, ENDINGS, Delimited, Reading, understand
from agentlab_runner.data_cleaning.table.sources import known, load, stream
from agentlab_runner.data_cleaning.table.tables import Missing, read
from agentlab_runner.data_cleaning.types import OFD, Kind, Table

if TYPE_CHECKING:
    from agentlab_runner.data_cleaning.ontology.loaders.java import Config

BEGINNING = 50_000
"""Rows by which ontologies find their columns where the table is not to be read whole."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """How ontologies are to be bound; see `binding.bind`."""

    sources: Sequence[str] = ()
    normalise: Sequence[str] = ()
    senses: Sequence[str] = ()
    """The only ones to use; all if none is named."""
    related: bool = False
    condense: bool = False
    """Whether an is-a cycle may be made one concept, rather than refused."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """A task, complete and checked."""

    source: str | Delimited
    """Path of the table, with how it is read if it is a text file."""
    table: Table
    ontology: Ontology
    ofds: list[OFD]
    kappa: float
    notes: list[str]
    """Sentences for the user, none of which stops the work."""


def gather(
    source: str, meaning: Meaning, ofds: Sequence[str] = (), kind: str = "synonym", theta: int | None = None,
    nulls: Missing = "equal", columns: Sequence[str] = (), beginning: bool = False, reading: Reading = AS_IT_LOOKS,
) -> Inputs:
    """Read the table, bind the ontologies, parse the dependencies.

    Args:
        source: path of a table, a folder of Raha's layout, or a Config of the original Java program, which also gives
            what else is left out.
        ofds: each `A, B -> C`, or a file of them.
        columns: the ones to look at; all if none is named.
        beginning: read the first rows only, by which ontologies find their columns; for work within a memory limit,
            which reads the table for itself.
        reading: how a text file is read.

    Raises:
        ValueError: if any of it is wrong, in one sentence.
    """
    theta = steps(kind, theta)
    if meaning.normalise and not meaning.sources:
        raise ValueError("normalise says how values are compared with labels; name the ontology that has them too")
    ontology, kappa = Ontology(), 1.0
    given: list[OFD] = []
    if source.endswith(".xml"):
        from agentlab_runner.data_cleaning.ontology.loaders.java import read_config

        config = read_config(Path(source))
        if config.data is None:
            raise ValueError(f"{source} names no data file (<data><path>)")
        source, ontology, given, kappa = str(config.data), config.ontology, dependencies_of(config), config.kappa
    if Path(source).is_dir():
        source = str(Path(source) / DIRTY)
    place: str | Delimited = _understood(source, reading)
    arrow = _beginning(place) if beginning else load(place)
    table = read(arrow, nulls="distinct" if nulls == "distinct" else "equal")
    notes = [str(place)] if isinstance(place, Delimited) else []
    if meaning.sources:
        ontology, said = bind(meaning.sources, table, meaning.normalise, meaning.related)
        notes += said
    ontology.require(table.names)
    if ontology.condensed and not meaning.condense:
        raise ValueError(f"the ontology is no hierarchy: {ontology.condensed[0]}; break it, or use --condense-cycles")
    notes += [f"{cycle} is one concept now" for cycle in ontology.condensed]
    if meaning.senses:
        ontology = ontology.only(meaning.senses)
    for name in ontology.columns:
        kept = arrow.schema.field(name).type
        if "string" not in str(kept):
            notes.append(f"column {name!r} holds {kept}; its values are compared with labels as text")
    notes += [one.warning for one in ontology.coverage(table) if one.warning]
    if not table.rows:
        notes.append("the table has no rows, so every dependency holds: vacuously")
    if columns:
        places = [known(name, table.names) for name in dict.fromkeys(columns)]
        names, codes, values = (tuple(part[place] for place in places) for part in _parts(table))
        table = Table(names, codes, values)
    given = list(dict.fromkeys(ofd for text in ofds for ofd in _asked(text, table.names, kind, theta))) or given
    for ofd in given:
        columns_of(ofd, table.names)
        kept = arrow.schema.field(ofd.rhs).type
        if pa.types.is_floating(kept) and ofd.rhs not in ontology.columns:
            notes.append(f"column {ofd.rhs!r} holds {kept}; numbers that differ a little violate {ofd} like any others")
    return Inputs(place, table, ontology, given, kappa, notes)


def _understood(source: str, reading: Reading) -> str | Delimited:
    path = Path(source)
    if path.suffix.lower() in ENDINGS and path.is_file():
        return understand(path, reading)
    if reading != AS_IT_LOOKS and path.is_file():
        raise ValueError(f"{source} is no text file ({', '.join(ENDINGS)}), so it has no delimiter, quote or encoding")
    return source


def dependencies_of(config: "Config") -> list[OFD]:
    """Those of the original's Config, inheritance where the right-hand column is bound to an is-a ontology."""
    ofds = dependencies.read(config.ofds, ()) if config.ofds else []
    return [
        replace(one, kind="inheritance", theta=config.steps[one.rhs]) if one.rhs in config.steps else one
        for one in ofds
    ]


def _beginning(source: str | Delimited) -> pa.Table:
    names, batches = stream(source)
    kept = []
    for batch in batches:
        kept.append(batch)
        if sum(map(len, kept)) >= BEGINNING:
            break
    return pa.Table.from_batches(kept, pa.schema([(name, pa.string()) for name in names]))


def steps(kind: str, theta: int | None) -> int:
    """theta of a kind of dependency: as given, else 1 for inheritance.

    Raises:
        ValueError: if they do not go together.
    """
    found = int(kind == "inheritance") if theta is None else theta
    check_kind(kind, found)
    return found


def _parts(table: Table) -> tuple[Sequence[Any], ...]:
    return table.names, table.codes, table.values


def _asked(text: str, columns: Sequence[str], kind: str, theta: int) -> list[OFD]:
    path = Path(text)
    exact: Kind = "inheritance" if kind == "inheritance" else "synonym"
    meant = "->" not in text and (path.suffix.lower() in dependencies.FILES or path.exists())
    if text and (meant or path.is_file()):
        return dependencies.read(path, columns, exact, theta)
    return dependencies.parse(text, exact, theta)

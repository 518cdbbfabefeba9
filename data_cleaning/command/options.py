"""Options that the verbs of `agentlab clean` share."""

from pathlib import Path
from typing import Annotated

import typer

Source = Annotated[
    str,
    typer.Argument(
        metavar="TABLE",
        help="CSV, TSV, Parquet, Arrow, FILE.duckdb::TABLE, a folder of Raha's layout (dirty.csv), or "
        "a Config of the original Java program (.xml).",
    ),
]
Ontologies = Annotated[
    list[str] | None,
    typer.Option(
        "--ontology", "-y", metavar="[COLUMN=]SOURCE",
        help="What values mean: a file (SKOS, OWL, OBO, CSV, JSON), a folder, or a name of `clean ontologies`; several "
        "may be given. Without COLUMN it is bound to the columns whose values it knows.",
        show_default=False,
    ),
]
Normalise = Annotated[
    list[str] | None,
    typer.Option(
        "--normalise", metavar="[COLUMN=]HOW",
        help="How values and labels are made alike: none, strip, casefold, NFKC, or several joined by +.",
        show_default=False,
    ),
]
Senses = Annotated[
    list[str] | None,
    typer.Option("--sense", help="Use the concepts of this sense only; several may be given.", show_default=False),
]
Related = Annotated[bool, typer.Option("--related", help="Take related synonyms of OBO and OWL files for labels too.")]
Condense = Annotated[bool, typer.Option("--condense-cycles", help="Make the concepts on an is-a cycle one.")]
Delimiter = Annotated[
    str | None,
    typer.Option("--delimiter", metavar="CHAR|tab", help="What stands between the fields of a text file; found by "
                 "looking at it if not given.", show_default=False),
]
Quote = Annotated[
    str | None,
    typer.Option("--quote", metavar="CHAR|none", help="What stands around fields; a double quote if not given.",
                 show_default=False),
]
Encoding = Annotated[
    str | None,
    typer.Option("--encoding", help="Of a text file: latin-1, cp1252, ...; UTF-8, or what a byte-order mark says, if "
                 "not given.", show_default=False),
]
NullValues = Annotated[
    str | None,
    typer.Option("--null-values", metavar="NA,N/A,...", help="Fields of a text file that are NULL as empty ones are, "
                 "where they are not quoted.", show_default=False),
]
Nulls = Annotated[str, typer.Option("--nulls", help="equal: NULL is one value; distinct: each differs from all.")]
Missing = Annotated[
    str,
    typer.Option("--nulls", help="ignore: a row that lacks a cell of a dependency is compared with no other; equal: "
                 "NULL is one value; distinct: each differs from all."),
]
Kinds = Annotated[
    str,
    typer.Option("--kind", help="synonym: one concept covers the values; inheritance: one that is near above them."),
]
Theta = Annotated[
    int | None,
    typer.Option("--theta", help="Steps upward that inheritance may take; 1 if not given.", show_default=False),
]
Ofds = Annotated[
    list[str] | None,
    typer.Option(
        "--ofd", "-d", metavar='"A, B -> C"|FILE',
        help="A dependency, or a file of them: one a line, or ofds.json; several may be given.", show_default=False,
    ),
]
Details = Annotated[
    Path | None, typer.Option("--details", help="A folder for the machine-readable results.", show_default=False)
]
Page = Annotated[
    Path | None,
    typer.Option("--report", metavar="PAGE.html", help="A page of every class with its values.", show_default=False),
]
Threads = Annotated[int, typer.Option("--threads", help="0: as many as there are cores.")]
Memory = Annotated[
    str | None,
    typer.Option("--memory-limit", help="As 500MB or 2GB; above it work goes through DuckDB.", show_default=False),
]

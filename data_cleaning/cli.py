"""`agentlab clean`: discover dependencies in a table, check it, repair it."""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runners.errors import UserError
from runners.verbs import Json, told

if TYPE_CHECKING:
    from data_cleaning.ontology import Ontology
    from data_cleaning.types import OFD, Table

app = typer.Typer(
    help="Find dependencies that hold up to the meaning of values, see what violates them, and repair it.",
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Source = Annotated[
    str,
    typer.Argument(
        metavar="TABLE", help="CSV, TSV, Parquet, Arrow, FILE.duckdb::TABLE, or a Config of the original Java program."
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
Nulls = Annotated[str, typer.Option("--nulls", help="equal: NULL is one value; distinct: each differs from all.")]
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
Page = Annotated[Path | None, typer.Option("--report", help="An HTML page to look at.", show_default=False)]
Threads = Annotated[int, typer.Option("--threads", help="0: as many as there are cores.")]
Memory = Annotated[
    str | None,
    typer.Option("--memory-limit", help="As 500MB or 2GB; above it work goes through DuckDB.", show_default=False),
]


def command(function: Callable[..., None]) -> Callable[..., None]:
    """A verb of `agentlab clean`: what the library raises over bad input is for the user."""

    @functools.wraps(function)
    def explained(*args: Any, **options: Any) -> None:
        try:
            function(*args, **options)
        except ValueError as fault:
            raise UserError(str(fault)) from fault
        except ModuleNotFoundError as fault:
            raise UserError(f"{fault.name} is not installed; install agentlab-runner[cleaning]") from fault

    return app.command()(told(explained))


@command
def ontologies(json: Json = False) -> None:
    """List the vocabularies that come along, and the files that are read."""
    from data_cleaning.loaders import BUNDLED
    from runners.tables import print_json, print_table

    about = {name: one.about for name, one in BUNDLED.items()}
    if json:
        print_json(about)
    else:
        print_table(("name", "what it is"), list(about.items()))


@command
def example(
    folder: Annotated[Path, typer.Argument(help="Where to put it.")] = Path("cleaning_example"),
) -> None:
    """Write the tables and the ontology of docs/data_cleaning.md into a folder."""
    from runners.atomic import write_atomic

    for file in sorted((Path(__file__).parent / "example").iterdir()):
        if (folder / file.name).exists():
            raise UserError(f"{folder / file.name} is there already; name another folder")
        write_atomic(folder / file.name, file.read_bytes())
        print(folder / file.name)

"""`agentlab clean`: discover dependencies in a table, check it, repair it."""

import functools
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from agentlab_runner.data_cleaning.command.options import (
    Condense,
    Delimiter,
    Details,
    Encoding,
    Kinds,
    Memory,
    Missing,
    Normalise,
    Nulls,
    NullValues,
    Ofds,
    Ontologies,
    Page,
    Quote,
    Related,
    Senses,
    Source,
    Theta,
    Threads,
)
from agentlab_runner.data_cleaning.command.terminal import Levels, note, one_of, print_sections, write_files
from agentlab_runner.runners.config.extras import advised, remedy
from agentlab_runner.runners.errors import NotWritable, RunFailed, UserError
from agentlab_runner.runners.terminal.verbs import Json, told

if TYPE_CHECKING:
    from agentlab_runner.data_cleaning.command.inputs import Inputs
    from agentlab_runner.data_cleaning.table.delimited import Delimited

WRITTEN = (".csv", ".tsv", ".txt", ".parquet", ".arrow", ".feather")
NULLS = ("ignore", "equal", "distinct")
UNRESOLVED = 20
"""What stands in the way of a repair is said so often at most; all of it is in unresolved.json."""
WIDE = 20
"""Columns above which discovery, exponential in them, comes with a word of warning."""

app = typer.Typer(
    help="Find dependencies that hold up to the meaning of values, see what violates them, and repair it.",
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def command(function: Callable[..., None]) -> Callable[..., None]:
    """A verb of `agentlab clean`: what the library raises over bad input is for the user."""

    @functools.wraps(function)
    def explained(*args: Any, **options: Any) -> None:
        try:
            function(*args, **options)
        except ValueError as fault:
            raise UserError(str(fault)) from fault
        except (NotWritable, FileExistsError, IsADirectoryError, NotADirectoryError, PermissionError) as fault:
            cause = fault.__cause__ if isinstance(fault, NotWritable) else fault
            assert isinstance(cause, OSError)
            raise UserError(f"{cause.filename2 or cause.filename}: {cause.strerror}; name another place") from fault
        except ModuleNotFoundError as fault:
            if not remedy(fault):
                raise
            raise UserError(advised(f"{fault.name} is not installed", fault)) from fault

    return app.command()(told(explained))


@command
def discover(
    table: Source,
    ontology: Ontologies = None,
    kind: Kinds = "synonym",
    theta: Theta = None,
    kappa: Annotated[
        float | None,
        typer.Option(help="Share of the rows that a dependency must hold on; 1 if not given.", show_default=False),
    ] = None,
    max_lhs: Annotated[
        int | None, typer.Option("--max-lhs", help="Columns on the left side at most.", show_default=False)
    ] = None,
    columns: Annotated[
        str | None, typer.Option("--columns", metavar="A,B,...", help="Look at these only.", show_default=False)
    ] = None,
    constants: Annotated[bool, typer.Option(help="Report [] -> A where a whole column is one concept.")] = True,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="An ofds.json to write.", show_default=False)] = None,
    details: Details = None,
    normalise: Normalise = None,
    sense: Senses = None,
    related: Related = False,
    condense_cycles: Condense = False,
    nulls: Nulls = "equal",
    threads: Threads = 0,
    memory_limit: Memory = None,
    delimiter: Delimiter = None,
    quote: Quote = None,
    encoding: Encoding = None,
    null_values: NullValues = None,
    json: Json = False,
) -> None:
    """Find all minimal dependencies of a table: functional ones, and those that hold up to the meaning of values."""
    from agentlab_runner.data_cleaning.command import files, show
    from agentlab_runner.data_cleaning.command.inputs import steps
    from agentlab_runner.data_cleaning.discovery.dependencies import as_dicts, names
    from agentlab_runner.data_cleaning.discovery.discover import discover as find
    from agentlab_runner.runners.terminal.tables import print_json

    one_of("nulls", nulls, ("equal", "distinct"))
    if columns is not None and memory_limit:
        raise UserError("--columns and --memory-limit do not go together; write a table of these columns first")
    meaning, reading = (ontology, normalise, sense, related, condense_cycles), (delimiter, quote, encoding, null_values)
    given = _gather(
        table, meaning, reading, nulls, kind=kind, theta=theta,
        columns=() if columns is None else names(columns), beginning=bool(memory_limit),
    )
    if len(given.table.names) > WIDE and max_lhs is None:
        note(f"{len(given.table.names)} columns may take long; --max-lhs 3 or --columns make it less")
    asked: Any = {"kind": kind, "nulls": nulls}
    with Levels() as levels:
        found = find(
            given.source if memory_limit else given.table, given.ontology, **asked, theta=steps(kind, theta),
            kappa=given.kappa if kappa is None else kappa, max_lhs=max_lhs, allow_empty_lhs=constants,
            threads=threads or None, memory_limit=memory_limit, progress=levels,
        )
    written = files.discovery(found, given.ontology, given.table.names)
    if out:
        write_files(out.parent, {out.name: written["ofds.json"]})
    if details:
        write_files(details, written)
    if json:
        print_json({"columns": given.table.names, "ofds": as_dicts(found)})
    else:
        print_sections([show.dependencies(found, whole=not sys.stdout.isatty())])


@command
def check(
    table: Source,
    ofd: Ofds = None,
    ontology: Ontologies = None,
    kind: Kinds = "synonym",
    theta: Theta = None,
    details: Details = None,
    report: Page = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 if a dependency does not hold.")] = False,
    normalise: Normalise = None,
    sense: Senses = None,
    related: Related = False,
    condense_cycles: Condense = False,
    nulls: Missing = "ignore",
    memory_limit: Memory = None,
    delimiter: Delimiter = None,
    quote: Quote = None,
    encoding: Encoding = None,
    null_values: NullValues = None,
    json: Json = False,
) -> None:
    """Show what violates a dependency, what only looks as if it did, and what each violated class means."""
    from agentlab_runner.data_cleaning.command import files, show
    from agentlab_runner.data_cleaning.discovery.logic import check
    from agentlab_runner.runners.terminal.tables import print_json

    how: Any = one_of("nulls", nulls, NULLS)
    meaning, reading = (ontology, normalise, sense, related, condense_cycles), (delimiter, quote, encoding, null_values)
    given = _gather(table, meaning, reading, nulls, ofd, kind, theta, beginning=bool(memory_limit))
    if not given.ofds:
        raise UserError('there is nothing to check; name a dependency with --ofd "A, B -> C"')
    if memory_limit:
        from agentlab_runner.data_cleaning.discovery import sql

        found = [sql.check(given.source, one, given.ontology, memory_limit, nulls=how) for one in given.ofds]
    else:
        found = [check(given.table, one, given.ontology, nulls=how) for one in given.ofds]
    if details:
        write_files(details, files.checked(found, given.ontology, None if memory_limit else given.table))
    if report:
        from agentlab_runner.data_cleaning.command.page import check_page

        write_files(report.parent, {report.name: check_page(found, given.ontology).encode()})
    if json:
        print_json([files.summary(one) for one in found])
    else:
        for one in found:
            print_sections(show.check(one, given.ontology, whole=not sys.stdout.isatty()))
    if strict and not all(one.holds for one in found):
        raise typer.Exit(1)


@command
def repair(
    table: Source,
    ofd: Ofds = None,
    ontology: Ontologies = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The repaired table.", show_default=False)] = None,
    in_place: Annotated[bool, typer.Option("--in-place", help="Write the repaired table over the input.")] = False,
    details: Details = None,
    report: Page = None,
    choose: Annotated[
        str,
        typer.Option(
            help="Which point of the Pareto front to take: a number of additions to the ontology, evidence (those the "
            "data support) or knee.",
        ),
    ] = "evidence",
    tau: Annotated[
        int | None,
        typer.Option(help="Instead: the fewest additions with at most so many changed cells.", show_default=False),
    ] = None,
    max_additions: Annotated[
        int | None, typer.Option(help="Where the Pareto front ends.", show_default=False)
    ] = None,
    search: Annotated[str, typer.Option(help="exact, fixed, beam, or auto: exact where that is small.")] = "auto",
    sense_init: Annotated[str, typer.Option(help="Senses at first: max_cover, or mad as published.")] = "max_cover",
    typo_guard: Annotated[
        bool, typer.Option(help="Never add to the ontology what looks like a slip of the pen.")
    ] = True,
    adopt_foreign: Annotated[
        bool,
        typer.Option("--adopt-foreign", help="Let the ontology adopt values that are at home in another concept."),
    ] = False,
    fill_missing: Annotated[
        bool, typer.Option("--fill-missing", help="Fill in missing cells of right-hand columns, too.")
    ] = False,
    kind: Kinds = "synonym",
    theta: Theta = None,
    normalise: Normalise = None,
    sense: Senses = None,
    related: Related = False,
    condense_cycles: Condense = False,
    nulls: Missing = "ignore",
    delimiter: Delimiter = None,
    quote: Quote = None,
    encoding: Encoding = None,
    null_values: NullValues = None,
    json: Json = False,
) -> None:
    """Change cells, and add to the ontology, until the dependencies hold: as few as possible of both.

    Without --out or --in-place it only shows what it would do. The input is not touched unless --in-place is given.
    """
    from agentlab_runner.data_cleaning.command import files, show
    from agentlab_runner.data_cleaning.command.page import page
    from agentlab_runner.data_cleaning.command.raha import CLEAN, compare
    from agentlab_runner.data_cleaning.repairs.problem import Search
    from agentlab_runner.data_cleaning.repairs.repair import repair
    from agentlab_runner.data_cleaning.repairs.senses import Init
    from agentlab_runner.data_cleaning.table.writing import NotAsMeant
    from agentlab_runner.runners.terminal.tables import print_json

    if (tau is not None) + (choose != "evidence") > 1:
        raise UserError("--tau and --choose each pick a point of the Pareto front; give one of them")
    meaning, reading = (ontology, normalise, sense, related, condense_cycles), (delimiter, quote, encoding, null_values)
    given = _gather(table, meaning, reading, nulls, ofd, kind, theta)
    target = _target(given.source, out, in_place)
    done = repair(
        given.table, given.ofds, given.ontology, search=one_of("search", search, get_args(Search)), tau=tau,
        choose=int(choose) if choose.isdecimal() else one_of("choose", choose, ("evidence", "knee")),
        max_additions=max_additions, typo_guard=typo_guard, adopt_foreign=adopt_foreign,
        nulls=one_of("nulls", nulls, NULLS), fill_missing=fill_missing,
        sense_init=one_of("sense_init", sense_init, get_args(Init)),
    )
    truth = Path(table) / CLEAN
    quality = compare(truth, given.table, done.changes, {one.rhs for one in given.ofds}) if truth.is_file() else None
    folder = details or (target and target.with_name(f"{target.stem}_details"))
    if folder:
        write_files(folder, files.repaired(done))
    if report:
        write_files(report.parent, {report.name: page(done).encode()})
    if target:
        try:
            done.write(given.source, target)  # last: where the table is, everything is
        except NotAsMeant as fault:
            raise RunFailed(str(fault)) from fault
    if json:
        print_json(
            {"pareto": [point._asdict() for point in done.pareto], "chosen": done.chosen,
             "additions": len(done.additions), "changes": len(done.provenance), "left": done.left,
             "verified": done.verified,
             "unresolved": [str(one) for one in done.unresolved], "out": target and str(target),
             "details": folder and str(folder), "quality": quality and quality._asdict()}
        )
    else:
        print_sections(show.repair(done))
        print(f"{len(done.provenance)} cells {'changed' if target else 'would change'}"
              + (f": {target}, reasons in {folder}" if target else "; nothing was written, name --out or --in-place"))
        if quality:
            print(f"against {CLEAN}:", ", ".join(f"{name} {value:.3f}" for name, value in quality._asdict().items()))
    for one in done.unresolved[:UNRESOLVED]:
        print(one, file=sys.stderr)
    if len(done.unresolved) > UNRESOLVED:
        print(f"... and {len(done.unresolved) - UNRESOLVED} more", file=sys.stderr)
    if not done.verified:
        raise RunFailed("the repaired table does not satisfy every dependency; what stands in the way is said above")


@command
def coverage(
    table: Source,
    ontology: Ontologies = None,
    normalise: Normalise = None,
    sense: Senses = None,
    related: Related = False,
    condense_cycles: Condense = False,
    delimiter: Delimiter = None,
    quote: Quote = None,
    encoding: Encoding = None,
    null_values: NullValues = None,
    json: Json = False,
) -> None:
    """Show how much an ontology knows of each column that it is bound to."""
    from dataclasses import asdict

    from agentlab_runner.data_cleaning.command import show
    from agentlab_runner.runners.terminal.tables import print_json

    meaning, reading = (ontology, normalise, sense, related, condense_cycles), (delimiter, quote, encoding, null_values)
    given = _gather(table, meaning, reading)
    found = given.ontology.coverage(given.table)
    if not found:
        raise UserError("no ontology was given; name one with --ontology SOURCE (see: agentlab clean ontologies)")
    if json:
        print_json([asdict(one) | {"share": one.share} for one in found])
    else:
        print_sections([show.coverage(found)])


@command
def ontologies(json: Json = False) -> None:
    """List the vocabularies that come along; docs/data_cleaning.md lists the files that are read."""
    from agentlab_runner.data_cleaning.ontology.loaders import BUNDLED
    from agentlab_runner.runners.terminal.tables import print_json, print_table

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
    from agentlab_runner.runners.files.atomic import write_atomic

    for file in sorted((Path(__file__).parents[1] / "example").iterdir()):
        if (folder / file.name).exists():
            raise UserError(f"{folder / file.name} is there already; name another folder")
        write_atomic(folder / file.name, file.read_bytes())
        print(folder / file.name)


def _gather(
    source: str, meaning: tuple[Any, ...], reading: tuple[Any, ...], nulls: str = "equal",
    ofds: Sequence[str] | None = None, kind: str = "synonym", theta: int | None = None, columns: Sequence[str] = (),
    beginning: bool = False,
) -> "Inputs":
    """`meaning` and `reading` are what the options of `inputs.Meaning` and of text files were given, in order."""
    from agentlab_runner.data_cleaning.command.inputs import Meaning, gather
    from agentlab_runner.data_cleaning.table.delimited import Reading

    delimiter, quote, encoding, nothing = reading
    said = Reading(delimiter, quote, encoding, () if nothing is None else tuple(nothing.split(",")))
    how: Any = nulls
    sources, ways, senses, related, condense = meaning
    speaks = Meaning(sources or (), ways or (), senses or (), related, condense)
    given = gather(source, speaks, ofds or (), kind, theta, how, columns, beginning, said)
    for one in given.notes:
        note(one)
    return given


def _target(given: "str | Delimited", out: Path | None, in_place: bool) -> Path | None:
    """Where the repaired table goes; None if it is not to be written."""
    if in_place and out:
        raise UserError("--out and --in-place exclude each other; give one of them")
    source = Path(given if isinstance(given, str) else given.path)
    target = source if in_place else out
    if target and target.suffix.lower() not in WRITTEN:
        raise UserError(f"{target} cannot be written; end its name in {', '.join(WRITTEN)}")
    if target and not in_place and target.exists() and source.exists() and target.samefile(source):
        raise UserError(f"{target} is the input itself; name another file, or say --in-place")
    return target

"""Results as tables for the eye: a title, a header, rows of text."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from data_cleaning.ontology import Coverage
from data_cleaning.types import OFD

if TYPE_CHECKING:
    from data_cleaning.repair import Repair

SHOWN = 40
"""Rows of a table before it ends in `and N more`."""


class Section(NamedTuple):
    title: str
    header: tuple[str, ...]
    rows: list[tuple[str, ...]]
    more: int = 0
    """Rows that were left out."""


def section(title: str, header: Sequence[str], rows: Sequence[Sequence[str | None]], shown: int = SHOWN) -> Section:
    """The first rows; NULL and empty text are made visible."""
    seen = [tuple("NULL" if cell is None else cell or "''" for cell in row) for row in rows[:shown]]
    return Section(title, tuple(header), seen, max(0, len(rows) - shown))


def coverage(found: Sequence[Coverage]) -> Section:
    """How much the ontology knows of each column."""
    rows = [
        (one.column, f"{one.known}/{one.values}", f"{one.share:.1%}", f"{one.known_rows}/{one.rows}",
         ", ".join(one.examples[:5]) or "-")
        for one in found
    ]
    return section("", ("column", "known values", "share", "rows", "unknown values"), rows)


def dependencies(ofds: Sequence[OFD], whole: bool = False) -> Section:
    """Those that need the ontology first, the most telling on top; then the plain ones."""
    ranked = sorted(ofds, key=lambda one: -(one.support - one.strength.chance if one.strength else -1))
    rows = []
    for one in ranked:
        told = one.strength
        needs = (f"{told.classes}", f"{told.rows}", f"{told.gain:+.3f}", f"{told.chance:.3f}") if told else ("-",) * 4
        rows.append((str(one), f"{one.support:.4f}", *needs))
    header = ("dependency", "support", "classes by ontology", "their rows", "gain", "by chance")
    return section(f"{len(ofds)} dependencies", header, rows, len(rows) if whole else SHOWN)


def repair(done: "Repair") -> list[Section]:
    """The Pareto front, additions and changes."""
    front = [
        (str(point.additions), str(point.changes), "taken" if position == done.chosen else "-")
        for position, point in enumerate(done.pareto)
    ]
    additions = [(one.column, one.value, one.name, str(one.tuples), "yes" if one.supported else "no")
                 for one in done.additions]
    changes = [(str(one.row), one.column, one.old, one.new, one.sense, one.reason) for one in done.provenance]
    sections = [
        section(f"ways to repair (search: {done.search})", ("additions", "changed cells", ""), front),
        section("added to the ontology", ("column", "value", "concept", "rows", "supported"), additions),
        section("changed cells", ("row", "column", "old", "new", "meaning", "why"), changes),
    ]
    return [one for one in sections if one.rows]

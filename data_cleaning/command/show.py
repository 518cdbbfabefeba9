"""Results as tables for the eye: a title, a header, rows of text."""

from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from agentlab_runner.data_cleaning.discovery.dependencies import is_plain
from agentlab_runner.data_cleaning.ontology.form import full_name
from agentlab_runner.data_cleaning.ontology.ontology import Coverage, Ontology
from agentlab_runner.data_cleaning.types import OFD

if TYPE_CHECKING:
    from agentlab_runner.data_cleaning.discovery.logic import ClassReport, Report
    from agentlab_runner.data_cleaning.repairs.repair import Repair

SHOWN = 40
"""Rows of a table before it ends in `and N more`."""


class Section(NamedTuple):
    title: str
    header: tuple[str, ...]
    """Empty for a list of facts: each row is then a name and what is to be said."""
    rows: Sequence[tuple[str, ...]]
    more: int = 0
    """Rows that were left out."""


def section(title: str, header: Sequence[str], rows: Sequence[Sequence[str | None]], shown: int = SHOWN) -> Section:
    """The first rows; NULL and empty text are made visible."""
    seen = [tuple(map(cell, row)) for row in rows[:shown]]
    return Section(title, tuple(header), seen, max(0, len(rows) - shown))


def coverage(found: Sequence[Coverage]) -> Section:
    """How much the ontology knows of each column."""
    rows = [
        (one.column, f"{one.known}/{one.values}", f"{one.known_rows}/{one.rows}", f"{one.share:.1%}",
         ", ".join(one.examples[:5]) or "-")
        for one in found
    ]
    return section("", ("column", "known values", "cells", "share", "unknown values"), rows)


def dependencies(ofds: Sequence[OFD], whole: bool = False) -> Section:
    """Those that need the ontology first, the most telling on top; then the plain ones."""
    meant = [(one, one.strength) for one in ofds if one.strength and one.strength.classes]
    rows = [
        (str(one), f"{one.support:.4f}", str(told.classes), str(told.rows), f"{told.gain:+.4f}", f"{told.chance:.4f}")
        for one, told in sorted(meant, key=lambda pair: pair[1].chance - pair[0].support)
    ]
    rows += [(str(one), f"{one.support:.4f}", "-", "-", "-", "-") for one in ofds if is_plain(one)]
    header = ("dependency", "support", "classes by ontology", "their rows", "gain", "by chance")
    return section(f"{len(ofds)} dependencies", header, rows, len(rows) if whole else SHOWN)


def check(report: "Report", ontology: Ontology, whole: bool = False) -> list[Section]:
    """How a dependency fares, its violated classes (all of them if `whole`) and those that have one meaning."""
    ofd, told = report.ofd, report.ofd.strength
    facts = [
        ("support", f"{ofd.support:.4f} of {report.rows} rows could stay"),
        ("classes", f"{report.classes} of two rows or more: {report.constant} of one text, {report.by_name} of one "
         f"meaning, {report.violated} violated"),
        ("rows in them", f"{report.flagged} (by text alone: {report.flagged_without_names})"),
    ]
    if report.incomplete:
        facts.append(("left out", f"{report.incomplete} rows that lack a cell of it"))
    if told:
        facts.append(("the ontology adds", f"{told.gain:+.4f} to the support; by chance it would be {told.chance:.4f}"))
    shown = None if whole else SHOWN
    violated = [
        (class_name(ofd, one.lhs), meaning(one, ofd, ontology), f"{one.covered}/{one.size}", _counts(one, False))
        for one in islice(report.violations(), shown)
    ]
    spared = [
        (class_name(ofd, one.lhs), meaning(one, ofd, ontology), _counts(one, True))
        for one in islice(report.synonyms(), SHOWN)  # there may be as many as the table has classes
    ]
    sections = [
        section(f"{ofd} {'holds' if report.holds else 'does not hold'}", (), facts),
        Section("violated", ("class", "best meaning", "covers", "outside"), violated, report.violated - len(violated)),
        Section("of one meaning", ("class", "meaning", "values"), spared, report.by_name - len(spared)),
    ]
    return [one for one in sections if one.rows]


def meaning(found: "ClassReport", ofd: OFD, ontology: Ontology) -> str:
    """What covers most of a class: a concept with its sense, or a value as it is written."""
    if found.concept is None:
        return next((cell(one.value) for one in found.readings if one.covered), "-")
    return full_name(ontology.columns[ofd.rhs].concepts[found.concept])


def alternatives(found: "ClassReport", ofd: OFD, ontology: Ontology) -> list[tuple[str, int]]:
    """(concept with its sense, tuples) of what else a class could mean."""
    return [(full_name(ontology.columns[ofd.rhs].concepts[one]), rows) for one, rows in found.alternatives]


def class_name(ofd: OFD, values: Sequence[str | None]) -> str:
    """What the tuples of a class agree on: `CC=US, YEAR=2020`."""
    return ", ".join(f"{name}={cell(value)}" for name, value in zip(ofd.lhs, values, strict=True)) or "whole table"


def cell(text: str | None) -> str:
    """A cell with NULL and empty text made visible."""
    return "NULL" if text is None else text or "''"


def _counts(found: "ClassReport", covered: bool) -> str:
    return ", ".join(f"{cell(one.value)} ({len(one.rows)})" for one in found.readings if one.covered == covered)


def _taken(done: "Repair") -> str:
    """What is said of the point that is taken: not all of it is done where cells are unresolved."""
    return f"taken, {done.left} of them left as they are" if done.left else "taken"


def repair(done: "Repair") -> list[Section]:
    """The Pareto front, additions and changes."""
    front = [
        (str(point.additions), str(point.changes), _taken(done) if position == done.chosen else "-")
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

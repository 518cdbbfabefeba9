"""A check or a repair as one HTML page that needs nothing else: every class with its values, the front to click on."""

import base64
import hashlib
from collections.abc import Sequence
from importlib.resources import files
from itertools import islice
from typing import TYPE_CHECKING, Any

import jinja2
import numpy as np
from markupsafe import Markup

from agentlab_runner.data_cleaning.command.show import alternatives, cell, class_name, meaning
from agentlab_runner.data_cleaning.ontology.ontology import Ontology
from agentlab_runner.data_cleaning.repairs.front import Addition
from agentlab_runner.data_cleaning.repairs.labels import Labels
from agentlab_runner.data_cleaning.repairs.problem import Problem
from agentlab_runner.data_cleaning.repairs.repair import Repair
from agentlab_runner.data_cleaning.types import OFD

if TYPE_CHECKING:
    from agentlab_runner.data_cleaning.discovery.logic import ClassReport, Report

MOST_POINTS = 200
MOST_CLASSES = 200
MOST_VALUES = 40
MOST_ALTERNATIVES = 4
MOST_CHANGES = 1000
MOST_UNRESOLVED = 50
"""What a page shows of each kind at most; it says how many there are."""


def page(repair: Repair) -> str:
    """The page of a repair."""
    violated = sum(int(_violated(problem).sum()) for problem in repair.problems)
    payload = _payload(repair, violated)
    return _render(
        title=", ".join(str(ofd) for problem in repair.problems for ofd in problem.classes.ofds),
        about="repair by ontology functional dependencies",
        good=repair.verified,
        badge="verified" if repair.verified else "not satisfied",
        tiles=[
            (len(repair.provenance), "cells changed"),
            (len(repair.additions), "labels added to the ontology"),
            (violated, "classes in violation"),
            (f"{repair.bound.lower}–{repair.bound.upper}", "changes without additions, by the conflict graph"),
        ],
        notices=_notices(repair, payload),
        columns=("support before", "after", "classes in violation", "rows outside their sense"),
        dependencies=[row for problem in repair.problems for row in _dependencies(problem, repair.verified)],
        search=repair.search,
        shown=repair.provenance[:MOST_CHANGES],
        payload=payload,
    )


def check_page(reports: Sequence["Report"], ontology: Ontology) -> str:
    """The page of a check: what violates each dependency, and what has one meaning though not one text."""
    violated, spared = (sum(getattr(one, name) for one in reports) for name in ("violated", "by_name"))
    worst = sorted(
        ((one, found) for one in reports for found in islice(one.violations(), MOST_CLASSES)),
        key=lambda pair: pair[1].covered - pair[1].size,
    )
    others = ((one, found) for one in reports for found in islice(one.synonyms(), MOST_CLASSES))
    listed = [*worst[:MOST_CLASSES], *islice(others, MOST_CLASSES)]
    classes = [
        {"id": str(number), **_reported(found, report.ofd, ontology)} for number, (report, found) in enumerate(listed)
    ]
    point = {"additions": 0, "changes": sum(one.deficit for one in reports), "plus": [], "minus": [], "readings": {}}
    total = violated + spared
    return _render(
        title=", ".join(str(one.ofd) for one in reports),
        about="check of ontology functional dependencies",
        good=not violated,
        badge="does not hold" if violated else "holds",
        tiles=[
            (max(one.rows for one in reports), "rows"),
            (violated, "classes in violation"),
            (spared, "classes of several texts and one meaning"),
            (point["changes"], "rows outside what their class means"),
        ],
        notices=[f"of {total} classes of several texts {len(listed)} are shown"] if len(listed) < total else [],
        columns=("support", "by text alone", "by chance", "classes in violation", "rows outside"),
        dependencies=[(str(one.ofd), _measured(one)) for one in reports],
        search=None,
        shown=(),
        payload={"points": [point], "taken": 0, "classes": classes, "total": total, "candidates": []},
    )


def _render(**told: Any) -> str:
    """Everything in it is escaped; its policy lets no other script run than its own."""
    package = files("agentlab_runner.data_cleaning.command")
    script = (package / "page.js").read_text("utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    return environment.from_string((package / "page.html").read_text("utf-8")).render(
        **told,
        style=Markup((files("agentlab_runner.runners.report") / "page.css").read_text("utf-8")),  # all pages look alike
        script=Markup(script),
        script_hash=f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}",
    )


def _measured(report: "Report") -> tuple[str, ...]:
    support, strength = report.ofd.support, report.ofd.strength
    alone, chance = (support - strength.gain, f"{strength.chance:.4f}") if strength else (support, "-")
    return f"{support:.4f}", f"{alone:.4f}", chance, str(report.violated), str(report.deficit)


def _reported(found: "ClassReport", ofd: OFD, ontology: Ontology) -> dict[str, Any]:
    seen = found.readings[:MOST_VALUES]
    return {
        "ofd": str(ofd), "key": class_name(ofd, found.lhs), "size": found.size,
        "values": [[cell(one.value), len(one.rows)] for one in seen], "more": len(found.readings) - len(seen),
        "readings": [{"name": meaning(found, ofd, ontology), "covered": [one.covered for one in seen],
                      "candidates": [-1] * len(seen)}],
        "alternatives": alternatives(found, ofd, ontology)[:MOST_ALTERNATIVES],
    }  # fmt: skip


def _notices(repair: Repair, payload: dict[str, Any]) -> list[str]:
    said = [str(one) for one in repair.unresolved[:MOST_UNRESOLVED]]
    if len(repair.unresolved) > MOST_UNRESOLVED:
        said.append(f"and {len(repair.unresolved) - MOST_UNRESOLVED} more are unresolved")
    if len(payload["classes"]) < payload["total"]:
        said.append(f"of {payload['total']} classes in violation the {MOST_CLASSES} worst are shown")
    if len(payload["points"]) < len(repair.pareto):
        said.append(f"of {len(repair.pareto)} points of the front {len(payload['points'])} are shown")
    if len(repair.provenance) > MOST_CHANGES:
        said.append(f"of {len(repair.provenance)} changed cells the first {MOST_CHANGES} are listed")
    return said


def _best(problem: Problem) -> tuple[Any, Any]:
    """(node, tuples of the sense that covers most of it), for every node."""
    cover = problem.classes.cover
    best = np.zeros(len(problem.senses), dtype=np.int64)
    np.maximum.at(best, cover.node, cover.tuples)
    return best, problem.classes.size - best


def _violated(problem: Problem) -> Any:
    """[X], whether no sense covers all of a class."""
    return _best(problem)[1] > 0


def _dependencies(problem: Problem, verified: bool) -> list[tuple[str, tuple[str, ...]]]:
    classes = problem.classes
    _, outside = _best(problem)
    rows = max(1, len(classes.group))
    found: list[tuple[str, tuple[str, ...]]] = []
    for position, ofd in enumerate(classes.ofds):
        mine = outside[classes.owner == position]
        after = "1.0000" if verified else "see above"
        found.append((str(ofd), (f"{1 - mine.sum() / rows:.4f}", after, str((mine > 0).sum()), str(mine.sum()))))
    return found


def _payload(repair: Repair, violated: int) -> dict[str, Any]:
    """What the script draws; candidates, senses and classes are told by number."""
    numbers = _thinned(len(repair.pareto), repair.chosen)
    outcomes = [
        [problem.under(choices) for problem in repair.problems]
        for choices in (repair.front.choose(int(repair.front.points[number])) for number in numbers)
    ]
    candidates: dict[Addition, int] = {}
    points: list[dict[str, Any]] = []
    before: set[int] = set()
    for number, outcome in zip(numbers, outcomes, strict=True):
        made = [(one.classes.readings.column, v, s) for one in outcome for v, s in sorted(one.additions)]
        now = {candidates.setdefault(addition, len(candidates)) for addition in made}
        point = repair.pareto[number]
        points.append({
            "additions": point.additions, "changes": point.changes, "plus": sorted(now - before),
            "minus": sorted(before - now), "readings": {},
        })  # fmt: skip
        before = now
    listed = _classes(repair, outcomes, points, candidates)
    return {
        "points": points, "taken": numbers.index(repair.chosen), "left": repair.left, "classes": listed,
        "total": violated, "candidates": [_candidate(repair, addition) for addition in candidates],
    }  # fmt: skip


def _thinned(count: int, chosen: int) -> list[int]:
    every = np.linspace(0, count - 1, min(count, MOST_POINTS)).round().astype(int).tolist()
    return sorted({*every, chosen})


def _candidate(repair: Repair, addition: Addition) -> dict[str, Any]:
    column, value, sense = addition
    problem = next(one for one in repair.problems if one.classes.readings.column == column)
    row = problem.candidates.row.get((value, sense))
    return {
        "column": column, "value": problem.classes.readings.texts[value],
        "name": problem.classes.readings.describe(sense),
        "tuples": 0 if row is None else int(problem.candidates.count[row]),
        "supported": row is not None and bool(problem.candidates.supported[row]),
    }  # fmt: skip


def _classes(
    repair: Repair, outcomes: Sequence[Sequence[Labels]], points: Sequence[dict[str, Any]],
    candidates: dict[Addition, int],
) -> list[dict[str, Any]]:
    """The classes with most rows outside; where a point reads one otherwise than by its first reading, `points` say."""
    worst = sorted(
        (-int(out), position, x)
        for position, problem in enumerate(repair.problems)
        for x, out in enumerate(_best(problem)[1].tolist())
        if out
    )[:MOST_CLASSES]
    listed = []
    for number, (_, position, x) in enumerate(worst):
        problem = repair.problems[position]
        per_point = [int(outcome[position].senses[x]) for outcome in outcomes]
        senses = list(dict.fromkeys([int(problem.senses[x]), *per_point]))
        for point, sense in zip(points, per_point, strict=True):
            if sense != senses[0]:
                point["readings"][str(number)] = senses.index(sense)
        listed.append({"id": str(number), **_class(problem, x, senses, candidates)})
    return listed


def _class(problem: Problem, x: int, senses: Sequence[int], candidates: dict[Addition, int]) -> dict[str, Any]:
    classes, readings = problem.classes, problem.classes.readings
    span = slice(classes.cells.offsets[x], classes.cells.offsets[x + 1])
    order = np.lexsort((classes.cells.value[span], -classes.cells.count[span]))[:MOST_VALUES]
    values, counts = classes.cells.value[span][order], classes.cells.count[span][order]
    told = []
    for sense in senses:
        covered = classes.covers(np.full(len(values), x), values, np.full(len(values), sense))
        own = [candidates.get((readings.column, v, sense), -1) for v in values.tolist()]
        told.append({"name": readings.describe(sense), "covered": covered.tolist(), "candidates": own})
    mine = classes.cover.node == x
    rivals = sorted(zip((-classes.cover.tuples[mine]).tolist(), classes.cover.sense[mine].tolist(), strict=True))
    ofd = classes.ofds[classes.owner[x]]
    return {
        "ofd": str(ofd), "key": class_name(ofd, classes.key(x)), "size": int(classes.size[x]),
        "values": [[cell(readings.texts[v]), n] for v, n in zip(values.tolist(), counts.tolist(), strict=True)],
        "more": int(span.stop - span.start) - len(values), "readings": told,
        "alternatives": [[readings.describe(s), -n] for n, s in rivals if s not in senses][:MOST_ALTERNATIVES],
    }  # fmt: skip

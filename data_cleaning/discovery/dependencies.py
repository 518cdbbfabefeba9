"""Dependencies in writing: `A, B -> C`, JSON, and the formats of the original program, HoloClean and Desbordante."""

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from agentlab_runner.data_cleaning.ontology.ontology import Ontology
from agentlab_runner.data_cleaning.types import OFD, Kind, Strength

_ARROW = re.compile(r"-+>")
_NAME = re.compile(r'\s*+(?:"((?:[^"]|"")*)"\s*(?=,|-+>|$)|(?!")((?:(?!-+>)[^,])*))')
FILES = (".txt", ".json", ".csv")
"""How the names of files of dependencies end, as a rule."""


def parse(text: str, kind: Kind = "synonym", theta: int = 0) -> list[OFD]:
    """The dependencies that `A, B -> C` writes; several names on the right are as many dependencies, `[]` is no name.

    Names are written as they are, or in double quotes, those within doubled: `"city, state" -> zip`.

    Raises:
        ValueError: if it is not of this form, or a right-hand column stands on the left too.
    """
    left, after = _names(text, 0)
    arrow = _ARROW.match(text, after)
    right, end = _names(text, arrow.end()) if arrow else ([], 0)
    if not arrow or end < len(text) or None in right or text[arrow.end() :].strip() == "[]":
        raise ValueError(f'{text!r} is no dependency; write it as "A, B -> C"')
    if text[:after].strip() in ("[]", ""):
        left = []
    if None in left:
        raise ValueError(f'{text!r} has an empty name on the left; write it as "A, B -> C"')
    lhs = tuple(dict.fromkeys(name for name in left if name is not None))
    return [_checked(OFD(lhs, rhs, kind, theta), text) for rhs in dict.fromkeys(right) if rhs is not None]


def names(text: str) -> list[str]:
    """Column names with commas between, written as in a dependency.

    Raises:
        ValueError: if one is missing, or the text goes on behind a quoted one.
    """
    found, end = _names(text, 0)
    if end < len(text) or None in found:
        raise ValueError(f'{text!r} is no list of columns; write it as A,B,"a name, with a comma"')
    return [name for name in found if name is not None]


def _names(text: str, at: int) -> tuple[list[str | None], int]:
    """(names from here on, None for one that is missing, and where they end)."""
    found: list[str | None] = []
    while True:
        match = _NAME.match(text, at)
        if match is None:  # it begins with a quote and is no quoted name
            return [*found, None], at
        quoted, plain = match.groups()
        found.append(quoted.replace('""', '"') if quoted is not None else plain.strip() or None)
        at = match.end()
        if text[at : at + 1] != ",":
            return found, at
        at += 1


def read(path: Path, columns: Sequence[str], kind: Kind = "synonym", theta: int = 0) -> list[OFD]:
    """The dependencies in a file: one `A, B -> C` a line, an `ofds.json`, or index tuples of Desbordante as JSON.

    Args:
        columns: of the table, which index tuples count.
        kind: of those that do not say.

    Raises:
        ValueError: if there is no such file or it is none of these.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix.lower() != ".json":  # a name of two lines is for ofds.json
            return [ofd for line in text.splitlines() if line.strip() for ofd in parse(line, kind, theta)]
        content = json.loads(text)
        if isinstance(content, list) and all(isinstance(one, list) for one in content):
            return [_checked(one, str(path)) for one in from_index_tuples(content, columns)]
        return [_checked(_from_dict(one), str(path)) for one in content]
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as fault:
        raise ValueError(f"the dependencies in {str(path)!r} cannot be read: {fault}") from fault
    except (AttributeError, KeyError, TypeError, IndexError) as fault:
        form = '[{"lhs": ["A"], "rhs": "B"}, ...] or [[[0], 1], ...]'
        raise ValueError(f"{path} is JSON, but not of the form {form}") from fault


def as_dicts(ofds: Iterable[OFD]) -> list[dict[str, Any]]:
    """What `ofds.json` holds."""
    return [
        {
            "lhs": list(ofd.lhs),
            "rhs": ofd.rhs,
            "kind": ofd.kind,
            "theta": ofd.theta,
            "support": ofd.support,
            "strength": ofd.strength
            and {name: getattr(ofd.strength, name) for name in ("classes", "rows", "gain", "chance")},
        }
        for ofd in ofds
    ]


def original_lines(ofds: Iterable[OFD], ontology: Ontology) -> list[str]:
    """As the original Java program lists them: FD, SYN_OFD and ISA_OFD, or with an error rate SYN_AOFD_ER and so on.

    The original tries one sense at a time; here the senses of the column are named, any of which a class may take.
    """
    lines = []
    for ofd in ofds:
        arrow = f"{', '.join(ofd.lhs)} --> {ofd.rhs}"
        error = f" ({1 - ofd.support})" if ofd.support < 1 else ""
        if is_plain(ofd):
            lines.append(f"{'FD' if not error else 'AFD_ER'}: {arrow}{error}")
            continue
        head = ("SYN" if ofd.kind == "synonym" else "ISA") + ("_AOFD_ER" if error else "_OFD")
        senses = dict.fromkeys(one.sense for one in ontology.columns[ofd.rhs].concepts if one.sense)
        sense = f" (in the sense of {', '.join(senses)})" if senses else ""
        lines.append(f"{head}{sense}: {arrow}{error}")
    return lines


def denial_constraints(ofds: Iterable[OFD]) -> list[str]:
    """HoloClean's form of those that hold without an ontology; it knows no other."""
    return [
        "&".join(("t1", "t2", *(f"EQ(t1.{name},t2.{name})" for name in ofd.lhs), f"IQ(t1.{ofd.rhs},t2.{ofd.rhs})"))
        for ofd in ofds
        if is_plain(ofd)
    ]


def index_tuples(ofds: Iterable[OFD], columns: Sequence[str]) -> list[tuple[list[int], int]]:
    """(left positions, right position), as Desbordante's FD.to_index_tuple gives them."""
    place = {name: position for position, name in enumerate(columns)}
    return [(sorted(place[name] for name in ofd.lhs), place[ofd.rhs]) for ofd in ofds]


def from_index_tuples(fds: Iterable[Any], columns: Sequence[str]) -> list[OFD]:
    """Of Desbordante's FD objects, or of the index tuples themselves."""
    tuples = (one.to_index_tuple() if hasattr(one, "to_index_tuple") else one for one in fds)
    return [OFD(tuple(columns[position] for position in lhs), columns[rhs]) for lhs, rhs in tuples]


def is_plain(ofd: OFD) -> bool:
    """Whether no class needed the ontology: a functional dependency."""
    return ofd.strength is None or not ofd.strength.classes


def _from_dict(one: dict[str, Any]) -> OFD:
    lhs, rhs, theta, strength = one["lhs"], one["rhs"], one.get("theta", 0), one.get("strength")
    texts = isinstance(lhs, list) and all(isinstance(name, str) for name in [*lhs, rhs])
    if not texts or not isinstance(theta, int):
        raise TypeError(f"{one} is no dependency")
    return OFD(
        tuple(lhs), rhs, one.get("kind", "synonym"), theta, one.get("support", 1.0), strength and Strength(**strength)
    )


def _checked(ofd: OFD, where: str) -> OFD:
    if ofd.rhs in ofd.lhs:
        raise ValueError(f"{where!r} has {ofd.rhs!r} on both sides and so always holds; leave it out on the left")
    return ofd

"""Files of the original Python program: senses as `SENSE:label,label,...`, dependencies as `a,b->c`."""

import re
from pathlib import Path

from data_cleaning.loaders.assemble import unreadable
from data_cleaning.ontology import Ontology
from data_cleaning.types import OFD, Concept, Hierarchy, Kind

_SENSES = re.compile(r"[^:,]+:[^:]")
_ARROW = re.compile(r"-+>")


def is_senses(path: Path) -> bool:
    """Whether the first line of a CSV file is a sense, not a header."""
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        return bool(_SENSES.match(file.readline()))


def read_senses(path: Path) -> Hierarchy:
    """One concept a line, also where lines share sense and head; named by its sense and its first label.

    Raises:
        ValueError: if a line is not of this form.
    """
    concepts = []
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as fault:
        raise unreadable(path, "senses", fault) from fault
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        sense, colon, rest = line.partition(":")
        labels = tuple(dict.fromkeys(label.strip() for label in rest.split(",") if label.strip()))
        if not colon or not labels:
            raise ValueError(f"{path}, line {number}: expected SENSE:label,label,... but found {line!r}")
        concepts.append(Concept(labels[0], labels, sense.strip()))
    return Hierarchy(tuple(concepts))


def read_folder(path: Path) -> Ontology:
    """An ontology of a folder with one sense file `COLUMN.csv` a column.

    Raises:
        ValueError: if it has none.
    """
    ontology = Ontology()
    for file in sorted(path.glob("*.csv")):
        if is_senses(file):
            ontology = ontology.bind(file.stem, read_senses(file))
    if not ontology.columns:
        raise ValueError(f"{path} is a folder without sense files (COLUMN.csv of lines SENSE:label,label) or data.noun")
    return ontology


def parse_ofd(text: str, kind: Kind = "synonym", theta: int = 0) -> list[OFD]:
    """The dependencies that `a, b -> c` writes; several names on the right are as many dependencies, `[]` is no name.

    Raises:
        ValueError: if it is not of this form, or a right-hand column stands on the left too.
    """
    sides = [[name.strip() for name in side.split(",")] for side in _ARROW.split(text)]
    if len(sides) != 2 or not all(sides[1]) or sides[1] == ["[]"]:
        raise ValueError(f'{text!r} is no dependency; write it as "A, B -> C"')
    lhs = () if sides[0] in (["[]"], [""]) else tuple(dict.fromkeys(sides[0]))
    if not all(lhs):
        raise ValueError(f'{text!r} has an empty name on the left; write it as "A, B -> C"')
    both = [name for name in sides[1] if name in lhs]
    if both:
        raise ValueError(f"{text!r} has {both[0]!r} on both sides and so always holds; leave it out on the left")
    return [OFD(lhs, rhs, kind, theta) for rhs in dict.fromkeys(sides[1])]


def read_ofds(path: Path, kind: Kind = "synonym", theta: int = 0) -> list[OFD]:
    """The dependencies in a file, one `a,b->c` a line.

    Raises:
        ValueError: if there is no such file or a line is not of this form.
    """
    if not path.is_file():
        raise ValueError(f"there is no file {str(path)!r} with dependencies")
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    return [ofd for line in lines if line.strip() for ofd in parse_ofd(line, kind, theta)]

"""Files of the original Python program: senses as `SENSE:label,label,...`."""

import re
from pathlib import Path

from agentlab_runner.data_cleaning.ontology.loaders.assemble import unreadable
from agentlab_runner.data_cleaning.ontology.ontology import Ontology
from agentlab_runner.data_cleaning.types import Concept, Hierarchy

_SENSES = re.compile(r"[^:,]+:[^:]")


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

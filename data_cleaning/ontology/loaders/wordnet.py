"""WordNet's own database files (WNDB): synsets and their hypernyms."""

from pathlib import Path

from agentlab_runner.data_cleaning.ontology.loaders.assemble import assemble, unreadable
from agentlab_runner.data_cleaning.types import Hierarchy

_HYPERNYM = {"@", "@i"}


def at(path: Path) -> bool:
    """Whether there is a WordNet here: a `data.noun`, or a folder with one."""
    return _file(path).name.startswith("data.") and _file(path).is_file()


def read(path: Path) -> Hierarchy:
    """Synsets as concepts, their words as labels, hypernyms (also of instances) as is-a.

    A line is: offset, file number, type, word count (hex), (word, id) each, pointer count, (symbol, offset, part
    of speech, source and target) each, `|` and the gloss (wndb(5WN)).

    Raises:
        ValueError: if a line is none of these.
    """
    file = _file(path)
    labels: dict[str, list[str]] = {}
    isa: list[tuple[str, str]] = []
    with file.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, 1):
            if line.startswith("  "):  # the licence
                continue
            try:
                fields = line.partition(" | ")[0].split()
                offset, count = fields[0], int(fields[3], 16)
                words, rest = fields[4 : 4 + 2 * count : 2], fields[4 + 2 * count :]
                pointers = rest[1 : 1 + 4 * int(rest[0])]
                if len(words) != count or len(pointers) != 4 * int(rest[0]):
                    raise IndexError
            except (ValueError, IndexError) as fault:
                raise unreadable(file, "WordNet", f"line {number} is no synset") from fault
            labels[offset] = [word.replace("_", " ") for word in words]
            part = file.name.removeprefix("data.")[0]
            isa += [
                (offset, target)
                for symbol, target, of in zip(pointers[::4], pointers[1::4], pointers[2::4], strict=True)
                if symbol in _HYPERNYM and of == part
            ]
    return assemble(labels, isa)


def _file(path: Path) -> Path:
    return path / "data.noun" if path.is_dir() else path

"""From what a file says about its concepts to a hierarchy."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from agentlab_runner.data_cleaning.types import Concept, Hierarchy


def assemble(
    labels: Mapping[str, Sequence[str]],
    isa: Iterable[tuple[str, str]] = (),
    senses: Mapping[str, str] | None = None,
    notes: tuple[str, ...] = (),
) -> Hierarchy:
    """Concepts in the order given, each named by its first label, with its id behind where that is not unique.

    Args:
        labels: of each concept, by id; the canonical one first.
        isa: (child, parent) ids; a parent without labels becomes a heading, named by its id.
        senses: of the concepts that have one, by id.
        notes: what was not read, in sentences.
    """
    edges = list(isa)
    known = {**labels, **{parent: () for _, parent in edges if parent not in labels}}
    place = {one: position for position, one in enumerate(known)}
    heads = {one: found[0] if found else one for one, found in known.items()}
    often = Counter(heads.values())
    concepts = (
        Concept(
            heads[one] if often[heads[one]] == 1 else f"{heads[one]} [{one}]",
            tuple(dict.fromkeys(found)),
            (senses or {}).get(one, ""),
        )
        for one, found in known.items()
    )
    pairs = {(place[child], place[parent]) for child, parent in edges if child in place}
    return Hierarchy(tuple(concepts), tuple(sorted(pairs)), notes)


def unreadable(path: Path, form: str, fault: object) -> ValueError:
    """The sentence for a file that its parser refused."""
    said = " ".join(str(fault).split()) or type(fault).__name__
    return ValueError(f"{path} cannot be read as {form}: {said[:200]}")

"""The plain form of a hierarchy: `{"classes": {"concept": ["label", ...]}, "isa": [["child", "parent"], ...]}`."""

from collections import Counter
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from agentlab_runner.data_cleaning.types import Concept, Hierarchy


def full_name(concept: Concept) -> str:
    """Name and sense; unique within a hierarchy."""
    return f"{concept.name} ({concept.sense})" if concept.sense else concept.name


def written(hierarchy: Hierarchy) -> dict[str, Any]:
    """What `hierarchy_of` takes."""
    often = Counter(concept.name for concept in hierarchy.concepts)
    keys = [one.name if often[one.name] == 1 else full_name(one) for one in hierarchy.concepts]
    classes = {
        key: {"labels": list(one.labels), "sense": one.sense} if one.sense else list(one.labels)
        for key, one in zip(keys, hierarchy.concepts, strict=True)
    }
    return {"classes": classes, "isa": [[keys[child], keys[parent]] for child, parent in hierarchy.isa]}


def hierarchy_of(column: str, content: Any) -> Hierarchy:
    """The concepts and edges of one column.

    Raises:
        ValueError: if the content is of another form, or a child is no class.
    """
    where = f"the ontology of column {column!r}"
    if not isinstance(content, Mapping) or not isinstance(content.get("classes"), Mapping):
        raise ValueError(f'{where} has no "classes"; write {{"classes": {{"concept": ["label", ...]}}}}')
    unknown = sorted(content.keys() - {"classes", "isa", "normalise"})
    if unknown:
        raise ValueError(f'{where} has the unknown entry {unknown[0]!r}; it may hold "classes", "isa" and "normalise"')
    concepts = [_concept(where, name, one) for name, one in content["classes"].items()]
    place = {name: position for position, name in enumerate(content["classes"])}
    edges = content.get("isa") or []
    for edge in edges:
        pair = isinstance(edge, list | tuple) and len(edge) == 2 and all(isinstance(end, str) for end in edge)
        if not pair:
            raise ValueError(f'{where}: "isa" is a list of ["child", "parent"] pairs, not {edge!r}')
    for _, parent in edges:
        if parent not in place:
            place[parent] = len(concepts)
            concepts.append(Concept(parent, ()))
    for child, _ in edges:
        if child not in place:
            near = get_close_matches(child, place, 1)
            hint = f"; did you mean {near[0]!r}" if near else ""
            raise ValueError(f'{where}: "isa" has the child {child!r}, which is not among its classes{hint}')
    return Hierarchy(tuple(concepts), tuple((place[child], place[parent]) for child, parent in edges))


def _concept(where: str, name: str, content: Any) -> Concept:
    sense = ""
    labels = content
    if isinstance(content, Mapping):
        labels, sense = content.get("labels"), content.get("sense", "")
    if not isinstance(labels, list | tuple) or not all(isinstance(label, str) for label in [*labels, sense]):
        raise ValueError(f"{where}: class {name!r} must be a list of labels (text), not {content!r}")
    return Concept(name.removesuffix(f" ({sense})"), tuple(dict.fromkeys(labels)), sense)

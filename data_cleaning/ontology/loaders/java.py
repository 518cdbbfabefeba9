"""The XML `Config` of the original Java program, and the RDF files it names."""

from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from xml.etree import ElementTree

from agentlab_runner.data_cleaning.ontology.loaders.assemble import assemble, unreadable
from agentlab_runner.data_cleaning.ontology.ontology import Ontology
from agentlab_runner.data_cleaning.types import Hierarchy


@dataclass(frozen=True, slots=True)
class Config:
    """What a Config says, in the terms used here."""

    ontology: Ontology
    data: Path | None
    ofds: Path | None
    """Its dependency file."""
    steps: dict[str, int]
    """theta by column, of those bound to an is-a ontology: what is dependent on them is so by inheritance."""
    kappa: float
    """1 - its largest error threshold."""


def is_config(path: Path) -> bool:
    """Whether an XML file is such a Config, by its root."""
    try:
        return any(element.tag == "Config" for _, element in islice(ElementTree.iterparse(path, ("start",)), 1))
    except ElementTree.ParseError:
        return False


def read_config(path: Path) -> Config:
    """A Config; values are compared as the original does, in lower case and without blanks around them.

    Paths are looked for beside the file, one folder up, and where the command was given.

    Raises:
        ValueError: if it cannot be read, or names a file that is not there.
    """
    try:
        root = ElementTree.parse(path).getroot()
    except (ElementTree.ParseError, OSError) as fault:
        raise unreadable(path, "XML", fault) from fault
    ontology, errors = Ontology(), [0.0]
    steps: dict[str, int] = {}
    for node in root.iter("ontology"):
        column, kind = _text(node, "name", path), node.findtext("class", "syn").strip()
        if kind not in {"syn", "isa"}:
            raise ValueError(f"{path}: the class of an ontology is syn or isa, not {kind!r}")
        sense = node.findtext("sense", "").strip()
        file = _beside(path, _text(node, "path", path))
        ontology = ontology.bind(column, _read_rdf(file, kind, sense), "strip+casefold")
        errors.append(_number(node, "threshold", "0", path))
        if kind == "isa":
            steps[column] = max(steps.get(column, 0), int(_number(node, "isathreshold", "1", path)))
    data, ofds = (_beside(path, name) if (name := root.findtext(f"{part}/path")) else None for part in ("data", "ofd"))
    return Config(ontology, data, ofds, steps, 1 - max(errors))


def _read_rdf(path: Path, kind: str, sense: str) -> Hierarchy:
    """`syn`: a statement puts both names into one concept headed by the parent; `isa`: each name is a concept."""
    from agentlab_runner.data_cleaning.ontology.loaders.rdf import ORIGINAL_IS_A, local, parse

    edges = sorted(
        (local(child), local(parent)) for child, parent in parse(path, "xml").subject_objects(ORIGINAL_IS_A)
    )
    if kind == "isa":
        labels = {name: [name] for edge in edges for name in edge}
        return assemble(labels, edges, dict.fromkeys(labels, sense))
    labels = {parent: [parent] for _, parent in edges}
    for child, parent in edges:
        labels[parent].append(child)
    return assemble(labels, (), dict.fromkeys(labels, sense))


def _text(node: ElementTree.Element, tag: str, path: Path) -> str:
    text = (node.findtext(tag) or "").strip()
    if not text:
        raise ValueError(f"{path}: an ontology has no <{tag}>")
    return text


def _number(node: ElementTree.Element, tag: str, otherwise: str, path: Path) -> float:
    text = node.findtext(tag, otherwise)
    try:
        return float(text)
    except ValueError as fault:
        raise ValueError(f"{path}: the <{tag}> of an ontology is a number, not {text.strip()!r}") from fault


def _beside(config: Path, written: str) -> Path:
    name = Path(written.strip().replace("\\", "/"))
    for folder in (config.parent, config.absolute().parent.parent, Path()):
        if (folder / name).is_file():
            return folder / name
    raise ValueError(f"{config} names the file {str(name)!r}, which is neither beside it, nor one folder up, nor here")

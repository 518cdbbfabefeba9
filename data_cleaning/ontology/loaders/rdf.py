"""SKOS thesauri, RDFS and OWL ontologies, read with rdflib."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import unquote

from rdflib import OWL, RDF, RDFS, SKOS, Graph, Literal, Namespace, URIRef
from rdflib.term import Node

from agentlab_runner.data_cleaning.ontology.loaders.assemble import assemble, unreadable
from agentlab_runner.data_cleaning.types import Hierarchy

OBO_IN_OWL = Namespace("http://www.geneontology.org/formats/oboInOwl#")
ORIGINAL_IS_A = URIRef("http://example.org/is_a")
"""The one predicate of the original Java program's files; nodes there are labels, not concepts."""

_LABELS = (SKOS.prefLabel, RDFS.label, SKOS.altLabel, OBO_IN_OWL.hasExactSynonym, SKOS.hiddenLabel)
_UP, _DOWN = (SKOS.broader, RDFS.subClassOf), (SKOS.narrower,)
_SAME = (SKOS.exactMatch, OWL.equivalentClass)
SKOS_XL = Namespace("http://www.w3.org/2008/05/skos-xl#")
_NO_CONCEPTS = (
    SKOS.ConceptScheme, OWL.Ontology, OWL.AnnotationProperty, OWL.ObjectProperty, OWL.DatatypeProperty, RDF.Property
)


def read(path: Path, form: str, related: bool = False) -> Hierarchy:
    """Concepts with all their labels in all languages; English or untagged ones come first.

    In a file with several concept schemes, the scheme of a concept is its sense. What is deprecated is left out.
    Concepts that are said to be the same (skos:exactMatch, owl:equivalentClass) are one, if they are of one scheme; the
    notes of the hierarchy tell of statements that lead elsewhere.

    Args:
        form: rdflib's name of the syntax.
        related: take oboInOwl:hasRelatedSynonym too.

    Raises:
        ValueError: if the file does not parse or holds no concept.
    """
    graph = parse(path, form)
    if (None, ORIGINAL_IS_A, None) in graph:
        edges = sorted((local(child), local(parent)) for child, parent in graph.subject_objects(ORIGINAL_IS_A))
        return assemble({name: (name,) for edge in edges for name in edge}, edges)
    other = {node for kind in _NO_CONCEPTS for node in graph.subjects(RDF.type, kind)}
    other |= {node for node, said in graph.subject_objects(OWL.deprecated) if str(said).lower() in ("true", "1")}
    found: dict[str, list[tuple[int, bool, str, str]]] = {}
    for rank, predicate in enumerate((*_LABELS, *((OBO_IN_OWL.hasRelatedSynonym,) if related else ()))):
        for node, label in _labels(graph, predicate):
            if isinstance(node, URIRef) and isinstance(label, Literal) and node not in other:
                tongue = label.language or ""
                foreign = bool(tongue) and not tongue.startswith("en")
                found.setdefault(str(node), []).append((rank, foreign, tongue, str(label)))
    if not found:
        raise ValueError(f"{path} holds no concept with a label (skos:prefLabel, rdfs:label, ...)")
    schemes = _schemes(graph)
    of, notes = _merged(graph, found, schemes)
    labels: dict[str, list[str]] = {}
    for one in sorted(found, key=lambda one: (of[one], one != of[one], one)):
        labels.setdefault(of[one], []).extend(text for *_, text in sorted(found[one]))
    isa = {pair for predicate in _UP for pair in graph.subject_objects(predicate)}
    isa |= {(child, parent) for predicate in _DOWN for parent, child in graph.subject_objects(predicate)}
    named = {
        (of.get(str(c), str(c)), of.get(str(p), str(p)))
        for c, p in isa if isinstance(c, URIRef) and isinstance(p, URIRef) and not {c, p} & other
    }  # fmt: skip
    return assemble(labels, sorted(pair for pair in named if pair[0] != pair[1]), schemes, notes)


def _labels(graph: Graph, predicate: URIRef) -> Iterator[tuple[Node, Node]]:
    """(node, label), also where SKOS-XL makes the label a node of its own."""
    yield from graph.subject_objects(predicate)
    if predicate in SKOS:
        for node, label in graph.subject_objects(SKOS_XL[local(predicate)]):
            yield from ((node, form) for form in graph.objects(label, SKOS_XL.literalForm))


def _merged(graph: Graph, found: Iterable[str], schemes: dict[str, str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """({node: the first of those it is the same as}, what of that is not read)."""
    of = {node: node for node in found}

    def head(node: str) -> str:
        while of[node] != node:
            node = of[node]
        return node

    unread = 0
    for left, right in sorted((str(a), str(b)) for predicate in _SAME for a, b in graph.subject_objects(predicate)):
        if left not in of or right not in of or schemes.get(left) != schemes.get(right):
            unread += 1
            continue
        first, second = sorted((head(left), head(right)))
        of[second] = first
    said = f"{unread} statements that two things are the same lead out of the file or of their scheme and are not read"
    return {node: head(node) for node in of}, (said,) if unread else ()


def parse(path: Path, form: str) -> Graph:
    """The graph in a file."""
    try:
        content = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
        return Graph().parse(data=content, format=form, publicID=path.absolute().as_uri())
    except Exception as fault:  # every parser of rdflib raises its own
        raise unreadable(path, f"RDF ({form})", fault) from fault


def local(node: Node) -> str:
    """The last part of an address, as the original program uses it for a label."""
    return unquote(str(node).rpartition("#")[2].rpartition("/")[2])


def _schemes(graph: Graph) -> dict[str, str]:
    schemes = set(graph.objects(None, SKOS.inScheme))
    if len(schemes) < 2:
        return {}
    titles = {one: graph.value(one, SKOS.prefLabel) or graph.value(one, RDFS.label) or local(one) for one in schemes}
    return {str(node): str(titles[one]) for node, one in sorted(graph.subject_objects(SKOS.inScheme), reverse=True)}

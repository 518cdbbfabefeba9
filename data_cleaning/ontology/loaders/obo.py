"""OBO files and OBO graphs, read with pronto."""

import io
import json
import re
import warnings
from pathlib import Path

from pronto.ontology import Ontology

from agentlab_runner.data_cleaning.ontology.loaders.assemble import assemble, unreadable
from agentlab_runner.data_cleaning.types import Hierarchy

_READ = (b"id:", b"name:", b"synonym:", b"exact_synonym:", b"related_synonym:", b"is_obsolete:")
_IS_A = re.compile(rb"is_a:\s*(\S+)")
_ID = re.compile(rb"^id:\s*(\S+)", re.MULTILINE)


def read(path: Path, related: bool = False) -> Hierarchy:
    """Terms that are not obsolete, with their names and synonyms; imports are not followed.

    An is_a that leads to no term of the file is left out, and the hierarchy's notes say so.

    Args:
        related: take RELATED synonyms beside the EXACT ones.

    Raises:
        ValueError: if the file does not parse.
    """
    scopes = {"EXACT", "RELATED"} if related else {"EXACT"}
    try:
        content, lost, equal = _closed(path.read_bytes().removeprefix(b"\xef\xbb\xbf"))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pronto names what it does not implement, which is no concern of labels
            ontology = Ontology(io.BytesIO(content), import_depth=0, threads=1)
            terms = [term for term in ontology.terms() if not term.obsolete]
            labels = {
                term.id: [
                    *([term.name] if term.name else []),
                    *sorted(synonym.description for synonym in term.synonyms if synonym.scope in scopes),
                ]
                for term in terms
            }
            isa = sorted(
                (term.id, parent.id)
                for term in terms
                for parent in term.superclasses(distance=1, with_self=False)
                if parent.id in labels
            )
    except Exception as fault:  # pronto raises whatever its parsers do
        raise unreadable(path, "OBO", fault) from fault
    seen = ", ".join(lost[:3]) + (", ..." if len(lost) > 3 else "")
    notes = [f"{len(lost)} is_a to terms that are not in the file are left out ({seen})"] if lost else []
    notes += [f"{equal} statements that terms are the same are not read"] if equal else []
    return assemble(labels, isa, notes=tuple(notes))


def _closed(content: bytes) -> tuple[bytes, list[str], int]:
    """(the file as far as it is read, where is_a leads out of it, statements that two terms are the same)."""
    lost: list[str] = []
    equal = 0
    if content.lstrip().startswith(b"{"):
        spec = json.loads(content)
        for graph in spec.get("graphs", []):
            there = {node["id"] for node in graph.get("nodes", [])}
            edges = graph.get("edges", [])
            lost += [one["obj"] for one in edges if one.get("pred") == "is_a" and one["obj"] not in there]
            graph["edges"] = [one for one in edges if one.get("pred") == "is_a" and one["obj"] in there]
            equal += len(graph.get("equivalentNodesSets", []))
        return json.dumps(spec).encode(), lost, equal
    there = set(_ID.findall(content))
    kept: list[bytes] = []
    stanza = b""
    for line in content.splitlines(keepends=True):
        if line.startswith(b"["):
            stanza = line.strip()
        parent = _IS_A.match(line)
        if parent and stanza == b"[Term]" and parent[1] not in there:
            lost.append(parent[1].decode())
        elif not stanza or (stanza == b"[Term]" and (parent or line.startswith((b"[", *_READ)))):
            kept.append(line)  # all else is not read, and might lead out as well
        elif line.startswith(b"equivalent_to:"):
            equal += 1
    return b"".join(kept), lost, equal

"""OBO files and OBO graphs, read with pronto."""

import warnings
from pathlib import Path

from pronto.ontology import Ontology

from agentlab_runner.data_cleaning.ontology.loaders.assemble import assemble, unreadable
from agentlab_runner.data_cleaning.types import Hierarchy


def read(path: Path, related: bool = False) -> Hierarchy:
    """Terms that are not obsolete, with their names and synonyms; imports are not followed.

    Args:
        related: take RELATED synonyms beside the EXACT ones.

    Raises:
        ValueError: if the file does not parse.
    """
    scopes = {"EXACT", "RELATED"} if related else {"EXACT"}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pronto names what it does not implement, which is no concern of labels
            ontology = Ontology(str(path), import_depth=0, threads=1)
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
    return assemble(labels, isa)

"""Ontologies from files and packages. A parser is imported when a file asks for it."""

from pathlib import Path

from agentlab_runner.data_cleaning.ontology.loaders.bundled import BUNDLED, bundled
from agentlab_runner.data_cleaning.ontology.ontology import Ontology
from agentlab_runner.data_cleaning.types import Hierarchy

__all__ = ["BUNDLED", "bundled", "load"]

_RDF = {".ttl": "turtle", ".rdf": "xml", ".owl": "xml", ".xml": "xml", ".nt": "nt", ".n3": "n3"}


def load(source: str | Path, related: bool = False) -> Ontology | Hierarchy:
    """The ontology in a file, in a folder or of a bundled name.

    | source | read as |
    |---|---|
    | `countries`, `drugs`, `icd10`, `wordnet` | vocabularies of installed packages |
    | `.ttl .nt .n3 .rdf .owl .xml` | SKOS, RDFS, OWL; an XML `Config` of the original Java program |
    | `.obo .obojson` | OBO |
    | `.json` | the form of `Ontology.from_dict`, or an OBO graph |
    | `.csv .tsv` | columns `concept, label[, sense][, parent]`, or the original's `SENSE:label,label` lines |
    | `data.noun`, or a folder with it | WordNet |
    | any other folder | the original's: one `COLUMN.csv` of senses a column |

    Args:
        related: also take the labels that OBO and OWL files call related, not exact, synonyms.

    Returns:
        An ontology where the source names columns, else a hierarchy to be bound to one.

    Raises:
        ValueError: if there is no such source or it cannot be read, in one sentence.
    """
    path = Path(source)
    if not path.exists():
        if str(source) in BUNDLED:
            return bundled(str(source))
        raise ValueError(f"there is no ontology {str(source)!r}: neither a file nor one of {', '.join(BUNDLED)}")
    kind = path.suffix.lower()
    if path.is_dir() or path.name.startswith("data."):
        from agentlab_runner.data_cleaning.ontology.loaders import legacy, wordnet

        return wordnet.read(path) if wordnet.at(path) else legacy.read_folder(path)
    if kind in _RDF:
        from agentlab_runner.data_cleaning.ontology.loaders import java, rdf

        return java.read_config(path).ontology if java.is_config(path) else rdf.read(path, _RDF[kind], related)
    if kind in {".obo", ".obojson"}:
        from agentlab_runner.data_cleaning.ontology.loaders import obo

        return obo.read(path, related)
    if kind == ".json":
        from agentlab_runner.data_cleaning.ontology.loaders import plain

        return plain.read_json(path, related)
    if kind in {".csv", ".tsv"}:
        from agentlab_runner.data_cleaning.ontology.loaders import legacy, plain

        return legacy.read_senses(path) if legacy.is_senses(path) else plain.read_csv(path)
    kinds = ", ".join(sorted({*_RDF, ".obo", ".obojson", ".json", ".csv", ".tsv"}))
    raise ValueError(f"{path} has no ending that says how to read it; ontologies end in {kinds}")

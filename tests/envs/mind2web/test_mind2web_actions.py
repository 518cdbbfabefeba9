"""Reading and scoring actions, by known answers and against the released rules."""

import time
from random import Random

import pytest

from agentlab_runner.envs.mind2web.actions import Action, f1, quoted, read, same, words
from agentlab_runner.envs.mind2web.parser import ElementParser
from tests.envs.mind2web import reference


@pytest.mark.parametrize(
    ("text", "action"),
    [
        ("CLICK [12]", Action("CLICK", "12")),
        ("CLICK[12]", Action("CLICK", "12")),
        ("TYPE [12] [two words]", Action("TYPE", "12", "two words")),
        ("I would SELECT [7] [Large] there", Action("SELECT", "7", "Large")),
        ("[12]", Action(None, "12")),
        ("click [12]", Action(None, "12")),  # the operation is in capitals
        ("HOVER [12]", Action(None, "12")),
        ("TYPE [12]  [two blanks]", Action("TYPE", "12")),
        ("TYPE [12] []", Action("TYPE", "12")),
        ("TYPE [5] [Maps [second edition]]", Action("TYPE", "5", "Maps [second edition]")),
        ("TYPE [5] [a] b]", Action("TYPE", "5", "a")),
        ("TYPE [5] [a [b]", Action("TYPE", "5", "a [b")),
        ("TYPE [5] [open", Action("TYPE", "5")),
        ("xCLICK [3]", Action(None, "3")),
        ("xCLICK[3]", None),
        ("12", None),
        ("", None),
        ("CLICK []", None),
    ],
)
def test_what_a_text_means(text, action):
    assert read(text) == action


@pytest.mark.parametrize("seed", range(20))
def test_texts_without_inner_brackets_are_read_as_released(seed):
    rng = Random(seed)
    for _ in range(300):
        parts = ["CLICK", "TYPE", "SELECT", "click", " ", " ", "\n", "[12]", "[a b]", "[", "]", "x", "`", "[]"]
        text = "".join(rng.choice(parts) for _ in range(rng.randint(1, 9)))
        op, key, value = reference.fields(text)
        found = read(text)
        assert (found is None) == (key is None)
        if found is not None and "[" not in (value or "") and (found.value is None or "[" not in found.value):
            assert found[:2] == (op, key)
            assert found.value == value or value in (None, "]")


@pytest.mark.parametrize(
    ("said", "true", "score"),
    [
        ("TYPE red mug", "TYPE red mug", 1.0),
        ("TYPE mug", "TYPE red mug", 0.8),
        ("CLICK", "TYPE red mug", 0.0),
        ("", "", 1.0),
        ("", "CLICK", 0.0),
        (". ,", "", 1.0),
        ("TYPE red , mug", "TYPE mug red .", 1.0),
    ],
)
def test_f1_of_words(said, true, score):
    assert f1(said, true) == pytest.approx(score)


def test_f1_is_that_of_precision_and_recall():
    rng, known = Random(0), ["a", "b", "c", ".", "!?", "--", "d"]
    for _ in range(500):
        first, second = (" ".join(rng.choices(known, k=rng.randint(0, 5))) for _ in range(2))
        assert f1(first, second) == pytest.approx(reference.f1(first, second), abs=1e-9)


def test_fields_are_compared_whatever_the_blanks():
    assert same(read("TYPE [5] [red  mug ]"), read("TYPE [5] [red mug]"))
    assert not same(read("TYPE [5] [red mug]"), read("TYPE [6] [red mug]"))
    assert not same(read("CLICK [5] [red]"), read("CLICK [5]"))
    assert not same(read("[5]"), read("CLICK [5]"))
    assert same(None, None)
    assert not same(None, read("CLICK [5]"))


def test_a_click_has_no_value():
    assert [words(read(text)) for text in ("CLICK [5] [x]", "TYPE [5] [x y]", "[5] [x]", "[5]", "")] == [
        "CLICK", "TYPE x y", "x", "", "",
    ]  # fmt: skip


def test_an_answer_is_read_between_its_first_backticks():
    parser = ElementParser()
    assert parser.parse("Action: `CLICK [5]` ([button]  Go -> CLICK)") == Action("CLICK", "5")
    assert parser.parse("CLICK [5]") == Action("CLICK", "5")
    assert quoted("`a` `b`") == "a"
    assert all(parser.parse(parser.render(one)) == one for one in map(read, ("TYPE [5] [a [b] c]", "CLICK [5]", "[5]")))


def test_what_could_be_done_is_on_the_page_or_in_the_task():
    page = (
        "<html><a id=3 cart>Cart</a> <input id=4 text search /> <a>no id</a> "
        "<select id=5 size><option s>Small</option> <option l>Large</option></select></html>"
    )
    found = ElementParser().offered(page, "Find a red mug.")
    assert {"CLICK [3]", "TYPE [4] [red mug]", "TYPE [4] [Find a red mug]", "SELECT [5] [Large]"} <= set(found)
    assert not any(one.startswith(("TYPE [3]", "SELECT [4]", "TYPE [5]")) for one in found)
    assert len(set(found)) == len(found)


def test_a_long_answer_takes_no_long_time():
    began = time.monotonic()
    assert read(" [" * 100_000) is None
    assert read("CLICK [5]" + " [" * 100_000) is not None
    assert time.monotonic() - began < 30

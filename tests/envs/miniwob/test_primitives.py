"""Primitives: one form for each, and nothing else is read."""

import json
import random

import pytest

from agentlab_runner.envs.miniwob.parser import BLOCK, EXAMPLES, PageParser
from agentlab_runner.envs.miniwob.primitives import KEYS, LONGEST, Primitive, read, read_line, write

LINES = ["click 7", 'type 5 "Anna"', 'type "a \\"b\\" ż 😀\\n"', "press enter", "press command+a", 'select 9 "March"',
         "drag 3 to 8", "scroll 4 down", "hover 2", "click_xpath \"//*[@id='x']\"", 'click_option "//option[1]"',
         'movemouse "//a"']  # fmt: skip


@pytest.mark.parametrize("line", LINES)
def test_each_is_written_as_it_is_read(line):
    assert str(read_line(line)) == line
    assert write(read(line)) == line


def test_texts_of_any_kind_come_back():
    draw = random.Random(0)
    for _ in range(300):
        text = "".join(chr(draw.choice([draw.randrange(32, 127), draw.randrange(160, 55000), 10, 34, 92]))
                       for _ in range(draw.randrange(1, 30)))  # fmt: skip
        block = (Primitive("type", (text,)), Primitive("click_xpath", (text,)))
        assert read(write(block)) == block


@pytest.mark.parametrize(
    "text",
    ["", "  \n ", "fly 3", "click", "click x", "click -3", "click 7 8", "type Anna", 'type "a', "press hyper", "drag 3",
     "scroll 3 left", "click 7\nfly", "agent.type('a')", "__import__('os')", 'type "\\x"', "click 7;click 8"],
)  # fmt: skip
def test_what_is_none_is_not_read(text):
    assert read(text) is None


def test_a_block_has_an_end():
    assert read("\n".join(["press tab"] * LONGEST)) is not None
    assert read("\n".join(["press tab"] * (LONGEST + 1))) is None


def test_what_the_parser_shows_is_read():
    for example in EXAMPLES.values():
        assert PageParser().parse(example.split("   ")[0]) is not None
    for example in BLOCK.values():
        assert PageParser("block").parse(example.split("   ")[0]) is not None
    assert len(set(KEYS)) == len(KEYS)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("I should press the button.\nclick 7", "click 7"),
        ("Action: CLICK  7", "click 7"),
        ("```\nclick 7\n```", "click 7"),
        ("1. click 3\n2. click 4", "click 4"),
        ("- type 5 \"a\"", 'type 5 "a"'),
        ('type "a   b"', 'type "a   b"'),
        ('type 5 "Anna"   replaces what the field holds', 'type 5 "Anna"'),
        ("click [7]", "click 7"),
        ('TYPE [5] "Anna"', 'type 5 "Anna"'),
        ("drag [3] to 8", "drag 3 to 8"),
        ("scroll [4] down", "scroll 4 down"),
        ("press Ctrl+C", "press command+c"),
        ("press control+v", "press command+v"),
        (r"""type 5 "it\'s \"x\" \\\\" """, r"""type 5 "it's \"x\" \\\\" """.strip()),
        ("click [7", None),
        ("click on 7", None),
        ("nothing", None),
    ],
)  # fmt: skip
def test_an_utterance_is_the_last_line_that_is_one(said, meant):
    assert PageParser().parse(said) == meant


@pytest.mark.parametrize("form", ["utterance", "block"])
def test_a_model_is_told_every_key(form):
    """miniwob-plusplus 27: tasks that are solved by copying need keys that an agent must know of."""
    assert all(key in PageParser(form).api for key in KEYS)


def test_programs_are_blocks():
    parser = PageParser("block")
    calls = [("click_xpath", ["//a[text()='it''s']"]), ("type", ['say "hi"\n']), ("press", ["Enter"])]
    block = parser.block(calls)
    assert block == "click_xpath \"//a[text()='it''s']\"\ntype \"say \\\"hi\\\"\\n\"\npress enter"
    assert parser.block([("press", ["f5"])]) is None
    assert parser.block([]) is None
    assert parser.program("click 7") is None
    assert PageParser().calls == {}
    program = parser.program(block)
    assert [line.split("(")[0] for line in program.splitlines()] == ["agent.click_xpath", "agent.type", "agent.press"]


BOMB = "//*[" + "count(//*[" * 9 + "1" + "])" * 9 + "]"


@pytest.mark.parametrize("form", ["utterance", "block"])
def test_what_is_short_to_say_and_long_to_do_is_no_action(form):
    parser = PageParser(form)
    said = ["click " + "9" * 5_000, f"drag {'9' * 5_000} to 1", f"click_xpath {json.dumps(BOMB)}", "x\n" * 300_000]
    assert [parser.parse(text) for text in said] == [None] * 4
    assert parser.block([("click_xpath", [BOMB])]) is None
    kept = """click_xpath "//a[@href='[[[']/b[contains(concat(' ', @class, ' '), ' [x[y[z] ')][2]\""""
    assert parser.parse(kept) is not None


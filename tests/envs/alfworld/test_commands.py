"""Utterances: how they are read, and the traps of the release."""

import pytest

from agentlab_runner.envs.alfworld.commands import CommandParser

TOLERANT, RELEASED = CommandParser(), CommandParser("released")
CABINETS = ("go to cabinet 1", "go to cabinet 10", "help", "inventory", "look")


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ('{"thoughts": "open drawer 2 first", "action": "go to cabinet 10"}', "go to cabinet 10"),
        ('{"Action" :  "Take THE Mug 1  from the countertop 2"}', "take mug 1 from countertop 2"),
        ('"action": "put mug 1 in/on shelf 3"', "move mug 1 to shelf 3"),
        ('{"action": "place the mug 1 in/on the shelf 3"}', "move mug 1 to shelf 3"),
        ('{"action": "Turn on the desklamp 1."}', "use desklamp 1"),
        ('{"action": "pick up mug 1 from shelf 3"}', "take mug 1 from shelf 3"),
        ('{"action": "heat mug 1 using microwave 1"}', "heat mug 1 with microwave 1"),
        ('{"action": "slice apple 1 using the butterknife 2"}', "slice apple 1 with butterknife 2"),
        ('{"action": "move to cabinet 10"}', "go to cabinet 10"),
        ('{"action": "turn on desklamp"}', None),
        ('"action": "look at it", "action": "open fridge 1"', "open fridge 1"),
        ('"action": "open fridge 1", "why": "to take apple 1 from fridge 1"', "open fridge 1"),
        ("{'action': 'use desklamp 1'}", "use desklamp 1"),
        ("""{"action": "open fridge 1", "thoughts": "then 'action': 'look'"}""", "open fridge 1"),
        ('{"action": examine mug 1}', "examine mug 1"),
        ("I have to open drawer 1.\nmove peppershaker 1 to diningtable 1", "move peppershaker 1 to diningtable 1"),
        ('{"thoughts": "go to cabinet 1", "action": "dance"}', None),
        ('{"thoughts": "I could go to cabinet 1", "action": ""}', None),
        ('{"action": "go to cabinet"}', None),
        ('{"action": "take mug 1"}', None),
        ("", None),
    ],
)
def test_tolerant_reading(text, command):
    assert TOLERANT.parse(text) == command


def test_names_count_as_wholes_but_not_in_the_release():
    text = '"action": "go to cabinet 10"'
    assert TOLERANT.choose(text, CABINETS) == "go to cabinet 10"
    assert RELEASED.choose(text, CABINETS) == "go to cabinet 1"
    assert TOLERANT.choose(text, ("go to cabinet 1", "look")) is None


def test_the_release_takes_the_first_admissible_command_that_occurs():
    text = '"action": "take mug 1 from shelf 1, then look"'
    admissible = ("inventory", "look", "take mug 1 from shelf 1")
    assert RELEASED.choose(text, admissible) == "look"
    assert TOLERANT.choose(text, admissible) == "take mug 1 from shelf 1"


def test_the_release_reads_after_the_first_marker_or_the_last_30_characters():
    assert RELEASED.choose('"action": "look" "action": "help"', ("help", "look")) == "help"
    assert RELEASED.spoken('{"Action": "look"} "action": "help"') == ' "look"} "action": "help"'
    long = "move peppershaker 1 to diningtable 1"
    assert RELEASED.choose(long, (long,)) is None
    assert TOLERANT.choose(long, (long,)) == long


@pytest.mark.parametrize("format", ["thoughts", "action_only"])
@pytest.mark.parametrize("mode", ["tolerant", "released"])
def test_what_is_rendered_is_read_back(mode, format):
    parser = CommandParser(mode, format)
    for command in ("look", "go to cabinet 12", "clean soapbar 1 with sinkbasin 2", "slice egg 1 with knife 1"):
        text = parser.render(command, "look into cabinet 1")
        assert parser.parse(text) == command
        assert ("thoughts" in text) == (format == "thoughts")
        assert parser.choose(text, (command,)) == command


def test_labels_are_the_14_verbs():
    assert len(TOLERANT.labels) == 14
    assert TOLERANT.labels[TOLERANT.label("slice egg 1 with knife 1")] == "slice"
    assert TOLERANT.same("look", "look")
    assert not TOLERANT.same("go to cabinet 1", "go to cabinet 10")


@pytest.mark.parametrize(("kwargs", "sentence"), [
    ({"mode": "strict"}, "unknown parser mode 'strict'; choose one of tolerant, released"),
    ({"format": "xml"}, "unknown parser format 'xml'; choose one of thoughts, action_only"),
])  # fmt: skip
def test_unknown_choices_are_named(kwargs, sentence):
    with pytest.raises(ValueError, match=sentence):
        CommandParser(**kwargs)

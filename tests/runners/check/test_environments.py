"""Every rule holds for an environment that keeps all promises, and for one that breaks it says what to mend."""

import re

import pytest
from rich.console import Console

from agentlab_runner.runners.check import rules
from agentlab_runner.runners.check.finding import Finding, Rule, State, asked, held
from agentlab_runner.runners.check.subject import Environment
from agentlab_runner.runners.terminal.progress import Progress
from tests.runners.check import rooms

BY_NAME = {rule.name: rule for rule in rules.ENVIRONMENT}


def found(room: str, *names: str, parser: str | None = None) -> list[Finding]:
    """What these rules say of a room, without those that only make them possible."""
    read = getattr(rooms, parser)() if parser else None
    subject = Environment({"_target_": f"tests.runners.check.rooms.{room}"}, read, episodes=6)
    chosen: list[Rule[Environment]] = [BY_NAME[name] for name in dict.fromkeys(("answers", *names))]
    with Progress(len(chosen), "test", console=Console(quiet=True)) as progress:
        findings = asked("env", chosen, subject, progress)
    return [one for one in findings if one.check in names]


def test_one_that_keeps_all_promises_holds():
    findings = found("Room", *BY_NAME)
    assert [(one.check, one.said) for one in findings if one.state is State.BROKEN] == []
    assert held(findings)
    assert {one.check for one in findings if one.state is State.OPEN} == {
        "parser: api", "parser: written", "parser: anything",
    }  # fmt: skip


def test_a_parser_that_keeps_all_promises_holds():
    findings = found("Says", *BY_NAME, parser="Words")
    assert [(one.check, one.said) for one in findings if one.state is State.BROKEN] == []
    assert {one.check for one in findings if one.state is State.OPEN} == {"phrases", "same view", "vector"}


BROKEN = [
    ("answers", "Mute", "Mute.step ended an episode, but its info does not say 'success'"),
    ("answers", "Endless", "Endless.step has ended no episode in 2000 steps; set truncated"),
    ("answers", "Falls", "Falls.step raised KeyError for the action"),
    ("task and goal", "Nameless", "Nameless.reset says goal=None"),
    ("spaces", "Spaceless", "Spaceless declares no observation_space"),
    ("spaces", "Outside", "Outside.reset: observation 'vector' is array"),
    ("seeds decide", "Drawing", r"Drawing: .* another observation\['image'\] of reset when episodes are played"),
    ("seeds decide", "Carrying", r"Carrying: .* another observation\['text'\] of step 1 after an unfinished"),
    ("another worker", "Working", r"Working: .* another observation\['text'\] of reset .* worker=1"),
    ("another process", "Hashing", r"Hashing: .* another observation\['text'\] of reset in another process"),
    ("seeds differ", "Deaf", "Deaf.reset gave the same episode for 6 seeds"),
    ("seeds differ", "Unheard", "Unheard.reset gave the same episode for 6 seeds"),
    ("ends", "Both", "Both.step said terminated and truncated at once"),
    ("ends", "Cut", "Cut.step said success with truncated"),
    ("ends", "Limit", "Limit.step terminated all 12 episodes after 4 steps; a step limit is truncated"),
    ("success", "Vague", "Vague.step said success="),
    ("observations stay", "Reusing", r"Reusing has changed observation\['vector'\]"),
    ("recorded", "Unkept", "Unkept.step gave marks="),
    ("recorded", "Unwritten", "Unwritten.step gave parsed="),
    ("task by name", "Stubborn", "Stubborn.reset was asked for the task"),
    ("phrases", "Halved", "3 actions and 2 action_ids"),
    ("phrases", "Twice", "lists a phrase or an id twice"),
    ("phrases", "Foreign", r"the action_ids .* are not all in Discrete"),
    ("same view", "Telling", "Telling gives two 'actions' for one image and text"),
    ("vector", "Ragged", "a vector is array"),
    ("doing nothing", "Free", "Free is solved by doing nothing: 6 of 6 succeeded"),
    ("at random", "Free", "Free is solved by acting at random: 6 of 6 succeeded"),
    ("nothing left", "Leaving", "Leaving.close left running: the thread bell"),
]


@pytest.mark.parametrize(("rule", "room", "said"), BROKEN)
def test_what_an_environment_breaks_is_named(rule, room, said):
    [finding] = found(room, rule)
    assert finding.state is State.BROKEN
    assert re.search(said, finding.said), finding.said


PARSERS = [
    ("parser: api", "Silent", "Silent.api shows no action"),
    ("parser: api", "Lying", "Lying.parse reads no action in 'say perhaps'"),
    ("parser: api", "Counting", "Counting.label gave 5 for 'say yes', but there are 2 labels"),
    ("parser: written", "Garbled", "Garbled.parse reads None in 'tell yes'"),
    ("parser: written", "Long", "not in the action_space of"),
    ("parser: written", "Blurred", "Blurred.same takes .* for one, .*Blurred.label for two"),
    ("parser: anything", "Choking", "Choking.parse raised IndexError"),
]


@pytest.mark.parametrize(("rule", "parser", "said"), PARSERS)
def test_what_a_parser_breaks_is_named(rule, parser, said):
    [finding] = found("Says", rule, parser=parser)
    assert finding.state is State.BROKEN
    assert re.search(said, finding.said), finding.said


@pytest.mark.parametrize(("rule", "room"), [("seeds differ", "Single"), ("ends", "Strikes")])
def test_what_looks_broken_can_be_declared(rule, room):
    [finding] = found(room, rule)
    assert finding.state is State.HELD


def test_where_no_episode_is_played_nothing_else_is_asked():
    assert {one.state for one in found("Mute", "success", "ends")} == {State.OPEN}


def test_what_there_is_but_once_is_not_asked_for_a_second():
    [finding] = found("Only", "another worker")
    assert (finding.state, "one device is plugged in" in finding.said) == (State.OPEN, True)


def test_a_server_that_is_not_there_is_no_finding():
    with pytest.raises(ConnectionError, match="start it"):
        found("Gone", "ends")

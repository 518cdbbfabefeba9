"""What a parser says of its own language can be taken at its word."""

import re

import pytest

from agentlab_runner.envs.alfworld.commands import CommandParser
from agentlab_runner.envs.android.actions import AitwParser
from agentlab_runner.envs.browsergym.actions import CallParser
from agentlab_runner.envs.cards.actions import CardsParser
from agentlab_runner.envs.cards.games import GAMES
from agentlab_runner.runners.check.actions import examples
from agentlab_runner.runners.experiment import Parser

PARSERS = {
    **{f"android_{mode}": AitwParser(mode) for mode in ("tolerant", "released", "cogagent", "cogagent_released")},
    **{f"cards_{game}": CardsParser(game) for game in GAMES},
    "browsergym": CallParser(["bid", "coord", "nav", "tab", "chat", "infeas"]),
    "alfworld_thoughts": CommandParser(),
    "alfworld_action_only": CommandParser(format="action_only"),
}


@pytest.fixture(params=PARSERS)
def parser(request: pytest.FixtureRequest) -> Parser:
    return PARSERS[request.param]


def test_every_example_is_an_action_and_is_written_as_the_parser_writes_it(parser: Parser) -> None:
    shown = examples(parser.api)
    assert shown
    for line in shown:
        action = parser.parse(line)
        assert action is not None, line
        assert parser.same(action, parser.parse(parser.render(action)))
        assert 0 <= parser.label(action) < len(parser.labels)


def test_examples_do_different_things(parser: Parser) -> None:
    actions = [parser.parse(line) for line in examples(parser.api)]
    assert not any(parser.same(a, b) for n, a in enumerate(actions) for b in actions[:n])


@pytest.mark.parametrize("game", GAMES)
def test_every_card_action_is_named(game: str) -> None:
    parser = CardsParser(game)
    assert all(re.search(rf"(^|[ ,]){re.escape(name)}([ ,]|$)", parser.api, re.M) for name in parser.labels)


def test_every_household_verb_has_an_example_that_is_understood() -> None:
    parser = CommandParser()
    commands = [re.split(r" {3,}", line)[0] for line in parser.api.split("The commands are:\n")[1].splitlines()]
    assert [parser.labels[parser.label(parser.parse(parser.render(command)))] for command in commands] == list(
        parser.labels
    )

"""f_parse: the tables of both readings."""

import pytest

from agentlab_runner.envs.cards.actions import CardsParser
from agentlab_runner.envs.cards.games import GAMES

MARK = '{"thoughts": "...", "action": "%s"}'


@pytest.mark.parametrize("mode", ["strict", "released"])
@pytest.mark.parametrize("game", GAMES)
def test_every_action_comes_back(game, mode):
    parser = CardsParser(game, mode)
    for action, name in enumerate(parser.labels):
        assert parser.parse(parser.render(action)) == action
        assert parser.parse(MARK % name) == action
        assert parser.label(action) == action
    assert parser.same(0, 0)
    assert not parser.same(0, 1)


@pytest.mark.parametrize(
    ("game", "text", "name"),
    [
        ("numberline", '{"action": "+"}', "+"),
        ("numberline", "+", "+"),  # without a marker the last character is read
        ("numberline", "the answer is -", "-"),
        ("numberline", "-.", None),
        ("numberline", '"action": "+ or -"', None),
        ("numberline", '"action": "-5 + 5"', None),
        ("numberline", '"action" : "+"', None),  # not the marker; the last character is a quote
        ("numberline", '"ACTION": "+"', "+"),
        ("numberline", '"action": "left"', None),
        ("numberline", '"thoughts": "-", "action": "+"', "+"),
        ("numberline", '"action": "+", "action": "-"', None),
        ("numberline", "", None),
        ("blackjack", '"action": "hit"', "hit"),
        ("blackjack", '"action": "I understand, hit"', None),  # understand
        ("blackjack", '"action": "stand or hit"', None),
        ("blackjack", '"action": "white"', "hit"),
        ("blackjack", '"action": "STAND"', "stand"),
        ("ezpoints", '"action": "10"', "10"),
        ("ezpoints", '"action": "11"', "1"),
        ("ezpoints", '"action": "12"', None),
        ("ezpoints", '"action": "101"', None),  # 10 and 1
        ("ezpoints", '"action": "1010"', "10"),
        ("ezpoints", '"action": "3+"', None),
        ("ezpoints", '"action": "-"', None),
        ("ezpoints", "7", "7"),
        ("ezpoints", "10", None),  # the last character is 0
        ("points24", '"action": "12"', None),
        ("points24", '"action": "11"', "1"),
        ("points24", '"action": "("', "("),
        ("points24", '"action": "()"', None),
        ("points24", '"action": "/"', "/"),
    ],
)
def test_released(game, text, name):
    parser = CardsParser(game, "released")
    assert parser.parse(text) == (None if name is None else parser.labels.index(name))


@pytest.mark.parametrize(
    ("game", "text", "name"),
    [
        ("numberline", '{"action": "+"}', "+"),
        ("numberline", '"action": "+', "+"),  # cut off before the quote
        ("numberline", "{'Action' : ' - '}", "-"),
        ("numberline", '{"action": +}', "+"),
        ("numberline", '"thoughts": "- or +", "action": "+"', "+"),
        ("numberline", "+", None),
        ("numberline", "", None),
        ("numberline", '"action": "+-"', None),
        ("numberline", '"action": ""', None),
        ("numberline", '"action": "+", "action": "+"', "+"),
        ("numberline", '"action": "+", "action": "-"', None),
        ("numberline", '"action": "+", "action": "up"', None),
        ("numberline", """{"thoughts": "'action': '-'", "action": "+"}""", "+"),
        ("numberline", """{"action": "+", "thoughts": "not 'action': '-'"}""", "+"),
        ("numberline", """{'thoughts': '"action": "-"', 'action': '+'}""", "+"),
        ("numberline", r"""{"thoughts": "I say \"action\": \"-\"", "action": "+"}""", "+"),
        ("numberline", """{"thoughts": "first\n'action': '-'", "action": "+"}""", "+"),
        ("numberline", """{"thoughts": "'action': '-'"}""", None),
        ("numberline", """I can't go on: it's time. 'action': '+'""", "+"),
        ("numberline", """'{"action": "+"}'""", "+"),
        ("blackjack", '"action": "HIT"', "hit"),
        ("blackjack", '"action": "hit me"', None),
        ("blackjack", '"action": "understand"', None),
        ("ezpoints", '"action": "10"', "10"),
        ("ezpoints", '"action": 10}', "10"),
        ("ezpoints", '"action": "11"', None),
        ("ezpoints", '"action": "-"', None),
        ("points24", '"action": ")"', ")"),
        ("points24", '"action": "1/0="', None),
    ],
)
def test_strict(game, text, name):
    parser = CardsParser(game)
    assert parser.parse(text) == (None if name is None else parser.labels.index(name))


def test_unknown_choices_are_named():
    with pytest.raises(ValueError, match="unknown game 'poker'; choose one of numberline, blackjack"):
        CardsParser("poker")
    with pytest.raises(ValueError, match="unknown parser mode 'lax'; choose one of strict, released"):
        CardsParser("numberline", "lax")

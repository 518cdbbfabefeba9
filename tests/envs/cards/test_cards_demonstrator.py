"""The scripted players: right when they are free, wrong as often as they are forced."""

import json

import pytest

from agentlab_runner.envs import cards
from agentlab_runner.envs.cards.actions import CardsParser
from agentlab_runner.envs.cards.demonstrator import Player, hits
from agentlab_runner.envs.cards.formula import solutions
from agentlab_runner.envs.cards.games import GAMES
from agentlab_runner.runners.online.rollout import demonstrate

FIELDS = {
    "numberline": ["current number", "target number", "thoughts", "action"],
    "blackjack": ["thoughts", "action"],
    "ezpoints": ["cards", "current formula", "thoughts", "action"],
    "points24": ["cards", "current formula", "thoughts", "action"],
}


def play(game, player, episodes=150, **kwargs):
    return demonstrate(player, cards.make(game, observation="text", **kwargs), list(range(episodes)))


def success(trajectories):
    return sum(trajectory.success for trajectory in trajectories) / len(trajectories)


@pytest.mark.parametrize("mode", ["strict", "released"])
@pytest.mark.parametrize("game", GAMES)
def test_utterances_are_json_with_the_asked_fields_and_parse(game, mode):
    for trajectory in play(game, Player(0.3), episodes=20, parser=CardsParser(game, mode)):
        for step in trajectory.steps:
            said = json.loads(step.decision.action)
            assert list(said) == FIELDS[game]
            assert step.info["executed"] == said["action"]
            assert not step.info["parse_failed"]


def test_action_only():
    for trajectory in play("ezpoints", Player(), episodes=5, format="action_only"):
        assert all(list(json.loads(step.decision.action)) == ["action"] for step in trajectory.steps)


@pytest.mark.parametrize("game", ["numberline", "ezpoints"])
def test_a_free_player_always_wins(game):
    assert success(play(game, Player())) == 1


def test_points24_is_won_exactly_where_it_can_be():
    for trajectory in play("points24", Player(), episodes=30):
        numbers = tuple(sorted(trajectory.steps[0].info["state"][:4]))
        assert trajectory.success == bool(solutions(numbers, 24))


def test_basic_strategy_wins_as_often_as_it_should():
    """About 43 % won, 48 % lost of an endless deck, without doubling and splitting."""
    trajectories = play("blackjack", Player(), episodes=4000)
    assert 0.40 < success(trajectories) < 0.46
    assert -0.08 < sum(step.reward for t in trajectories for step in t.steps) / 4000 < 0.0


@pytest.mark.parametrize(
    ("total", "dealer", "soft", "hit"),
    [
        (16, 10, False, True),
        (16, 6, False, False),
        (12, 3, False, True),
        (12, 4, False, False),
        (17, 1, False, False),
        (11, 5, False, True),
        (18, 9, True, True),
        (18, 8, True, False),
        (17, 6, True, True),
        (19, 10, True, False),
    ],
)
def test_basic_strategy(total, dealer, soft, hit):
    assert hits(total, dealer, soft) == hit


def test_forced_actions_of_the_number_line_are_plus():
    steps = [step for t in play("numberline", Player(0.85), 300) for step in t.steps]
    asked = [step for step in steps if json.loads(step.decision.action)["thoughts"] == "higher"]
    plus = sum(step.info["executed"] == "+" for step in asked) / len(asked)
    assert 0.80 < plus < 0.90
    assert 0.4 < success(play("numberline", Player(0.85), 300)) < 0.7


@pytest.mark.parametrize("mistake", ["random", "early"])
def test_forced_players_of_points_fail_in_part(mistake):
    trajectories = play("ezpoints", Player(0.2, mistake))
    assert 0.3 < success(trajectories) < 0.8
    lengths = {len(trajectory.steps) for trajectory in trajectories}
    assert (1 in lengths) == (mistake == "early")


def test_a_formula_that_cannot_make_the_target_any_more_is_ended():
    env = cards.make("ezpoints")
    env.reset(seed=0)
    env.step('"action": "*"')
    assert json.loads(Player().decide(env)) | {"cards": []} == {
        "cards": [],
        "current formula": "*",
        "thoughts": "none",
        "action": "=",
    }


@pytest.mark.parametrize("game", GAMES)
def test_a_seed_gives_the_same_demonstration(game):
    def said():
        return [step.decision.action for t in play(game, Player(0.5), 10) for step in t.steps]

    assert said() == said()


def test_bad_arguments():
    with pytest.raises(ValueError, match=r"forced is 1.5, expected a probability"):
        Player(1.5)
    with pytest.raises(ValueError, match="unknown mistake 'late'; choose one of random, early"):
        Player(0.1, "late")

"""The dealer's hidden card is not told, nor what the deck would give next."""

import numpy as np
import pytest

from agentlab_runner.envs.cards.env import CardsEnv
from agentlab_runner.envs.cards.games import RANKS


@pytest.mark.parametrize("released", [False, True])
@pytest.mark.parametrize("style", ["full", "short"])
def test_the_dealers_hidden_card_is_not_told(released, style):
    env = CardsEnv("blackjack", observation="both", prompt=style, released=released)
    differed = 0
    for seed in range(40):
        told, info = env.reset(seed=seed)
        dealer = env.game.dealer
        for rank in RANKS:
            env.game.dealer = [dealer[0], (rank, "H")]
            again = env._observe()
            differed += env.game.dealer != dealer
            assert again["text"] == told["text"]
            assert np.array_equal(again["image"], told["image"])
            assert (env.game.state, env.game.goal) == (info["state"], info["goal"])
    assert differed > 400


def test_two_tables_that_will_go_on_differently_look_alike():
    """The same hands, and other cards to come."""
    one, other = CardsEnv("blackjack", observation="both"), CardsEnv("blackjack", observation="both")
    one.reset(seed=1), other.reset(seed=2)
    other.game.cards, other.game.dealer = one.game.cards, [one.game.dealer[0], *other.game.dealer[1:]]
    mine, theirs = one._observe(), other._observe()
    assert mine["text"] == theirs["text"]
    assert np.array_equal(mine["image"], theirs["image"])

"""The configs: every choice composes, builds, and refuses what is wrong before anything is built."""

import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

from agentlab_runner.envs.cards.games import GAMES
from agentlab_runner.runners.config.compose import compose
from agentlab_runner.runners.errors import UserError


@pytest.mark.parametrize("game", GAMES)
def test_every_choice_builds_its_game_and_its_parser(game):
    settings = OmegaConf.to_container(compose([f"env={game}"]).env)
    del settings["num_envs"]
    env = instantiate(settings, worker=0, _convert_="all")
    assert env.unwrapped.game.name == env.unwrapped.parser.game == game


def test_the_base_asks_for_a_game():
    with pytest.raises(UserError, match=r"env.game has no value"):
        compose(["env=cards"])
    assert compose(["env=cards", "env.game=ezpoints"]).env.parser.game == "ezpoints"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("env.game=poker", "poker"),
        ("env.natural=true", "natural is a rule of blackjack"),
        ("env.parser.game=points24", "the parser reads points24"),
        ("env.parser.mode=lax", "lax"),
        ("env.image_size=8", "image_size"),
        ("env.observation=pixels", "pixels"),
        ("env.num_envs=0", "num_envs"),
    ],
)
def test_wrong_values_are_refused(override, message):
    with pytest.raises(UserError, match=message):
        compose(["env=numberline", override])

"""Card and number games for vision-language agents: NumberLine, Blackjack, EZPoints and Points24 (gym_cards)."""

from typing import Any

import gymnasium

ENV_IDS = {
    "numberline": "agentlab/NumberLine-v0",
    "blackjack": "agentlab/Blackjack-v0",
    "ezpoints": "agentlab/EZPoints-v0",
    "points24": "agentlab/Points24-v0",
}

for _game, _id in ENV_IDS.items():
    gymnasium.register(
        id=_id,
        entry_point="agentlab_runner.envs.cards.env:CardsEnv",
        vector_entry_point="agentlab_runner.envs.cards.vector:CardsVectorEnv",
        disable_env_checker=True,
        kwargs={"game": _game},
    )


def make(game: str, *, worker: int = 0, **kwargs: Any) -> "gymnasium.Env[dict[str, Any], str]":
    """The environment of `conf/env/cards.yaml` for one worker, through Gymnasium's registry.

    Keyword arguments are those of `envs.cards.env.CardsEnv`; `env.unwrapped` is one.

    Raises:
        ValueError: there is no such game, or an argument is not one of its choices.
    """
    if game not in ENV_IDS:
        raise ValueError(f"unknown game {game!r}; choose one of {', '.join(ENV_IDS)}")
    return gymnasium.make(ENV_IDS[game], worker=worker, **kwargs)

"""What `conf/env/cards.yaml` may hold, checked before anything heavy is imported."""

from typing import Literal, Self

from pydantic import Field, model_validator

from agentlab_runner.envs.settings import Settings

GameName = Literal["numberline", "blackjack", "ezpoints", "points24"]


class CardsParserSettings(Settings):
    """How the agent's text becomes an action (agentlab_runner.envs.cards.actions.CardsParser)."""

    target: str = Field(alias="_target_")
    game: GameName
    mode: Literal["strict", "released"]


class CardsSettings(Settings):
    """The keys of a card game."""

    num_envs: int = Field(ge=1)
    game: GameName
    parser: CardsParserSettings
    observation: Literal["image", "text", "both"]
    prompt: Literal["full", "short"]
    format: Literal["thoughts", "action_only"]
    image_size: int = Field(ge=64, le=1024)
    natural: bool
    rng: Literal["own", "released"]
    released: bool

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.natural and self.game != "blackjack":
            raise ValueError(f"natural is a rule of blackjack, not of {self.game}")
        if self.parser.game != self.game:
            raise ValueError(f"the parser reads {self.parser.game} and the game is {self.game}; set both alike")
        return self

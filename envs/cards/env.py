"""A card game as a Gymnasium environment: the agent's utterance in, prompt and picture out."""

from collections.abc import Mapping
from typing import Any, get_args

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from agentlab_runner.envs.cards import prompts
from agentlab_runner.envs.cards.actions import CardsParser
from agentlab_runner.envs.cards.chance import Chance, Choices, PythonGlobal, Seeded
from agentlab_runner.envs.cards.games import GAMES, Blackjack, Game, Points
from agentlab_runner.envs.cards.paint import paint
from agentlab_runner.envs.cards.settings import GameName
from agentlab_runner.envs.spaces import AnyText

Observation = dict[str, Any]
VIEWS = ("image", "text", "both")
RNGS = ("own", "released")


class CardsEnv(gymnasium.Env[Observation, str]):
    """One of the four games of gym_cards; the rules and rewards are those of `envs.cards.games`.

    An observation holds `text` (the prompt) and, unless `observation` is `text`, `image` (uint8 [S, S, 3]). An action
    is the agent's raw utterance; the index of an action is taken as well. An utterance the parser makes nothing of is
    replaced by an action drawn uniformly from the environment's own generator.

    `reset(options={"task": NAME})` takes the game's own name alone. Its info holds `task` (the game), `goal`,
    `level` (0) and `state`; that of `step`
        success: the episode is won (NumberLine: a return above 0; Blackjack: a win; Points: the target), False before;
        parsed: the canonical text of the action, None if the utterance was unparsable, and `parse_failed`;
        executed: the name of the action that was carried out;
        state: what the player may know in numbers (`Game.state`);
        stop: None while the episode goes on, then `success`, `failure` or `horizon`;
        marks: what to write on the picture the action was chosen from.

    Args:
        game: `numberline`, `blackjack`, `ezpoints` or `points24`.
        observation: `image`, `text` (the table in words, no image) or `both`.
        prompt: `full` tells rules and form of the answer, `short` the task in a few words.
        format: what the full prompt asks for: `thoughts` before the action, or `action_only`.
        parser: reads utterances; None is a strict one of this game.
        image_size: side of the picture in pixels, 64 at least (released: 300).
        natural: Blackjack: a win with ace and ten at once pays 1.5.
        rng: `own`: everything random comes from `reset(seed=)`. `released`: the generators of the original, drawn from
            in its order: Python's global `random` (which `reset` does not seed) for all but Blackjack's cards.
        released: keep what the original does although its rules say otherwise (see each game).
        worker: which of the parallel environments this is; nothing depends on it.

    Raises:
        ValueError: an argument is not one of its choices, or the parser is another game's.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 2}  # noqa: RUF012 - Gymnasium's own form

    def __init__(
        self,
        game: GameName,
        observation: str = "image",
        prompt: prompts.Style = "full",
        format: prompts.Format = "thoughts",
        parser: CardsParser | None = None,
        image_size: int = 300,
        natural: bool = False,
        rng: str = "own",
        released: bool = False,
        worker: int = 0,
        render_mode: str | None = "rgb_array",
    ) -> None:
        for name, value, known in (
            ("game", game, tuple(GAMES)),
            ("observation", observation, VIEWS),
            ("prompt", prompt, get_args(prompts.Style)),
            ("format", format, get_args(prompts.Format)),
            ("rng", rng, RNGS),
        ):
            if value not in known:
                raise ValueError(f"unknown {name} {value!r}; choose one of {', '.join(known)}")
        if image_size < 64:
            raise ValueError(f"image_size is {image_size}; nothing can be read below 64 pixels")
        if natural and game != "blackjack":
            raise ValueError(f"natural is a rule of blackjack, not of {game}; leave it false")
        self.parser = parser or CardsParser(game)
        if self.parser.game != game:
            raise ValueError(f"the parser reads {self.parser.game}, and the game is {game}; give CardsParser({game!r})")
        self.game: Game = Blackjack(released, natural) if game == "blackjack" else GAMES[game](released)
        self.style, self.format = prompt, format
        self.shows_image, self.shows_table = observation != "text", observation != "image"
        self.image_size = image_size
        self.released_rng = rng == "released"
        self.render_mode = render_mode
        if self.released_rng and game != "blackjack":
            self.game.deal(PythonGlobal())  # the original's constructor uses up a deal
        self._ended = True
        shown: dict[str, spaces.Space[Any]] = {"text": AnyText(1 << 12)}
        if self.shows_image:
            shown["image"] = spaces.Box(0, 255, (image_size, image_size, 3), np.uint8)
        self.observation_space = spaces.Dict(shown)
        self.action_space = AnyText(1 << 12)
        self._seed_chance()

    def reset(
        self, *, seed: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        super().reset(seed=seed)
        if (task := (options or {}).get("task", self.game.name)) != self.game.name:
            raise ValueError(f"this table plays {self.game.name}, not {task!r}; ask for {self.game.name}")
        if seed is not None:
            self._seed_chance()
        self.game.deal(self._cards)
        self._return, self._ended = 0.0, False
        return self._observe(), {
            "task": self.game.name,
            "goal": self.game.goal,
            "level": 0,
            "state": self.game.state,
        }

    def step(self, action: str | int) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        if self._ended:
            raise gymnasium.error.ResetNeeded("the episode is over; call reset before the next step")
        parsed = self._read(action)
        index = self._fallback.below(len(self.game.actions)) if parsed is None else parsed
        reward, terminated, truncated = self.game.play(index, self._cards)
        self._return += reward
        self._ended = terminated or truncated
        success = terminated and self.game.won(reward, self._return)
        name = self.game.actions[index]
        return (
            self._observe(),
            reward,
            terminated,
            truncated,
            {
                "success": success,
                "parsed": None if parsed is None else self.parser.render(parsed),
                "parse_failed": parsed is None,
                "executed": name,
                "state": self.game.state,
                "stop": "success" if success else "failure" if terminated else "horizon" if truncated else None,
                "marks": [{"kind": "text", "text": name}],
            },
        )

    def render(self) -> NDArray[np.uint8]:
        """The table, uint8 [S, S, 3]; read-only, because it is shared."""
        return paint(self.game, self.image_size)

    def _seed_chance(self) -> None:
        """Whom cards and replaced actions are drawn from."""
        own: Chance = Seeded(self.np_random)
        self._cards, self._fallback = own, own
        if self.released_rng:
            self._fallback = PythonGlobal()
            self._cards = Choices(self.np_random) if self.game.name == "blackjack" else self._fallback

    def _read(self, action: str | int) -> int | None:
        if isinstance(action, str):
            return self.parser.parse(action)
        if not isinstance(action, int | np.integer) or isinstance(action, bool):
            raise ValueError(f"an action is the agent's text, or an index, not {type(action).__name__} {action!r}")
        count = len(self.game.actions)
        if not 0 <= action < count:
            raise ValueError(f"{self.game.name} has no action {action}; its {count} actions are 0 to {count - 1}")
        return int(action)

    def _observe(self) -> Observation:
        game = self.game
        words = prompts.seen(game) if self.shows_table else None
        formula = "".join(game.formula) if isinstance(game, Points) else None
        text = prompts.prompt(game.name, self.style, self.format, words, formula)
        if not self.shows_image:
            return {"text": text}
        return {"text": text, "image": self.render().copy()}  # the observer's own, as Gymnasium asks

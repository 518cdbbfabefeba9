"""Many tables of one game as a `gymnasium.vector.VectorEnv`: text and numbers, no pictures, an order faster."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, get_args

import numpy as np
from gymnasium import spaces
from gymnasium.utils.seeding import np_random
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from agentlab_runner.envs.cards import prompts
from agentlab_runner.envs.cards.actions import CardsParser
from agentlab_runner.envs.cards.batch import BATCHED, Bools, Ints, Streams, Tables
from agentlab_runner.envs.cards.games import GAMES
from agentlab_runner.envs.spaces import AnyText

Observations = dict[str, Any]


class CardsVectorEnv(VectorEnv[Observations, Any, NDArray[Any]]):
    """N games that go step for step like N `CardsEnv(observation="text")` under the game's own rules.

    Observations hold `text` (N prompts) and `state` (int16 [N, K], as `Game.state`). `step` takes N utterances or N
    indices of actions. An episode that ends is followed by a new one in the same step: its last observation is then
    in `infos["final_obs"]`, an object array with None where none ended. The infos speak of the step just made:
        success: bool [N], won in this step;
        parse_failed: bool [N];
        executed: int [N], the indices of the actions carried out.

    Args:
        game, prompt, format, parser: as of `envs.cards.env.CardsEnv`.
        num_envs: N.

    Raises:
        ValueError: an argument is not one of its choices, or the parser is another game's.
    """

    metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}  # noqa: RUF012 - Gymnasium's own form

    def __init__(
        self,
        game: str,
        num_envs: int = 1,
        prompt: prompts.Style = "full",
        format: prompts.Format = "thoughts",
        parser: CardsParser | None = None,
    ) -> None:
        for name, value, known in (
            ("game", game, tuple(GAMES)),
            ("prompt", prompt, get_args(prompts.Style)),
            ("format", format, get_args(prompts.Format)),
        ):
            if value not in known:
                raise ValueError(f"unknown {name} {value!r}; choose one of {', '.join(known)}")
        if num_envs < 1:
            raise ValueError(f"num_envs is {num_envs}; give at least 1")
        parser = parser or CardsParser(game)
        if parser.game != game:
            raise ValueError(f"the parser reads {parser.game}, and the game is {game}; give CardsParser({game!r})")
        self.num_envs = num_envs
        self._actions = len(GAMES[game].actions)

        @lru_cache(maxsize=1 << 16)
        def parse(text: Any) -> int:
            action = parser.parse(text)
            return -1 if action is None else action

        self._parse = parse
        self._tables: Tables = BATCHED[game](num_envs, prompt, format)
        self._all = np.arange(num_envs)
        self._by_return = game == "numberline"  # what counts as won: see Game.won
        self._returns = np.zeros(num_envs)
        width = self._tables.state().shape[1]
        self.single_observation_space = spaces.Dict(
            {"text": AnyText(1 << 12), "state": spaces.Box(-1, 31, (width,), np.int16)}
        )
        self.single_action_space = AnyText(1 << 12)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._seed(None)

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[Observations, dict[str, Any]]:
        """Deal at all tables; table i is seeded by `seed + i`, or by the i-th of several seeds."""
        if seed is not None:
            self._seed(seed)
        self._tables.deal(self._all)
        self._returns[:] = 0
        return self._observe(), {}

    def step(
        self, actions: Sequence[str] | Sequence[int] | NDArray[Any]
    ) -> tuple[Observations, NDArray[np.float64], Bools, Bools, dict[str, Any]]:
        chosen = self._read(actions)
        failed = chosen < 0
        rows = np.nonzero(failed)[0]
        chosen[rows] = self._tables.streams.below(rows, self._actions)
        rewards, terminated, truncated = self._tables.play(chosen)
        self._returns += rewards
        infos: dict[str, Any] = {
            "success": terminated & ((self._returns if self._by_return else rewards) > 0),
            "parse_failed": failed,
            "executed": chosen,
        }
        over = terminated | truncated
        ended = np.nonzero(over)[0]
        if len(ended):
            last = zip(self._tables.texts(ended), self._tables.state(ended), strict=True)
            final = np.full(self.num_envs, None, dtype=object)
            final[ended] = [{"text": text, "state": state} for text, state in last]
            infos |= {"final_obs": final, "_final_obs": over}
            self._tables.deal(ended)
            self._returns[ended] = 0
        return self._observe(), rewards, terminated, truncated, infos

    def _seed(self, seed: int | Sequence[int | None] | None) -> None:
        if seed is None or isinstance(seed, int | np.integer):
            seeds: list[int | None] = [None if seed is None else int(seed) + i for i in range(self.num_envs)]
        else:
            seeds = list(seed)
        if len(seeds) != self.num_envs:
            raise ValueError(f"{len(seeds)} seeds for {self.num_envs} tables; give one a table, or a single number")
        self._tables.streams = Streams([np_random(one)[0] for one in seeds])

    def _read(self, actions: Sequence[str] | Sequence[int] | NDArray[Any]) -> Ints:
        """[N] indices of a fresh array, -1 where an utterance could not be parsed."""
        if len(actions) != self.num_envs:
            raise ValueError(f"{len(actions)} actions for {self.num_envs} tables; give one a table")
        if isinstance(actions[0], str):
            return np.array([*map(self._parse, actions)])
        chosen = np.array(actions, dtype=np.int64)
        if ((chosen < 0) | (chosen >= self._actions)).any():
            wrong = int(chosen[(chosen < 0) | (chosen >= self._actions)][0])
            raise ValueError(f"there is no action {wrong}; the {self._actions} actions are 0 to {self._actions - 1}")
        return chosen

    def _observe(self) -> Observations:
        return {"text": self._tables.texts(), "state": self._tables.state()}

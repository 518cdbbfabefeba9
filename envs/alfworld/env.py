"""The household as a Gymnasium environment: the agent's utterance in, prompt and picture out."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from agentlab_runner.envs.alfworld import draw, prompts
from agentlab_runner.envs.alfworld.commands import CommandParser
from agentlab_runner.envs.alfworld.engine import Engine
from agentlab_runner.envs.alfworld.games import Games
from agentlab_runner.envs.alfworld.pddl import PddlEngine
from agentlab_runner.envs.alfworld.scenes import Sampling, Scenes, Split
from agentlab_runner.envs.alfworld.twin import Twin
from agentlab_runner.envs.alfworld.world import TREATMENT, TaskType, conditions
from agentlab_runner.envs.spaces import AnyText

Observation = dict[str, Any]
View = Literal["text", "image", "both"]
Reward = Literal["released", "scaled"]

Commands = Literal["all", "useful", "none", "listed"]

INFORMATIVE = ("look", "inventory", "help")
"""Commands that change nothing and are always there; `useful` and `listed` leave them out."""

LONGEST = 80
"""Characters of a text that is no command which are sent and later told in the prompt."""


class AlfworldEnv(gymnasium.Env[Observation, str]):
    """A household task by text commands (ALFWorld, arXiv 2010.03768).

    An observation holds `text` (the prompt: goal, past, what can be done and, unless `observation` is `image`, what was
    answered last) and, unless `observation` is `text`, `image` (the place one stands at, uint8 [size, size, 3]). An
    action is the agent's raw utterance. With `commands: listed` what can be done stands in `actions`, for agents that
    choose, and in `action_ids` the utterance for each.

    What is done with an utterance: the admissible command it means (`CommandParser.choose`) is sent; if it means none,
    its text is, and nothing happens; if it says nothing, a random admissible command is, drawn from the environment's
    own generator. All but the first are illegal.

    Rewards, with won and illegal 0 or 1 and g the share of the goal's conditions that hold after the step:
        released: 50 won + g - illegal (RL4VLM), so g is paid again at every step;
        scaled: won + (g - g before) - illegal / 50; a return lies in [-1, 2] over 50 steps.

    `reset(options={"episode": i})` takes the i-th task under `sequential` sampling, `options["task"]` names the type of
    the task, and `i` then counts those of this type. Its info holds `task` (one of the
    six types), `goal` and `level` (2 with an appliance or two things, else 1).
    The info of a step holds
        success: bool;
        parsed: the command the utterance meant, None if it meant none, and `parse_failed`;
        command: what was done; `illegal`: whether it was not admissible or not the agent's;
        goal_conditions: g;
        stop: None while the episode goes on, then `success` or `horizon`;
        marks: what to draw on the picture.

    Args:
        engine: `twin` (pure Python) or `pddl` (TextWorld; extra `alfworld`), equal but for speed.
        split, task_types, rooms, things, receptacles, objects, sampling: as in `envs.alfworld.scenes.Scenes`.
        data: folder of ALFWorld's own games (`json_2.1.1` of `alfworld-download`), whose scenes are then played as they
            are; None generates scenes.
        parser: reads utterances; None is a `CommandParser()`.
        observation: `text`, `image` or `both`.
        prompt: `full` or `short`.
        history: how many of the last commands, with their answers, the prompt tells.
        commands: which admissible commands the prompt tells: `all`, `useful` (without look, inventory, help) or `none`;
            or `listed`: the useful ones beside the prompt.
        reward: `released` or `scaled`.
        horizon: steps after which the episode is truncated.
        image_size: pixels a side.
        worker: which of the parallel environments this is; all are alike.

    Raises:
        ValueError: an argument is not one of its choices, or the extra or the data is missing.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 2}  # noqa: RUF012 - Gymnasium's own form

    def __init__(
        self,
        engine: Literal["twin", "pddl"] = "twin",
        split: Split = "train",
        task_types: Sequence[str] = (),
        rooms: Sequence[str] = (),
        things: Sequence[str] = (),
        receptacles: int | None = None,
        objects: int = 12,
        sampling: Sampling = "random",
        data: str | None = None,
        parser: CommandParser | None = None,
        observation: View = "text",
        prompt: prompts.Style = "full",
        history: int = 3,
        commands: Commands = "all",
        reward: Reward = "released",
        horizon: int = 50,
        image_size: int = 300,
        worker: int = 0,
        render_mode: str | None = "rgb_array",
    ) -> None:
        for name, value, choices in (
            ("engine", engine, ("twin", "pddl")),
            ("observation", observation, get_args(View)),
            ("prompt", prompt, get_args(prompts.Style)),
            ("commands", commands, get_args(Commands)),
            ("reward", reward, get_args(Reward)),
        ):
            if value not in choices:
                raise ValueError(f"unknown {name} {value!r}; choose one of {', '.join(choices)}")
        if horizon < 1:
            raise ValueError(f"horizon is {horizon}; an episode needs at least 1 step")
        if history < 0:
            raise ValueError(f"history is {history}; expected 0 or more commands to tell")
        if data is not None and (rooms or things or receptacles is not None):
            raise ValueError("data holds finished scenes; leave rooms, things and receptacles empty, or data=null")
        self.scenes: Scenes | Games = (
            Scenes(split, task_types, rooms, things, receptacles, objects, sampling)
            if data is None
            else Games(data, split, task_types, sampling)
        )
        self.engine: Engine = Twin() if engine == "twin" else PddlEngine()
        self.parser = parser or CommandParser()
        self.view, self.style, self.told, self.scale = observation, prompt, commands, reward
        self.history, self.horizon, self.image_size = history, horizon, image_size
        self.render_mode = render_mode
        self._events: list[prompts.Event] = []
        self._ended = True
        shown: dict[str, spaces.Space[Any]] = {"text": AnyText(1 << 16)}
        if commands == "listed":
            shown |= {name: spaces.Sequence(AnyText(200)) for name in ("actions", "action_ids")}
        if observation != "text":
            shown["image"] = spaces.Box(0, 255, (image_size, image_size, 3), np.uint8)
        self.observation_space = spaces.Dict(shown)
        self.action_space = AnyText(1 << 12)

    def reset(
        self, *, seed: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        super().reset(seed=seed)
        asked = options or {}
        world = self.scenes.make(int(self.np_random.integers(2**62)), asked.get("episode", seed), asked.get("task"))
        self.turn = self.engine.start(world)
        self._events = [("", self.turn.text.split("\n\n")[1])]
        self._share = self._conditions()
        self._ended = False
        goal = world.goal
        level = 2 if goal.task in (*TREATMENT, TaskType.PICK_TWO) else 1
        return self._observe(), {"task": goal.task.value, "goal": goal.text, "level": level}

    def step(self, action: str) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        if self._ended:
            raise gymnasium.error.ResetNeeded("the episode is over; call reset before the next step")
        if not isinstance(action, str):
            raise ValueError(f"an action is the agent's text, not {type(action).__name__} {action!r}")
        command, illegal, meant = self._command(action)
        self.turn = self.engine.step(command)
        self._events.append((command, self.turn.text))
        before, self._share = self._share, self._conditions()
        won = self.turn.won
        stop = "success" if won else "horizon" if len(self._events) > self.horizon else None
        self._ended = stop is not None
        if self.scale == "released":
            reward = 50.0 * won + self._share - illegal
        else:
            reward = won + self._share - before - illegal / 50
        info = {
            "success": won,
            "parsed": meant,
            "parse_failed": meant is None,
            "command": command,
            "illegal": illegal,
            "goal_conditions": self._share,
            "stop": stop,
            "marks": [{"kind": "text", "text": command}],
        }
        return self._observe(), reward, won, stop == "horizon", info

    def render(self) -> NDArray[np.uint8]:
        """The place one stands at, uint8 [size, size, 3]."""
        return draw.scene(self.engine.world, self.engine.state, self.image_size)

    def close(self) -> None:
        self.engine.close()

    def _command(self, utterance: str) -> tuple[str, bool, str | None]:
        """What to send, whether it is illegal, and the command the utterance meant, if any."""
        commands, spoken = self.turn.commands, self.parser.spoken(utterance)
        if not spoken.strip():
            return commands[int(self.np_random.integers(len(commands)))], True, None
        chosen = self.parser.choose(utterance, commands)
        if chosen is not None:
            return chosen, False, chosen
        return spoken[:LONGEST], True, self.parser.parse(utterance)

    def _conditions(self) -> float:
        met, asked = conditions(self.engine.world, self.engine.state)
        return met / asked

    def _observe(self) -> Observation:
        past = self._events[max(len(self._events) - self.history, 1) :]
        commands = [c for c in self.turn.commands if self.told == "all" or c not in INFORMATIVE]
        text = prompts.prompt(
            self.style,
            None if self.told == "listed" else self.parser.format,
            self.engine.world.goal.text,
            past,
            None if self.view == "image" else self._events[-1][1],
            commands if self.told in ("all", "useful") else None,
        )
        shown: Observation = {"text": text}
        if self.told == "listed":
            shown |= {"actions": tuple(commands), "action_ids": tuple(map(self.parser.render, commands))}
        return shown if self.view == "text" else shown | {"image": self.render()}

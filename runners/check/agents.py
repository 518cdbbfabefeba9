"""An agent under examination: what a short run has made of it, anew as often as it is asked for."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from hydra.utils import instantiate
from omegaconf import DictConfig

from agentlab_runner.runners.check.trace import digest, name_of
from agentlab_runner.runners.experiment import PreparingAgent, RememberingAgent
from agentlab_runner.runners.launch import building
from agentlab_runner.runners.online.parts import make_agent, single_rollout
from agentlab_runner.runners.online.rollout import EVAL, episode_seeds, play
from agentlab_runner.runners.processes.rng import seed_everything
from agentlab_runner.runners.run.folder import Run
from agentlab_runner.runners.terminal.progress import Progress
from agentlab_runner.runners.types import Decision, Observation, Start, Trajectory

SHORT = 3
"""Steps of an episode in which decisions are compared."""
EPISODES = 3
LIVE = 2
"""Episodes at a time, so that a slot is taken again while others go on."""


class Agents:
    """One agent under examination.

    Args:
        cfg: the experiment, scaled down.
        folder: for what is made here.
    """

    def __init__(self, cfg: DictConfig, overrides: Sequence[str], folder: Path, learns: bool) -> None:
        self.cfg, self.overrides, self.folder, self.learns = cfg, overrides, folder, learns
        self.run: Path | None = None
        """The short run, once it was made."""
        self.name = str(cfg.agent._target_)
        self._made = 0

    @cached_property
    def trainer(self) -> Any:
        return instantiate(self.cfg.trainer)

    def fresh(self) -> Any:
        """An agent of its own, as the run's last checkpoint has it."""
        assert self.run is not None
        self._made += 1
        own = self.folder / f"agent_{self._made}"
        own.mkdir()
        self._take("model", own)
        seed_everything(self.cfg.seed)
        with building():
            agent = make_agent(self.cfg, own, self.trainer)
        if isinstance(agent, RememberingAgent):
            self._take("memory", own)
        if isinstance(agent, PreparingAgent):
            with Progress(1, "preparing") as progress:
                agent.prepare(own, progress.report)
        if self.learns:
            _, state = Run.open(self.run).load_checkpoint("last")
            agent.load_state_dict(state["agent"])
        self.name = name_of(agent)
        return agent

    def _take(self, name: str, own: Path) -> None:
        """A folder of the short run, if it made one."""
        assert self.run is not None
        if (self.run / name).exists():
            shutil.copytree(self.run / name, own / name)

    @cached_property
    def mode(self) -> "tuple[Noted, list[Trajectory]]":
        """An agent that was asked for the most likely actions, and what came of it."""
        noted = Noted(self.fresh())
        return noted, self.play(noted, True, seed=1)

    @contextmanager
    def environments(self, count: int) -> Iterator[list[gymnasium.Env[Any, Any]]]:
        """So many of them, whose episodes are short."""
        with closing(single_rollout(self.cfg, self.trainer, {**self.cfg.eval.env, "num_envs": count})) as rollout:
            yield [Short(env) for env in rollout.envs]

    def play(self, agent: Any, deterministic: bool, live: int = LIVE, seed: int = 0) -> list[Trajectory]:
        """A few short episodes by number, the same for every agent; chance begins at `seed`."""
        task = {"task": self.cfg.eval.tasks[0]} if self.cfg.eval.get("tasks") else {}
        seeds = episode_seeds(self.cfg.eval.seed, EVAL, count=EPISODES)
        starts = [Start(number, one, {"episode": number, **task}) for number, one in enumerate(seeds)]
        with self.environments(min(live, self.cfg.env.num_envs)) as envs:
            seed_everything(seed)
            found = dict(play(agent, envs, starts, deterministic=deterministic))
        return [found[number] for number in sorted(found)]


class Short(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Ends every episode after a few steps."""

    def reset(self, **start: Any) -> Any:
        self._steps = 0
        return self.env.reset(**start)

    def step(self, action: Any) -> Any:
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._steps += 1
        if self._steps == SHORT and not (terminated or truncated):
            return observation, reward, False, True, {"success": False, **info, "stop": "horizon"}
        return observation, reward, terminated, truncated, info


class Noted:
    """An agent and what it was asked, in order."""

    def __init__(self, agent: Any) -> None:
        self.unwrapped = agent
        self.asked: list[tuple[str, Any]] = []
        """`begin` with numbers, `act` with (copies of observations, decisions), `end` with trajectories."""
        self.changed = ""
        """The part of an observation that the agent has changed."""

    def begin(self, episodes: Sequence[int]) -> None:
        self.asked.append(("begin", list(episodes)))
        self.unwrapped.begin(episodes)

    def act(self, observations: Sequence[Observation], deterministic: bool) -> list[Decision]:
        copies = [copied(observation) for observation in observations]
        decisions: list[Decision] = self.unwrapped.act(observations, deterministic)
        for before, now in zip(copies, observations, strict=True):
            odd = [key for key in before if digest(before[key]) != digest(now.get(key))]
            self.changed = self.changed or "".join(odd[:1])
        self.asked.append(("act", (copies, list(decisions))))
        return decisions

    def end(self, trajectories: Sequence[Trajectory]) -> None:
        self.asked.append(("end", list(trajectories)))
        self.unwrapped.end(trajectories)


def copied(observation: Observation) -> dict[str, Any]:
    """The same in memory of its own; nothing leads from it to where it came from."""
    return {key: _copy(value) for key, value in observation.items()}


def _copy(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.copy()
    if isinstance(value, Mapping):
        return copied(value)
    return type(value)(map(_copy, value)) if type(value) in (list, tuple) else value

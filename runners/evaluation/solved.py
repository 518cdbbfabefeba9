"""Episodes that were solved, for agents that remember: a demonstrator's, or another run's played once more."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gymnasium
from hydra.utils import instantiate
from omegaconf import DictConfig

from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.experiment import RememberingAgent
from agentlab_runner.runners.online.rollout import DEMO, demonstrate, episode_seeds, replay
from agentlab_runner.runners.online.warm_start import env_settings
from agentlab_runner.runners.run.episodes import load_episodes, sets_of
from agentlab_runner.runners.terminal.progress import Progress
from agentlab_runner.runners.types import Trajectory

log = logging.getLogger(__name__)


def solved(agent: RememberingAgent, cfg: DictConfig) -> list[Trajectory]:
    """What the agent is to remember, each episode played just now, and with success.

    Raises:
        UserError: if nothing says where from, or nothing was solved.
    """
    if agent.from_run is not None:
        return _of_run(Path(agent.from_run).expanduser(), cfg)
    if not cfg.warm_start:
        return []
    demonstrator = instantiate(cfg.warm_start.demonstrator)
    seeds = episode_seeds(cfg.seed, DEMO, count=cfg.warm_start.episodes)
    with _env(cfg) as env, Progress(len(seeds), "demonstrations") as progress:
        played = demonstrate(demonstrator, env, seeds, lambda _: progress.advance())
    return _successes(played, len(played), "demonstrations")


def _of_run(folder: Path, cfg: DictConfig) -> list[Trajectory]:
    """Successes that a run has recorded, wherever it did, the latest first; each is played from its start again."""
    known: dict[str, Trajectory] = {}
    for one in sets_of(folder):
        for episode in load_episodes(one):
            if episode.success:
                known.setdefault(f"{episode.task} {dict(episode.restart) or episode.seed} {_actions(episode)}", episode)
    if not known:
        raise UserError(
            f"{folder} has recorded no episode that was solved; a run that trains keeps some with record_successes=N"
        )
    again = []
    with _env(cfg) as env, Progress(len(known), "episodes played once more") as progress:
        for number, episode in enumerate(known.values()):
            again.append(replay(env, episode, number))
            progress.advance()
    return _successes([one for one in again if one is not None], len(known), f"episodes of {folder.name}")


def _successes(played: Sequence[Trajectory], begun: int, what: str) -> list[Trajectory]:
    """
    Raises:
        UserError: if there is none.
    """
    found = [one for one in played if one.success]
    if not found:
        raise UserError(f"none of {begun} {what} is solved here; give some of this environment that it may show")
    if len(found) < begun:
        log.warning("%d of %d %s are not solved here and left out", begun - len(found), begun, what)
    return found


def _actions(episode: Trajectory) -> str:
    return repr([step.decision.action for step in episode.steps])


@contextmanager
def _env(cfg: DictConfig) -> Iterator[gymnasium.Env[Any, Any]]:
    """The environment, with what `warm_start.env` has otherwise."""
    settings = env_settings(cfg, cfg.warm_start.get("env") if cfg.warm_start else None)
    settings.pop("num_envs")
    env = instantiate(settings, worker=0, _convert_="all")
    try:
        yield env
    finally:
        env.close()

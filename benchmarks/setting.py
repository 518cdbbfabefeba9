"""The phones and the policy of `+exp=coso_android`, for the benchmarks that need them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import gymnasium
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from agents.coso.agent import CosoAgent
from agents.llm.policy import LanguagePolicy
from runners.compose import compose
from runners.launch import build
from runners.run import Run
from runners.trainer import Trainer

EXPERIMENT = ("+exp=coso_android", "logger=none", "eval.episodes=1", "eval.record=0")
QUICK = ("warm_start.episodes=60", "agent.imitation.steps=60")

Envs = list[gymnasium.Env[Any, Any]]


def phones(overrides: Sequence[str] = (), count: int | None = None) -> Envs:
    """The experiment's training environments, or `count` of them."""
    settings: Any = OmegaConf.to_container(compose([*EXPERIMENT, *overrides]).env)
    number = count or settings["num_envs"]
    del settings["num_envs"]
    return [instantiate(settings, worker=worker, _convert_="all") for worker in range(number)]


@dataclass(frozen=True, slots=True)
class WarmStart:
    """Where the experiment begins its online phase."""

    cfg: DictConfig
    model: Path
    state: dict[str, Any]
    trainer: Trainer

    def agent(self, **changes: Any) -> CosoAgent:
        """A fresh agent in that state; `changes` are settings of it."""
        cfg = self.cfg
        model = {key: value for key, value in cfg.model.items() if key not in ("_target_", "make", "name")}
        settings: Any = OmegaConf.to_container(cfg.agent)
        del settings["_target_"]
        policy = LanguagePolicy.from_pretrained(self.model, **model)
        agent = CosoAgent(policy, instantiate(cfg.env.parser), **settings | changes)
        agent.setup(self.trainer)
        agent.load_state_dict(self.state)
        return agent


@contextmanager
def warm_start(overrides: Sequence[str] = ()) -> Iterator[WarmStart]:
    """The experiment's warm start: checkpoint 0 of a run of one small iteration (its demonstrations are cached)."""
    with TemporaryDirectory() as folder:
        short = compose([*EXPERIMENT, *overrides, "total_iterations=1", "rollout_size=1", "agent.actor_steps=1"])
        with Run.create(short, Path(folder), ["benchmarks"]) as run:
            build(short).train(run)
        _, state = run.load_checkpoint("0")
        cfg = compose([*EXPERIMENT, *overrides])
        yield WarmStart(cfg, run.path / "model", state["agent"], instantiate(cfg.trainer))

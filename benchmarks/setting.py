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
from runners.warm_start import WarmStartCache, cache_key

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
    """The experiment's warm start, taken from its cache; an untrained evaluation makes it where there is none yet."""
    cfg = compose([*EXPERIMENT, *overrides])
    with TemporaryDirectory() as folder:
        model = Path(folder) / "model"
        state = WarmStartCache().restore(cache_key(cfg), model)
        if state is None:
            with Run.create(cfg, Path(folder), ["benchmarks"]) as run:
                build(cfg).evaluate(run, "none")
            state = WarmStartCache().restore(cache_key(cfg), model)
        assert state is not None
        yield WarmStart(cfg, model, state, instantiate(cfg.trainer))

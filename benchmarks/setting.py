"""The environments and the policy of an experiment, as its online phase begins, for the benchmarks that need them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import gymnasium
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from agentlab_runner.agents.llm.policy import LanguagePolicy
from agentlab_runner.runners.config.compose import compose
from agentlab_runner.runners.launch import build
from agentlab_runner.runners.processes.trainer import Trainer
from agentlab_runner.runners.run.folder import Run

QUIET = ("logger=none", "eval.episodes=1", "eval.record=0")
QUICK = ("warm_start.episodes=60", "agent.imitation.steps=60")

Envs = list[gymnasium.Env[Any, Any]]


def environments(overrides: Sequence[str] = (), count: int | None = None, exp: str = "coso_android") -> Envs:
    """The experiment's training environments, or `count` of them."""
    settings: Any = OmegaConf.to_container(compose([f"+exp={exp}", *QUIET, *overrides]).env)
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

    def agent(self, **changes: Any) -> Any:
        """A fresh agent in that state; `changes` are settings of it."""
        cfg = self.cfg
        model = {key: value for key, value in cfg.model.items() if key not in ("_target_", "make", "name")}
        settings: Any = OmegaConf.to_container(cfg.agent)
        policy = LanguagePolicy.from_pretrained(self.model, **model)
        agent = instantiate(settings | changes, policy=policy, parser=instantiate(cfg.env.parser))
        agent.setup(self.trainer)
        agent.load_state_dict(self.state)
        return agent


@contextmanager
def warm_start(overrides: Sequence[str] = (), exp: str = "coso_android") -> Iterator[WarmStart]:
    """The experiment's warm start: checkpoint 0 of a run without iterations (it is made once and kept)."""
    with TemporaryDirectory() as folder:
        short = compose([f"+exp={exp}", *QUIET, *overrides, "total_iterations=0"])
        with Run.create(short, Path(folder), ["benchmarks"]) as run:
            build(short).train(run)
        _, state = run.load_checkpoint("0")
        cfg = compose([f"+exp={exp}", *QUIET, *overrides])
        yield WarmStart(cfg, run.path / "model", state["agent"], instantiate(cfg.trainer))

"""The parts a config names, built: the agent with its model and parser, the environments."""

import inspect
from collections.abc import Collection, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.utils import get_object, instantiate
from omegaconf import DictConfig, OmegaConf

from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.experiment import Collects, Curriculum
from agentlab_runner.runners.online.curriculum import NoCurriculum
from agentlab_runner.runners.online.rollout import Rollout
from agentlab_runner.runners.online.warm_start import env_settings
from agentlab_runner.runners.processes.device import decided

if TYPE_CHECKING:
    from agentlab_runner.runners.processes.trainer import Trainer


def check(cfg: DictConfig) -> None:
    """What can be refused before anything is made.

    Raises:
        UserError: if a part is not chosen, or the trainer asks for what this machine lacks.
    """
    if not cfg.agent or not cfg.env:
        lacks = " and ".join(f"no {part}" for part in ("agent", "env") if not cfg[part])
        raise UserError(
            f"there is nothing to run: the config has {lacks}; start from an experiment with +exp=NAME "
            "(see: agentlab list), or choose agent=NAME env=NAME"
        )
    if not cfg.trainer:
        raise UserError("the config has no trainer; add trainer=cpu")
    number = cfg.env.get("num_envs")
    if not isinstance(number, int) or number < 1:
        raise UserError(f"env.num_envs is {number}, but must be a count of live environments; give env.num_envs=N")
    decided(cfg.trainer.get("device", "cpu"), cfg.trainer.get("precision", "no"))


def model_maker(cfg: DictConfig) -> DictConfig | None:
    """What makes the model, if it is made here; the sizes an experiment gives the tiny one make no other."""
    make = cfg.model.get("make") if cfg.model else None
    return make if make and "_target_" in make else None


def make_agent(cfg: DictConfig, folder: Path, trainer: "Trainer") -> Any:
    """The agent, set up with `trainer` if it learns.

    Args:
        folder: of the run, whose `model/` holds a model that was made for it.

    Raises:
        UserError: if that was not made, or the config lacks a part that the agent cannot do without.
    """
    parts: dict[str, Any] = {}
    if cfg.model:
        model = OmegaConf.to_container(cfg.model, resolve=True)
        assert isinstance(model, dict)
        model.pop("make", None)
        if model_maker(cfg) is not None:
            if not (folder / "model").exists():
                raise UserError("this model is made from demonstrations; give the experiment a warm_start")
            model["name"] = str(folder / "model")
        parts["policy"] = instantiate(model)
    if "parser" in cfg.env and "parser" in inspect.signature(get_object(cfg.agent._target_)).parameters:
        parts["parser"] = instantiate(cfg.env.parser)
    if "team" in inspect.signature(get_object(cfg.agent._target_)).parameters:
        parts["team"] = team_of(cfg)
    _check_parts(cfg.agent._target_, parts)
    agent = instantiate(cfg.agent, **parts)
    if hasattr(agent, "setup"):
        agent.setup(trainer)
    return agent


def make_rollout(cfg: DictConfig, trainer: "Trainer", changes: Mapping[str, Any] | None = None) -> Collects:
    """The environments, in which every key of `changes` has the value given there."""
    settings = env_settings(cfg, changes)
    number = settings.pop("num_envs")
    if not cfg.get("rollout"):
        return Rollout(settings, number, trainer)  # a run older than the choice
    made: Collects = instantiate(cfg.rollout, env=settings, num_envs=number, trainer=trainer, _recursive_=False)
    return made


def single_rollout(cfg: DictConfig, trainer: "Trainer", changes: Mapping[str, Any] | None = None) -> Rollout:
    """As `make_rollout`, where each environment is an object.

    Raises:
        UserError: if the config plays them otherwise.
    """
    made = make_rollout(cfg, trainer, changes)
    if not isinstance(made, Rollout):
        made.close()
        raise UserError(
            f"{cfg.rollout._target_} plays whole teams, and this looks at single environments; evaluate teams with "
            "the experiment of online agents (total_iterations=0 learns nothing)"
        )
    return made


def team_of(cfg: DictConfig) -> Any:
    """The sizes of the training environment, as a `TeamSpec`."""
    settings = env_settings(cfg)
    settings.pop("num_envs")
    with closing(get_object(cfg.rollout._target_).make(settings, 1, "cpu")) as env:
        return env.spec


def make_curriculum(cfg: DictConfig, tasks: Mapping[str, Mapping[str, float]]) -> Curriculum:
    """The curriculum, which chooses among these tasks.

    Raises:
        UserError: if it cannot.
    """
    made: Curriculum = instantiate(cfg.curriculum) if cfg.get("curriculum") else NoCurriculum()
    made.setup(tasks, cfg.seed)
    return made


def _check_parts(target: str, parts: Collection[str]) -> None:
    """Whether this config makes what an agent cannot do without.

    Raises:
        UserError: naming what is missing and what brings it.
    """
    brings = {"policy": "a language model; add model=NAME (see: agentlab list models)",
              "parser": "an environment that reads what is said; choose another env=NAME"}  # fmt: skip
    for name, given in inspect.signature(get_object(target)).parameters.items():
        if name in brings and name not in parts and given.default is inspect.Parameter.empty:
            raise UserError(f"{target} needs {brings[name]}")

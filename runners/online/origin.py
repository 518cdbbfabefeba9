"""Start from what another run has learnt: `init_from=RUN` or `init_from=RUN@CHECKPOINT`."""

import copy
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from omegaconf import DictConfig, OmegaConf

from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.run.checkpoint import Checkpoint
from agentlab_runner.runners.run.folder import Run
from agentlab_runner.runners.run.lookup import folder_named


@dataclass(frozen=True, slots=True)
class Origin:
    """A checkpoint of another run."""

    run: Run
    checkpoint: Checkpoint

    @classmethod
    def find(cls, cfg: DictConfig) -> Self:
        """What the config's `init_from` names: the checkpoint given, else the best, the last where none was evaluated.

        Raises:
            UserError: if there is none, or the run is of another agent.
        """
        name, which = _split(cfg.init_from)
        try:
            run = Run.open(folder_named(name, Path(cfg.runs_dir)))
            kept = run.checkpoints.all()
            evaluated = any(checkpoint.score is not None for checkpoint in kept)
            checkpoint = run.checkpoints.find(which or ("best" if evaluated else "last"))
        except UserError as fault:
            raise UserError(f"init_from={cfg.init_from}: {fault}") from fault
        theirs, ours = (OmegaConf.select(one, "agent._target_") for one in (run.config, cfg))
        if theirs != ours:
            raise UserError(f"{run.path} has trained {theirs}, from whose weights {ours} cannot start")
        return cls(run, checkpoint)

    def as_begun(self, run: Run) -> Self:
        """The same, or what `run` had begun from already when it was stopped before its first checkpoint.

        Raises:
            UserError: if that is no longer there.
        """
        known = run.manifest.get("init_from")
        if not known or known["sha256"] == self.checkpoint.sha256:
            return self
        for checkpoint in self.run.checkpoints.all():
            if checkpoint.sha256 == known["sha256"]:
                return type(self)(self.run, checkpoint)
        raise UserError(
            f"{run.path} began from checkpoint {known['step']} of {self.run.path}, which is gone; start a new run"
        )

    def __str__(self) -> str:
        return f"{self.run.path}@{self.checkpoint.step}"

    def record(self) -> dict[str, Any]:
        """For the manifest of the run that starts from it."""
        return {"run": str(self.run.path), "step": self.checkpoint.step, "sha256": self.checkpoint.sha256}

    def agent_state(self) -> dict[str, Any]:
        """What the agent's `state_dict` gave."""
        _, state = self.run.load_checkpoint(str(self.checkpoint.step))
        if not isinstance(state, dict) or "agent" not in state:
            raise UserError(f"{self} holds no agent, so nothing can start from it")
        agent: dict[str, Any] = state["agent"]
        return agent

    def copy_model(self, folder: Path) -> None:
        """A model that was made for that run, vocabulary and all, into `folder`; links in it are left out."""
        made = self.run.path / "model"
        if not made.is_dir():
            raise UserError(f"{self.run.path} made no model of its own; choose its model (see: its config.yaml)")

        def links(parent: str, names: list[str]) -> list[str]:
            return [name for name in names if (Path(parent) / name).is_symlink()]

        partial = folder.with_name(f".{folder.name}.part")
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(made, partial, ignore=links)
        partial.rename(folder)


def pinned(cfg: DictConfig) -> DictConfig:
    """The config with the very run and checkpoint in `init_from`, since `latest` and `best` may be another tomorrow.

    Raises:
        UserError: as `Origin.find`.
    """
    if not cfg.get("init_from"):
        return cfg
    cfg = copy.deepcopy(cfg)
    cfg.init_from = str(Origin.find(cfg))
    return cfg


def refuse_latest(cfg: DictConfig) -> None:
    """
    Raises:
        UserError: if jobs that run at different times would each start from whatever run is the latest then.
    """
    if cfg.get("init_from") and _split(cfg.init_from)[0] == "latest":
        raise UserError("the latest run may change while jobs run; name the one they start from: init_from=RUN")


def _split(text: str) -> tuple[str, str | None]:
    """The run and, behind an @, the checkpoint."""
    found = re.fullmatch(r"(.+)@(best|last|\d+)", text)
    return (found[1], found[2]) if found else (text, None)

"""An experiment that only counts, so that the runner can be tested without learning anything."""

import time
from pathlib import Path
from typing import Any, Literal

import yaml
from omegaconf import DictConfig
from pydantic import Field

from agentlab_runner.runners.config.root_settings import RootSettings
from agentlab_runner.runners.config.settings import Settings
from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.run.folder import Run
from agentlab_runner.runners.types import Metrics


class CountingSettings(RootSettings):
    hold_at: int | None
    fail_at: int | None


class ScmSettings(Settings):
    mode: Literal["exact", "paper"]


class ToySettings(Settings):
    lr: float = Field(gt=0, le=1)
    gamma: float = Field(ge=0, le=1)
    entropy: Literal["none", "uniform", "causal"]
    greedy: bool
    window: int | Literal["auto"]
    scm: ScmSettings
    same_lr: float | None = None


class CountingExperiment:
    """Logs its counter, checkpoints it, and fails or waits when told to."""

    def __init__(self, cfg: DictConfig) -> None:
        if cfg.agent.gamma == 1:
            raise ValueError("agent.gamma is 1, but this horizon has no end; choose a smaller one")
        self.cfg = cfg

    def train(self, run: Run) -> Metrics:
        done = run.load_checkpoint()[0] if run.has_checkpoint() else 0
        for count in range(done + 1, self.cfg.total_iterations + 1):
            if count == self.cfg.fail_at:
                raise RuntimeError("the counter broke")
            run.log({"count": count}, step=count)
            run.save_checkpoint(count, {"count": count}, score=float(-count))
            print(f"counted {count}", flush=True)
            if count == self.cfg.hold_at:
                time.sleep(600)
        return {"eval/success": 0.5, "count": float(self.cfg.total_iterations)}

    def evaluate(self, run: Run, checkpoint: str) -> Metrics:
        if self.cfg.eval.episodes == 13:
            raise RuntimeError("thirteen episodes")
        count = 0 if checkpoint == "none" else run.load_checkpoint(checkpoint)[0]
        run.write_eval(f"count_{count}", {"count": count})
        return {"eval/success": 0.25, "count": float(count), "episodes": float(self.cfg.eval.episodes)}


def convert(path: Path) -> list[str]:
    """Stands for the importer of a released config."""
    content: Any = yaml.safe_load(path.read_text())
    if not isinstance(content, dict):
        raise UserError(f"{path} is not a mapping")
    return ["agent=toy", *(f"agent.{name}={value}" for name, value in content.items())]

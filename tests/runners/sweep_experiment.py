"""An experiment that costs nothing and goes wrong on demand, for the tests of sweeps."""

import os
import signal
import time
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from runners.run import Run
from runners.types import Metrics


class Climb:
    """Logs `eval/success` = step * slope + seed / 100, a line a step, and resumes at the step after its last line.

    Args:
        slope: the arm.
        pause: seconds a step takes.
        fail: raise at step 2 if this file exists.
        die: end the process as the kernel would for want of memory.
    """

    def __init__(
        self, cfg: DictConfig, slope: float, pause: float = 0.0, fail: str | None = None, die: bool = False, **_: Any
    ) -> None:
        self.cfg, self.slope, self.pause, self.fail, self.die = cfg, slope, pause, fail, die

    def train(self, run: Run) -> Metrics:
        done = [line["step"] for line in run.metrics()]
        run.write("starts.txt", f"{(run.path / 'starts.txt').read_text() if done else ''}{done} {os.environ.get('OMP_NUM_THREADS')}\n")
        metrics = {"eval/success": 0.0}
        for step in range(len(done), self.cfg.total_iterations + 1):
            if step == 2 and self.fail and Path(self.fail).exists():
                raise ValueError(f"slope {self.slope} is too steep")
            if step == 2 and self.die:
                os.kill(os.getpid(), signal.SIGKILL)
            metrics = {"eval/success": step * self.slope + self.cfg.seed / 100}
            run.log(metrics, step=step)
            time.sleep(self.pause)
        return metrics

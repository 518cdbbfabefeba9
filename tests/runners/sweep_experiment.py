"""An experiment that costs nothing and goes wrong on demand, for the tests of sweeps."""

import os
import signal
import time
from pathlib import Path

from omegaconf import DictConfig

from agentlab_runner.runners.run.folder import Run
from agentlab_runner.runners.types import Metrics


class Climb:
    """Logs `eval/success` = step * slope + seed / 100 for steps 0 to `total_iterations`.

    `starts.txt` in the run has a line a process: the first step it did, and its share of the cores.
    """

    def __init__(
        self,
        cfg: DictConfig,
        slope: float,
        pause: float,
        save: bool,
        fail: str | None,
        die: str | None,
        hold: str | None = None,
    ) -> None:
        self.cfg, self.slope, self.pause, self.save = cfg, slope, pause, save
        self.fail, self.die, self.hold = fail, die, hold

    def train(self, run: Run) -> Metrics:
        begin = run.load_checkpoint()[0] + 1 if run.has_checkpoint() else 0
        with open(run.path / "starts.txt", "a") as file:
            print(begin, os.environ.get("OMP_NUM_THREADS"), file=file)
        metrics = {"eval/success": 0.0}
        for step in range(begin, self.cfg.total_iterations + 1):
            if step >= 2 and self.slope == 0.2:
                self._go_wrong()
            metrics = {"eval/success": step * self.slope + self.cfg.seed / 100}
            run.log(metrics, step=step)
            if self.save:
                run.save_checkpoint(step, {})
            time.sleep(self.pause)
            while step >= 3 and self.hold and Path(self.hold).exists():
                time.sleep(0.05)
        return metrics

    def _go_wrong(self) -> None:
        if self.fail and Path(self.fail).exists():
            raise ValueError("slope 0.2 is too steep")
        if self.die and Path(self.die).exists():
            os.kill(os.getpid(), int(Path(self.die).read_text() or signal.SIGKILL))

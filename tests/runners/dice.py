"""An environment that throws dice and can end its own process."""

import os
import signal

import gymnasium
import numpy as np


class Dice(gymnasium.Env):
    """Four throws of a die seeded with the episode; the goal names the process it is thrown in."""

    def __init__(self, worker: int = 0, flaw: str = ""):
        if flaw:
            raise ValueError(flaw)
        self.worker = worker

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        if options["episode"] == 8:
            os._exit(1)
        self.throws = 0
        return self._see(), {"task": f"worker {self.worker}", "goal": str(os.getpid()), "level": options["episode"]}

    def step(self, action):
        self.throws += 1
        if action == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        info = {"success": self.throws == 4, "parsed": action, "parse_failed": False, "marks": []}
        return self._see(), float(self.np_random.integers(6)), False, self.throws == 4, info

    def _see(self):
        return {"text": str(self.throws), "image": self.np_random.integers(255, size=(8, 8, 3)).astype(np.uint8)}

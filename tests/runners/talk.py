"""A riddle and an agent that asks a model for its answer, for tests of evaluations; nothing here draws by chance."""

import os
import time
from collections.abc import Sequence
from pathlib import Path

import gymnasium
import numpy as np

from agentlab_runner.runners.errors import RunFailed
from agentlab_runner.runners.types import Decision, StopReason


class Riddle(gymnasium.Env):
    """Three tries; solved by the word `TASK-SEED%4` from the second on. The judge of `broken` seeds breaks."""

    def __init__(self, worker: int = 0, tasks: Sequence[str] = ("sums", "names"), broken: Sequence[int] = ()):
        self.tasks, self.broken = list(tasks), list(broken)
        self.metadata = {}

    def reset(self, *, seed=None, options=None):
        self.seed, self.tries = seed, 0
        task = (options or {}).get("task", self.tasks[0])
        if task not in self.tasks:
            raise ValueError(f"there is no {task}; ask for {', '.join(self.tasks)}")
        self.task = task
        return self._seen(), {"task": task, "goal": f"solve {task}", "level": 1, "conditions": {"riddles": "edition 2"}}

    def step(self, action):
        self.tries += 1
        won = action == f"{self.task}-{self.seed % 4}" and self.tries > 1
        info = {"success": won, "parsed": action, "scores": {"tries": self.tries}}
        info["measures"] = {"effort": self.tries / 3, "odd": self.seed % 2}
        over = self.tries == 3
        if self.seed in self.broken:
            info |= {"success": False, "stop": "error", "reason": "the judge broke"}
            return self._seen(), 0.0, False, True, info
        return self._seen(), float(won), won, over and not won, info

    def _seen(self):
        shade = np.full((64, 64, 3), self.seed % 200, np.uint8)
        return {"text": f"{self.task} {self.seed} try {self.tries}", "image": shade}


class Deaf(Riddle):
    """Takes no task by name."""

    def reset(self, *, seed=None, options=None):
        return super().reset(seed=seed, options={})


class Talker:
    """Asks once a step; answers by the digit 2 of its model, so that a quarter of the riddles is solved.

    Args:
        pause: seconds an answer takes.
        gone_after: answers after which its model is gone for good.
        gives_up: whether it stops at seeds that end in 7.
    """

    def __init__(self, policy=None, parser=None, pause: float = 0.0, gone_after: int = 10**9, gives_up: bool = True):
        self.pause, self.gone_after, self.gives_up, self.answers = pause, gone_after, gives_up, 0
        self.prepared: list[Path] = []

    def prepare(self, folder, report):
        self.prepared.append(folder)
        report(1, 1)
        return {"memory/records": 3.0}

    def begin(self, episodes):
        with open(os.environ.get("TALK_LOG", os.devnull), "a") as out:
            out.write("".join(f"{number}\n" for number in episodes))

    def act(self, observations, deterministic):
        time.sleep(self.pause)
        self.answers += len(observations)
        if self.answers > self.gone_after:
            raise RunFailed("the model at http://localhost:1 has gone")
        return [self._decide(observation["text"]) for observation in observations]

    def end(self, trajectories):
        assert all(trajectory.stop in StopReason for trajectory in trajectories)

    def _decide(self, text: str) -> Decision:
        task, seed, _, tries = text.split()
        messages = [{"role": "system", "parts": ["Solve it."]}, {"role": "user", "parts": [text]}]
        call = {"module": "act", "messages": messages, "reply": f"{task}-2", "tokens_in": 10,
                "tokens_out": int(tries) + 1, "seconds": 0.5, "cost": 0.25, "cached": tries == "0",
                "model": "talk-1"}  # fmt: skip
        reason = "no idea" if self.gives_up and seed.endswith("7") else None
        return Decision(call["reply"], {"calls": [call], "record": {"tries": int(tries)}}, reason)

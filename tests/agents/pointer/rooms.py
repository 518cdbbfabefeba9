"""A room of boxes with names: open those that the goal names, then leave. Names are drawn, so they are always new."""

import gymnasium
import numpy as np

LETTERS = list("bcdfghjklmnpqrstvwxz")


class Boxes(gymnasium.Env):
    """`wanted` boxes must be open when one leaves; six steps at most.

    Args:
        features: whether phrases come with them, whether a box is open among them.
        goal: whether the goal stands by itself, and not in the text alone.
    """

    def __init__(self, worker: int = 0, wanted: int = 1, boxes: int = 4, features: bool = True, goal: bool = True):
        self.wanted, self.boxes, self.features, self.says_goal = wanted, boxes, features, goal

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        draw = self.np_random
        count = int(draw.integers(2, self.boxes + 1))
        self.names = ["".join(draw.choice(LETTERS, 4)) for _ in range(count)]
        self.right = set(draw.permutation(count)[: min(self.wanted, count)].tolist())
        self.open, self.steps = set(), 0
        named = " and ".join(f'"{self.names[box]}"' for box in sorted(self.right))
        self.goal = f"Open {named}, then leave."
        return self._seen(), {"task": "boxes", "goal": self.goal}

    def step(self, action):
        self.steps += 1
        if action != "leave":
            self.open ^= {int(action)}
        left = action == "leave"
        won = left and self.open == self.right
        return self._seen(), float(won), left, self.steps == 6, {"success": won}

    def _seen(self):
        shown = {
            "text": f"Task: {self.goal}\nI",
            "actions": (*(f'open the box "{name}"' for name in self.names), "leave the room"),
            "action_ids": (*map(str, range(len(self.names))), "leave"),
        }
        if self.says_goal:
            shown["goal"] = self.goal
        if self.features:
            opened = [[1.0, float(box in self.open)] for box in range(len(self.names))]
            shown["features"] = np.array([*opened, [0.0, 0.0]], np.float32)
        return shown

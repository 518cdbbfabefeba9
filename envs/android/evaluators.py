"""Who says that the task is done: the phone's own state, or a model that looks at screenshots."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from envs.android.device import PhoneDevice, TaskSpec

Image = NDArray[np.uint8]
"""[H, W, 3]."""


class NotEvaluated(Exception):
    """Nobody could say whether the task is done; one sentence with the reason."""


class Evaluator(Protocol):
    """Decides success after every step."""

    needs_template: bool
    """Whether tasks must be the phone's own templates; False means a goal in words is enough."""

    def success(self, device: PhoneDevice, task: TaskSpec, before: Image, after: Image) -> bool:
        """Whether `task` is done, given the screens before and after the step.

        Raises:
            NotEvaluated: nobody could say.
            DeviceLost: the phone went away.
        """


class Programmatic:
    """Asks the phone: a predicate on its state."""

    needs_template = True

    def success(self, device: PhoneDevice, task: TaskSpec, before: Image, after: Image) -> bool:
        return device.task_success(task)

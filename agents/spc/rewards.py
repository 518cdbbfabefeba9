"""What a bandit is paid for a choice: the score at the target, its gain, or progress on the task itself."""

import logging
from typing import ClassVar

import numpy as np

from agentlab_runner.agents.spc.settings import BanditSettings
from agentlab_runner.agents.spc.teacher import Heard, Vector
from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.types import Metrics

log = logging.getLogger(__name__)


class Paid:
    """The rewards of all bandits, in [0, 1].

    - `level`: `eval_mix * target + (1 - eval_mix) * own`, scores of the target and of what was trained on (released
      code of arXiv 2302.03429); the target's alone where no training episode counted.
    - `gain`: the target's score less its mean over the last `window` choices, from [-1, 1] to [0, 1].
    - `own_progress`: the absolute change of the played task's own score since it was played last.
    - `td_progress`: the mean absolute TD error on the played task, relative to the largest seen (after arXiv
      2205.10016).
    """

    kept: ClassVar[tuple[str, ...]] = ("past_targets", "past_own", "largest_error", "paid")
    settings: BanditSettings
    names: list[str]
    size: int
    ends: bool

    def start_paying(self) -> None:
        self.past_targets: list[float] = []
        self.past_own: Vector = np.full(self.size, np.nan)
        self.largest_error = 0.0
        self.paid: float | None = None
        """The newest reward."""

    @property
    def target_episodes(self) -> int:
        listens = self.settings.reward == "gain" or (self.settings.reward == "level" and self.settings.eval_mix > 0)
        return self.settings.target_episodes if listens and self.ends else 0

    def report(self) -> Metrics:
        return {} if self.paid is None else {"curriculum/reward": self.paid}

    def reward(self, heard: Heard, arm: int) -> float | None:
        """What is paid for a choice; None, and a warning where that is odd, if nothing can be said of it."""
        found = {
            "level": self._level, "gain": self._gain, "own_progress": self._own, "td_progress": self._error
        }[self.settings.reward](heard, arm)  # fmt: skip
        if found is not None:
            self.paid = found
        return found

    def _level(self, heard: Heard, arm: int) -> float | None:
        own, mix = heard.mean(), self.settings.eval_mix
        if mix == 0:
            return own
        if heard.target is None:
            log.warning("no episode of the target counted; the curriculum learns nothing from this choice")
            return None
        return heard.target if own is None else mix * heard.target + (1 - mix) * own

    def _gain(self, heard: Heard, arm: int) -> float | None:
        if heard.target is None:
            return self._level(heard, arm)
        before = self.past_targets
        self.past_targets = [*before, heard.target][-self.settings.window :]
        return (1 + heard.target - sum(before) / len(before)) / 2 if before else None

    def _own(self, heard: Heard, arm: int) -> float | None:
        score = heard.mean(arm)
        if score is None:
            return None
        before, self.past_own[arm] = float(self.past_own[arm]), score
        return None if np.isnan(before) else abs(score - before)

    def _error(self, heard: Heard, arm: int) -> float | None:
        errors = heard.errors()
        if errors is None:
            raise UserError(
                f"{type(heard.agent).__name__} does not say its TD errors (it has no td_error); "
                "choose curriculum.reward=own_progress"
            )
        error = errors.get(self.names[arm])
        if error is None:
            return None
        self.largest_error = max(self.largest_error, error)
        return error / self.largest_error if self.largest_error else 0.0

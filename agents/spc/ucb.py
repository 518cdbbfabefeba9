"""An optimistic bandit that forgets."""

from typing import ClassVar

import numpy as np

from agentlab_runner.agents.spc.rewards import Paid
from agentlab_runner.agents.spc.settings import UcbSettings
from agentlab_runner.agents.spc.teacher import Heard, Teacher, Vector


class Ucb(Paid, Teacher):
    """Discounted UCB (Garivier and Moulines 2011): the task of the largest `mean + 2 sqrt(xi log n / n_k)`.

    `n_k` and the mean are discounted counts and rewards. Every task is played once first, in the order given.
    """

    settings_class = UcbSettings
    settings: UcbSettings
    kept: ClassVar[tuple[str, ...]] = (*Paid.kept, "plays", "sums", "tried")

    def begin(self) -> None:
        self.start_paying()
        self.plays, self.sums = np.zeros(self.size), np.zeros(self.size)
        self.tried = np.zeros(self.size, dtype=bool)

    def preference(self) -> Vector:
        chosen = np.zeros(self.size)
        chosen[int(np.argmin(self.tried)) if not self.tried.all() else int(np.argmax(self.bounds()))] = 1
        return chosen

    def bounds(self) -> Vector:
        """[K], of tasks that were all played."""
        counts = np.maximum(self.plays, 1e-12)
        bonus: Vector = 2 * np.sqrt(self.settings.bonus * np.log(max(counts.sum(), 1.0)) / counts)
        return self.sums / counts + bonus

    def hear(self, heard: Heard) -> None:
        reward = self.reward(heard, self.standing)
        first, self.tried[self.standing] = not self.tried[self.standing], True
        if reward is None and first:
            reward = 1.0  # nothing can be said of a first play where progress is paid: worth another
        if reward is not None:
            self.plays *= self.settings.discount
            self.sums *= self.settings.discount
            self.plays[self.standing] += 1
            self.sums[self.standing] += reward

"""Adversarial bandits: Exp3 by its own rule and by the paper's, and EXP3.S for rewards that drift."""

from typing import ClassVar

import numpy as np

from agentlab_runner.agents.spc.rewards import Paid
from agentlab_runner.agents.spc.settings import Exp3Settings, Exp3SSettings
from agentlab_runner.agents.spc.teacher import Heard, Teacher, Vector


def softmax(log_weights: Vector) -> Vector:
    """[..., K], each row sums to 1; the largest is subtracted first, so that no weight is too large for a float."""
    weights: Vector = np.exp(log_weights - log_weights.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    return weights


def mixed(log_weights: Vector, alpha: float) -> Vector:
    """[..., K]: `p_k = (1 - alpha) w_k / sum_j w_j + alpha / K` (Auer et al. 2002, Exp3; arXiv 2302.03429, Alg. 1)."""
    chances: Vector = (1 - alpha) * softmax(log_weights) + alpha / log_weights.shape[-1]
    return chances


def updated(log_weights: Vector, arm: int, reward: float, alpha: float, rule: str) -> Vector:
    """[K] log weights after `arm` was played.

    `exp3`: `log w_k += alpha (r / p_k) / K` (Auer et al. 2002, and the released code); `paper`: without the `p_k`
    (arXiv 2302.03429, Alg. 1). The largest is 0 afterwards, which changes no probability.

    Args:
        reward: in [0, 1].
    """
    gain = reward / mixed(log_weights, alpha)[arm] if rule == "exp3" else reward
    changed = log_weights.copy()
    changed[arm] += alpha * gain / len(changed)
    changed -= changed.max()
    return changed


def shared(log_weights: Vector, share: float) -> Vector:
    """[K] log weights after each was given `e * share / K` of the sum of all (EXP3.S, Auer et al. 2002); largest 0."""
    total = np.logaddexp.reduce(log_weights)
    changed: Vector = np.logaddexp(log_weights, 1 + np.log(share / len(log_weights)) + total)
    changed -= changed.max()
    return changed


class Exp3(Paid, Teacher):
    """One bandit, whatever the student has become; `bandit-no-context` of the released code.

    An arm stands until there is a reward for it; the first is the first task, as released, or drawn.
    """

    settings_class = Exp3Settings
    settings: Exp3Settings
    kept: ClassVar[tuple[str, ...]] = (*Paid.kept, "log_weights", "arm")

    def begin(self) -> None:
        self.start_paying()
        self.log_weights = np.zeros(self.size)
        self.arm = 0 if self.settings.first_arm == "first" else self.drawn(self.probabilities())

    def preference(self) -> Vector:
        return softmax(self.log_weights)

    def choose(self) -> int:
        return self.arm

    def hear(self, heard: Heard) -> None:
        reward = self.reward(heard, self.arm)
        if reward is not None:
            self.log_weights = self.learnt(updated(self.log_weights, self.arm, reward, *self.rule))
            self.arm = self.drawn(self.probabilities())

    @property
    def rule(self) -> tuple[float, str]:
        return self.settings.alpha, self.settings.update_rule

    def learnt(self, log_weights: Vector) -> Vector:
        """What else happens to the weights at an update."""
        return log_weights


class Exp3S(Exp3):
    """Exp3 against the best *sequence* of tasks: every weight keeps a share of all, so that none is given up."""

    settings_class = Exp3SSettings
    settings: Exp3SSettings

    def learnt(self, log_weights: Vector) -> Vector:
        return shared(log_weights, self.settings.share)

"""Precision, recall and F1 of counts."""

from typing import NamedTuple


class Score(NamedTuple):
    """Precision, recall and their harmonic mean, each in [0, 1]."""

    precision: float
    recall: float
    f1: float


def score(correct: int, done: int, wanted: int) -> Score:
    """Of counts; a denominator of 0 gives 1 where the other side is empty too, else 0."""
    precision = correct / done if done else float(not wanted)
    recall = correct / wanted if wanted else float(not done)
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return Score(precision, recall, f1)

"""Learning curves as one PNG."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from agentlab_runner.runners.terminal.statistics import bootstrap_interval
from agentlab_runner.runners.terminal.tables import visible


@dataclass(frozen=True, slots=True)
class Curve:
    """One line: the mean of one or several runs."""

    label: str
    runs: tuple[Mapping[int, float], ...]
    """Value by step, one mapping a run."""

    def points(self) -> list[tuple[int, float, float, float]]:
        """(step, mean, low, high) where half of the runs or more have a value; low and high bound 95 % (bootstrap)."""
        points = []
        for step in sorted({step for run in self.runs for step in run}):
            values = [run[step] for run in self.runs if step in run]
            if 2 * len(values) < len(self.runs):
                continue
            mean = sum(values) / len(values)
            band = bootstrap_interval(values, resamples=2000)
            points.append((step, mean, band.low if band else mean, band.high if band else mean))
        return points


def plot_curves(file: BinaryIO, curves: Sequence[Curve], metric: str, axis: str = "step") -> None:
    """Draw the curves over what their runs count, `axis`, into a PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot(xlabel=axis, ylabel=metric)
    for curve in curves:
        if not (points := curve.points()):
            continue
        steps, means, lows, highs = zip(*points, strict=True)
        n = f" (n = {len(curve.runs)})" if len(curve.runs) > 1 else ""
        (drawn,) = axes.plot(steps, means, marker="." if len(steps) < 30 else None, label=visible(curve.label) + n)
        axes.fill_between(steps, lows, highs, alpha=0.2, color=drawn.get_color(), linewidth=0)
    axes.grid(alpha=0.3)
    if axes.get_legend_handles_labels()[0]:
        axes.legend()
    figure.savefig(file, dpi=120, format="png")

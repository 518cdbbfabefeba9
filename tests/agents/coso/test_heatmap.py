"""Tokens that no typeface draws must not stop a run."""

import torch

from agentlab_runner.agents.coso.heatmap import heatmap


def test_line_breaks_and_empty_tokens_are_drawn_as_marks():
    picture = heatmap({(10, 7, 0): torch.tensor([0.0, 1.0, -0.5])}, lambda ids: "".join(chr(i) for i in ids if i))
    assert picture.pixels.ndim == 3
    assert (picture.pixels != 255).any()

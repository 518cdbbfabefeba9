"""A learner's own random stream: its state in a checkpoint, and seeds drawn from it."""

import json

import numpy as np


def next_seed(rng: np.random.Generator) -> int:
    """A seed for `runners.processes.rng.forked`, drawn from `rng`."""
    return int(rng.integers(2**31))


def generator_state(rng: np.random.Generator) -> str:
    """The state of a numpy generator as JSON; its 128-bit numbers fit no tensor."""
    return json.dumps(rng.bit_generator.state)


def restore_generator(rng: np.random.Generator, state: str) -> None:
    """Take back what `generator_state` gave."""
    rng.bit_generator.state = json.loads(state)

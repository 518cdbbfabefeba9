"""Random streams a learner keeps to itself, so that one part drawing more or less changes nothing in another."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def torch_stream(seed: int) -> Iterator[None]:
    """Inside, torch's global generators start from `seed`; afterwards they are as they were."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        yield


def next_seed(rng: np.random.Generator) -> int:
    """A seed for `torch_stream`, drawn from `rng`."""
    return int(rng.integers(2**31))


def generator_state(rng: np.random.Generator) -> str:
    """The state of a numpy generator as JSON; its 128-bit numbers fit no tensor."""
    return json.dumps(rng.bit_generator.state)


def restore_generator(rng: np.random.Generator, state: str) -> None:
    """Take back what `generator_state` gave."""
    rng.bit_generator.state = json.loads(state)

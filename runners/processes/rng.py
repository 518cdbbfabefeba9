"""The process's random generators: seeded together, and set aside where work must not disturb them."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from agentlab_runner.runners.run.checkpoint import restore_rng, rng_state


def seed_everything(seed: int) -> None:
    """Seed Python's, NumPy's and torch's global generators."""
    import torch  # here, so that what an experiment refuses is told without waiting for it

    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


@contextmanager
def forked(seed: int) -> Iterator[None]:
    """Inside, the generators start from `seed`; afterwards they go on as if nothing had been drawn."""
    state = rng_state()
    seed_everything(seed)
    try:
        yield
    finally:
        restore_rng(state)

"""Somebody who knows nothing and tries: what comes of it by chance is a memory that nobody demonstrated."""

from random import Random
from typing import Any

from agentlab_runner.envs.miniwob import words


class Explorer:
    """Does at random one of the phrases of the page at each step; satisfies `runners.experiment.Demonstrator`.

    It looks at nothing but what the screen shows, and plays training's pages alone.
    """

    def begin(self, env: Any, seed: int) -> None:
        """
        Raises:
            ValueError: if the page is one for testing.
        """
        if env.unwrapped.split == "test":
            raise ValueError("the explorer plays no pages for testing; set warm_start.env.split=demonstrations")
        self._chance = Random(f"explorer {seed}")

    def decide(self, env: Any) -> str:
        """A primitive, by the number of its element."""
        page = env.unwrapped
        return self._chance.choice([offer.action for offer in words.offers(page.goal, page.seen["elements"])])

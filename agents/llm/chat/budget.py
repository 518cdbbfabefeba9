"""What may be spent: refused before a request is made, by the most that it may come to."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from agentlab_runner.agents.llm.chat.settings import EndpointSettings
from agentlab_runner.runners.errors import RunFailed

DEAR = (15.0, 75.0)
"""Of a million tokens of prompt and of answer, in dollars: as the dearest models in common use cost."""
ROUNDING = 1e-9
"""What sums of costs may be off by."""


class CapReached(RunFailed):
    """The next request could pass a cap."""


@dataclass(frozen=True, slots=True)
class Spent:
    """Requests answered, their tokens, and what they cost."""

    calls: int = 0
    tokens: int = 0
    cost: float = 0.0

    def __add__(self, other: "Spent") -> "Spent":
        return Spent(self.calls + other.calls, self.tokens + other.tokens, self.cost + other.cost)

    def __sub__(self, other: "Spent") -> "Spent":
        return Spent(self.calls - other.calls, self.tokens - other.tokens, self.cost - other.cost)


class Budget:
    """The caps of one run, kept by requests of any number of threads."""

    def __init__(self, settings: EndpointSettings) -> None:
        self.settings = settings
        self.spent = Spent()
        self.note: Callable[[Spent], None] = lambda change: None
        """Told of each change before it counts, so that what is noted is what a kill leaves to be paid for."""
        self._held = Spent()
        self._free = threading.Condition()

    @property
    def guesses(self) -> bool:
        """Whether a cap of cost is to be kept and nobody has said a price."""
        return self.settings.max_cost is not None and self.settings.price_in is None

    def price(self, tokens_in: int, tokens_out: int) -> float:
        """What so many tokens cost."""
        s = self.settings
        price_in, price_out = DEAR if self.guesses else (s.price_in or 0, s.price_out or 0)
        return (price_in * tokens_in + price_out * tokens_out) / 1e6

    def most(self, tokens_in: int, tokens_out: int, stated: float | None = None) -> Spent:
        """One request that has at most so many, or that the server has stated the cost of."""
        own = stated is None or self.settings.price_in is not None
        return Spent(1, tokens_in + tokens_out, self.price(tokens_in, tokens_out) if own else float(stated or 0))

    def add(self, spent: Spent) -> None:
        """What an earlier part of the run has spent."""
        with self._free:
            self.spent += spent

    def hold(self, most: Spent) -> None:
        """Set aside the most a request may come to; waits for others whose answers may turn out cheaper.

        Raises:
            CapReached: if it does not fit even then.
        """
        with self._free:
            while over := self._over(self.spent + self._held + most):
                if self._held.calls == 0:
                    raise self._reached(over)
                self._free.wait()
            self.note(most)
            self._held += most

    def settle(self, most: Spent, came: Spent) -> None:
        """A request that was held has come to this."""
        with self._free:
            self.note(came - most)
            held = self._held - most
            self._held = held if held.calls else Spent()  # sums of floats do not come back to nothing
            self.spent += came
            self._free.notify_all()

    def lost(self, most: Spent) -> None:
        """A try of a request that stays held has had no answer, and may have been billed all the same.

        Raises:
            CapReached: if another one could pass a cap.
        """
        with self._free:
            self.note(most)
            self.spent += most
            if over := self._over(self.spent + self._held):
                raise self._reached(over)

    def _over(self, total: Spent) -> str:
        s = self.settings
        for cap, name, value, before in (
            (s.max_calls, "max_calls", total.calls, self.spent.calls),
            (s.max_tokens_per_run, "max_tokens_per_run", total.tokens, self.spent.tokens),
            (s.max_cost, "max_cost", total.cost * (1 - ROUNDING), self.spent.cost),
        ):
            if cap is not None and value > cap:
                return f"model.{name}={cap:g} ({before:.6g} so far)"
        return ""

    def _reached(self, over: str) -> CapReached:
        priced = f", counted at {DEAR[0]:g} and {DEAR[1]:g} a million tokens until price_in and price_out are given"
        why = priced if self.guesses and "max_cost" in over else ""
        return CapReached(
            f"the next request could pass {over}{why}; what was answered is kept: raise the cap, or set it to null, "
            "and go on with agentlab resume"
        )

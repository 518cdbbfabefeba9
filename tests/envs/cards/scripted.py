"""Chance that does as it is told."""

from collections.abc import Iterable


class Scripted:
    """Gives the listed draws in turn: numbers to `below`, truth values to `coin`."""

    def __init__(self, draws: Iterable[int | bool] = ()) -> None:
        self.draws = list(draws)

    def below(self, n: int) -> int:
        drawn = self.draws.pop(0)
        assert not isinstance(drawn, bool)
        assert 0 <= drawn < n
        return drawn

    def coin(self) -> bool:
        drawn = self.draws.pop(0)
        assert isinstance(drawn, bool)
        return drawn

"""The rules of `envs.cards.games` for many tables at once, in arrays; the same draws give the same cards.

Every batched game has `deal(rows)`, `play(actions)`, `state()` and `texts()`, over N tables. Only the games' own rules
are here, none of the release's departures from them.
"""

from functools import lru_cache
from operator import add
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from agentlab_runner.envs.cards import prompts
from agentlab_runner.envs.cards.formula import evaluates_to
from agentlab_runner.envs.cards.games import EZPoints, NumberLine, Points, Points24

Rows = NDArray[np.intp]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Outcomes = tuple[NDArray[np.float64], Bools, Bools]
"""[N] rewards, terminated, truncated."""

BLOCK = 128
"""Doubles fetched from a generator at a time."""


class Streams:
    """One seeded stream a table, drawn from for many tables at once; table i gets what `chance.Seeded` would draw."""

    def __init__(self, generators: list[np.random.Generator]) -> None:
        self._generators = generators
        self._drawn = np.empty((len(generators), BLOCK))
        self._at = np.full(len(generators), BLOCK)

    def ahead(self, rows: Rows, count: int) -> NDArray[np.float64]:
        """[R, count] doubles in [0, 1): what comes next at these tables; `skip` says how many were used."""
        at = self._at[rows]
        if at.max(initial=0) + count > BLOCK:
            for row in rows[at + count > BLOCK]:
                used = self._at[row]
                self._drawn[row] = np.concatenate([self._drawn[row, used:], self._generators[row].random(used)])
                self._at[row] = 0
            at = self._at[rows]
        drawn: NDArray[np.float64] = self._drawn[rows[:, None], at[:, None] + np.arange(count)]
        return drawn

    def skip(self, rows: Rows, count: int | Ints) -> None:
        self._at[rows] += count

    def below(self, rows: Rows, n: int) -> Ints:
        """[R] whole numbers 0 .. n-1."""
        drawn = self.ahead(rows, 1)[:, 0]
        self.skip(rows, 1)
        return _whole(drawn, n)


class Tables(Protocol):
    """N tables of one game."""

    streams: Streams

    def deal(self, rows: Rows) -> None:
        """Fresh episodes at these tables."""

    def play(self, actions: Ints) -> Outcomes:
        """Carry out one action [N] a table."""

    def state(self, rows: Rows | None = None) -> NDArray[np.int16]:
        """[N, K] or [R, K], as `Game.state`."""

    def texts(self, rows: Rows | None = None) -> list[str]:
        """The prompts of these tables, of all N without `rows`, with the table in words."""


class NumberLines:
    """N number lines."""

    def __init__(self, count: int, style: prompts.Style, answer: prompts.Format) -> None:
        self.target, self.current, self.steps = np.zeros((3, count), np.int64)
        numbers = range(NumberLine.longest + 1)
        told = [[prompts.prompt("numberline", style, answer, (str(t), str(c)), None) for c in numbers] for t in numbers]
        self._told = np.array(told, dtype=object)

    streams: Streams

    def deal(self, rows: Rows) -> None:
        start, target = _whole(self.streams.ahead(rows, 2), NumberLine.longest + 1).T
        self.streams.skip(rows, 2)
        self.current[rows] = start
        self.target[rows] = np.where(start == target, (target + 1) % NumberLine.longest, target)
        self.steps[rows] = 0

    def play(self, actions: Ints) -> Outcomes:
        before = abs(self.current - self.target)
        np.clip(self.current + 2 * actions - 1, 0, NumberLine.longest, out=self.current)
        self.steps += 1
        distance = abs(self.current - self.target)
        arrived = distance == 0
        rewards = arrived.astype(float) - (distance >= before)
        return rewards, arrived, ~arrived & (self.steps >= 2 * NumberLine.longest)

    def state(self, rows: Rows | None = None) -> NDArray[np.int16]:
        state = np.stack([self.target, self.current], axis=1, dtype=np.int16)
        return state if rows is None else state[rows]

    def texts(self, rows: Rows | None = None) -> list[str]:
        told = self._told[self.target, self.current]
        texts: list[str] = (told if rows is None else told[rows]).tolist()
        return texts


class Blackjacks:
    """N tables of blackjack; a hand is its sum with aces as 1, and whether it has one."""

    def __init__(self, count: int, style: prompts.Style, answer: prompts.Format) -> None:
        self.mine, self.theirs, self.open = np.zeros((3, count), np.int64)
        self.my_ace, self.their_ace = np.zeros((2, count), bool)
        words = prompts.blackjack_words
        told = [
            [[prompts.prompt("blackjack", style, answer, words(t, d, s), None) for s in range(2)] for d in range(11)]
            for t in range(32)
        ]
        self._told = np.array(told, dtype=object)

    streams: Streams

    def deal(self, rows: Rows) -> None:
        first, second = self._draw(rows), self._draw(rows)
        self.open[rows] = first
        self.theirs[rows], self.their_ace[rows] = first + second, (first == 1) | (second == 1)
        first, second = self._draw(rows), self._draw(rows)
        self.mine[rows], self.my_ace[rows] = first + second, (first == 1) | (second == 1)
        self.streams.ahead(rows, 2)  # the suit and face the release draws for nothing
        self.streams.skip(rows, 1 + (self.open[rows] == 10))

    def play(self, actions: Ints) -> Outcomes:
        hitting, standing = np.nonzero(actions)[0], np.nonzero(actions == 0)[0]
        card = self._draw(hitting)
        self.mine[hitting] += card
        self.my_ace[hitting] |= card == 1
        while len(drawing := standing[_best(self.theirs[standing], self.their_ace[standing]) < 17]):
            card = self._draw(drawing)
            self.theirs[drawing] += card
            self.their_ace[drawing] |= card == 1
        mine, theirs = _best(self.mine, self.my_ace), _best(self.theirs, self.their_ace)
        theirs[theirs > 21] = 0
        stands = actions == 0
        bust = mine > 21
        rewards = np.where(stands, np.sign(mine - theirs), -bust.astype(int)).astype(float)
        return rewards, stands | bust, np.zeros(len(actions), bool)

    def _draw(self, rows: Rows) -> Ints:
        number = np.minimum(_whole(self.streams.ahead(rows, 3)[:, 0], 13) + 1, 10)
        self.streams.skip(rows, 2 + (number == 10))  # a suit, and the face of a ten
        return number

    def state(self, rows: Rows | None = None) -> NDArray[np.int16]:
        best = _best(self.mine, self.my_ace)
        state = np.stack([best, self.open, best > self.mine], axis=1, dtype=np.int16)
        return state if rows is None else state[rows]

    def texts(self, rows: Rows | None = None) -> list[str]:
        best = _best(self.mine, self.my_ace)
        told = self._told[best, self.open, (best > self.mine).astype(int)]
        texts: list[str] = (told if rows is None else told[rows]).tolist()
        return texts


class Formulas:
    """N tables of one of the games of points."""

    CARDS, FORMULA = "\0", "\1"
    """Where a prompt is taken apart."""
    PLENTY = 1 << 20

    def __init__(
        self, game: type[Points], cards: int, count: int, style: prompts.Style, answer: prompts.Format
    ) -> None:
        self.game = game
        self.numbers = np.zeros((count, cards), np.int16)
        self.left = np.zeros((count, 11), np.int64)  # [N, 11] cards of each number; of 0, which no card shows, plenty
        self.unused = np.zeros(count, np.int64)
        self.codes = np.zeros((count, game.limit + 2), np.int16)  # the last column takes what is not to be written
        self.length = np.zeros(count, np.int64)
        self._all = np.arange(count)
        self._end, self._blank = len(game.actions) - 1, len(game.actions)
        self._value = np.array([int(name) if name.isdigit() else 0 for name in game.actions])
        self._names = np.array([*game.actions, " ", ""], dtype=object)  # the last, at -1, is nothing
        pieces = prompts.prompt(game.name, style, answer, (self.CARDS,), self.FORMULA)
        head, rest = pieces.split(self.CARDS)
        middle, self._tail = rest.split(self.FORMULA)
        self._opening = lru_cache(maxsize=1 << 14)(lambda cards: f"{head}{prompts.cards_words(cards)}{middle}")
        self._told = [""] * count

    streams: Streams

    def deal(self, rows: Rows) -> None:
        numbers = self._numbers(rows)
        self.numbers[rows] = numbers
        self.left[rows] = (numbers[:, :, None] == np.arange(11)).sum(axis=1)
        self.left[rows, 0] = self.PLENTY
        self.unused[rows] = numbers.shape[1]
        self.codes[rows] = -1
        self.length[rows] = 0
        for row, cards in zip(rows.tolist(), map(tuple, numbers.tolist()), strict=True):
            self._told[row] = self._opening(cards)

    def _numbers(self, rows: Rows) -> Ints:
        """[R, cards] as `deal` of the game draws them."""
        raise NotImplementedError

    def play(self, actions: Ints) -> Outcomes:
        over = self.length > self.game.limit
        ends = (actions == self._end) & ~over
        value = self._value[actions]
        places = self._all * 11 + value
        there = self.left.take(places)
        on = ~over
        missing, taken = (there == 0) & on, (there > 0) & on
        self.left.put(places, there - taken)
        self.unused -= taken & (value > 0)
        written = np.where(over | ends, -1, np.where(missing, self._blank, actions))
        self.codes[self._all, self.length] = written
        self.length += on
        self._told = [*map(add, self._told, self._names[written].tolist())]
        rewards = -(missing | over | ends).astype(float)
        for row in np.nonzero(ends & (self.unused == 0))[0]:
            formula = tuple(self._names[self.codes[row, : self.length[row] - 1]].tolist())
            if evaluates_to(formula, self.game.target):
                rewards[row] = 10.0
        return rewards, ends, over

    def state(self, rows: Rows | None = None) -> NDArray[np.int16]:
        if rows is None:
            return np.concatenate([self.numbers, self.codes[:, :-1]], axis=1)
        return np.concatenate([self.numbers[rows], self.codes[rows, :-1]], axis=1)

    def texts(self, rows: Rows | None = None) -> list[str]:
        tail, told = self._tail, self._told
        return [text + tail for text in (told if rows is None else map(told.__getitem__, rows.tolist()))]


class EZFormulas(Formulas):
    """N tables of EZPoints."""

    def __init__(self, count: int, style: prompts.Style, answer: prompts.Format) -> None:
        super().__init__(EZPoints, 2, count, style, answer)
        first = np.minimum(np.arange(12) + 2, 10)
        self._divides = EZPoints.target % first == 0
        ways = [np.stack([first, second], axis=1) for second in (EZPoints.target - first, EZPoints.target // first)]
        self._pairs = np.stack([np.stack([way, way[:, ::-1]], axis=1) for way in ways], axis=1)

    def _numbers(self, rows: Rows) -> Ints:
        ahead = self.streams.ahead(rows, 5)  # value, suit, coin if the value divides the target, suit, order
        value = _whole(ahead[:, 0], 12)
        divides = self._divides[value]
        self.streams.skip(rows, 4 + divides)
        product = divides & (ahead[:, 2] <= 0.5)
        swapped = np.where(divides, ahead[:, 4], ahead[:, 3]) <= 0.5
        pairs: Ints = self._pairs[value, product.view(np.int8), swapped.view(np.int8)]
        return pairs


class Formulas24(Formulas):
    """N tables of Points24."""

    def __init__(self, count: int, style: prompts.Style, answer: prompts.Format) -> None:
        super().__init__(Points24, 4, count, style, answer)

    def _numbers(self, rows: Rows) -> Ints:
        values_and_suits = self.streams.ahead(rows, 8)
        self.streams.skip(rows, 8)
        return np.minimum(_whole(values_and_suits[:, :4], 13) + 1, 10)


BATCHED: dict[str, type[NumberLines] | type[Blackjacks] | type[EZFormulas] | type[Formulas24]] = {
    "numberline": NumberLines,
    "blackjack": Blackjacks,
    "ezpoints": EZFormulas,
    "points24": Formulas24,
}


def _whole(drawn: NDArray[np.float64], n: int) -> Ints:
    """Whole numbers 0 .. n-1 from doubles in [0, 1), as `chance.Seeded.below`."""
    return (drawn * n).astype(np.int64)


def _best(sums: Ints, aces: Bools) -> Ints:
    """The best sum of each hand."""
    return sums + 10 * (aces & (sums <= 11))

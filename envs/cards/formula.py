"""Formulas of cards: what they are worth, and how to reach a target. No text is ever evaluated, symbols are parsed."""

import operator
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Any

Number = Any  # Fraction; as released int, float, or complex (a root of a negative number)
SYMBOLS = frozenset((*map(str, range(1, 11)), "+", "-", "*", "/", "(", ")", " "))
"""All that can stand in a formula; the blank is the mark of a number that was not to be had."""
LARGEST_POWER = 1000
"""Powers beyond it are taken for no number: 10**10**10 would outlast the run, and no such formula makes 24."""

_SUMS: dict[str, Callable[[Number, Number], Number]] = {"+": operator.add, "-": operator.sub}
_PRODUCTS = {"*": operator.mul, "/": operator.truediv, "//": operator.floordiv}


@lru_cache(maxsize=1 << 16)
def evaluates_to(formula: tuple[str, ...], target: int, released: bool = False) -> bool:
    """Whether a formula makes the target; a malformed one, or one that divides by zero, makes none.

    Args:
        formula: symbols, each one of `SYMBOLS`.
        target: a whole number.
        released: read as Python reads the joined symbols: in floats (8/(3-8/3) misses 24), numbers side by side are
            one number, `**` is a power and `//` a whole quotient. Else: exact fractions, and all these are malformed.

    Raises:
        ValueError: a symbol that is not one of `SYMBOLS`.
    """
    foreign = [symbol for symbol in formula if symbol not in SYMBOLS]
    if foreign:
        raise ValueError(f"a formula holds the numbers 1 to 10 and + - * / ( ), not {foreign[0]!r}")
    tokens = _joined(formula) if released else [symbol for symbol in formula if symbol != " "]
    reader = _Reader(tokens, int if released else Fraction)
    try:
        worth = reader.sum()
        return reader.peek() is None and bool(worth == target)
    except (ArithmeticError, TypeError, _Malformed):
        return False


class _Malformed(Exception):
    pass


class _Reader:
    """Recursive descent; precedence and association as in Python."""

    def __init__(self, tokens: Sequence[str], number: Callable[[str], Number]) -> None:
        self.tokens, self.number, self.at = tokens, number, 0

    def peek(self) -> str | None:
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def take(self) -> str | None:
        token = self.peek()
        self.at += 1
        return token

    def sum(self) -> Number:
        worth = self.product()
        while (sign := self.peek()) in _SUMS:
            self.take()
            worth = _SUMS[str(sign)](worth, self.product())
        return worth

    def product(self) -> Number:
        worth = self.signed()
        while (sign := self.peek()) in _PRODUCTS:
            self.take()
            worth = _PRODUCTS[str(sign)](worth, self.signed())
        return worth

    def signed(self) -> Number:
        if self.peek() in _SUMS:
            return -self.signed() if self.take() == "-" else +self.signed()
        return self.power()

    def power(self) -> Number:
        base = self.atom()
        if self.peek() != "**":
            return base
        self.take()
        exponent = self.signed()
        if abs(exponent) > LARGEST_POWER or abs(base) > 10**LARGEST_POWER:
            raise _Malformed
        return base**exponent

    def atom(self) -> Number:
        token = self.take()
        if token == "(":
            worth = self.sum()
            if self.take() != ")":
                raise _Malformed
            return worth
        if token is None or not token.isdigit():
            raise _Malformed
        return self.number(token)


def _joined(formula: Sequence[str]) -> list[str]:
    """The tokens Python sees in the joined symbols; a blank keeps its neighbours apart."""
    tokens: list[str] = []
    open_end = False
    for symbol in formula:
        last = tokens[-1] if open_end else ""
        if (last.isdigit() and symbol.isdigit()) or (symbol in "*/" and last == symbol):
            tokens[-1] += symbol
        elif symbol != " ":
            tokens.append(symbol)
        open_end = symbol != " "
    return tokens


# -- solving ----------------------------------------------------------------------------------------------------------

_Part = tuple[float, tuple[str, ...], int]
"""Worth, symbols, and how tightly they hold together: 1 a sum, 2 a product, 3 a number."""


@lru_cache(maxsize=4096)
def solutions(numbers: tuple[int, ...], target: int) -> tuple[tuple[str, ...], ...]:
    """Every formula without needless brackets, shortest first, that makes the target out of all the numbers.

    Floats find the candidates and exact fractions confirm them.

    Args:
        numbers: sorted, so that equal hands share one search.
    """
    parts: list[_Part] = [(float(number), (str(number),), 3) for number in numbers]
    near = {symbols for worth, symbols, _ in _combined(parts) if abs(worth - target) < 1e-6}
    exact = [symbols for symbols in near if evaluates_to(symbols, target)]
    return tuple(sorted(exact, key=lambda symbols: (len(symbols), symbols)))


def _combined(parts: list[_Part]) -> Iterator[_Part]:
    if len(parts) == 1:
        yield parts[0]
        return
    for i, first in enumerate(parts):
        for j, second in enumerate(parts):
            if i != j:
                rest = [part for k, part in enumerate(parts) if k not in (i, j)]
                for made in _pairs(first, second):
                    yield from _combined([made, *rest])


def _pairs(first: _Part, second: _Part) -> Iterator[_Part]:
    (a, left, holds_left), (b, right, holds_right) = first, second
    yield a + b, (*left, "+", *_held(right, holds_right, 1)), 1
    yield a - b, (*left, "-", *_held(right, holds_right, 2)), 1
    left = _held(left, holds_left, 2)
    yield a * b, (*left, "*", *_held(right, holds_right, 2)), 2
    if b:
        yield a / b, (*left, "/", *_held(right, holds_right, 3)), 2


def _held(symbols: tuple[str, ...], holds: int, needed: int) -> tuple[str, ...]:
    return symbols if holds >= needed else ("(", *symbols, ")")

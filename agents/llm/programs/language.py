"""The part of Python that a model's program may use: what it may say, and how much of it."""

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

STEPS = 20_000
"""Nodes of the syntax tree that are evaluated, in all."""
SECONDS = 2.0
SOURCE = 20_000
"""Characters of a program."""
SIZE = 200_000
"""Characters of a text."""
ENTRIES = 5_000
"""Of a list, and of all that it holds where it is written, compared or looked up."""
RANGE = 10**6
"""Numbers of a range that is compared or searched."""
VOLUME = 2 * 10**7
"""Characters and entries that are made in all, names and literals aside."""
NUMBER = 10**12
"""Above this no whole number is computed."""
CALLS = 200
"""Calls on the one name."""
DEPTH = 40

BINARY: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.Pow: operator.pow,
}  # fmt: skip
UNARY: Mapping[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.USub: operator.neg, ast.UAdd: operator.pos, ast.Not: operator.not_,
}  # fmt: skip
COMPARE: Mapping[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt,
    ast.GtE: operator.ge, ast.Is: operator.is_, ast.IsNot: operator.is_not,
    ast.In: lambda a, b: a in b, ast.NotIn: lambda a, b: a not in b,
}  # fmt: skip
METHODS: Mapping[type, frozenset[str]] = {
    str: frozenset({
        "capitalize", "count", "endswith", "find", "index", "isalnum", "isalpha", "isdigit", "islower", "isnumeric",
        "isspace", "isupper", "join", "lower", "lstrip", "partition", "replace", "rfind", "rpartition", "rsplit",
        "rstrip", "split", "splitlines", "startswith", "strip", "title", "upper",
    }),
    list: frozenset({"append", "copy", "count", "extend", "index", "insert", "pop", "remove", "reverse"}),
    dict: frozenset({"copy", "get", "items", "keys", "pop", "setdefault", "update", "values"}),
    tuple: frozenset({"count", "index"}),
    set: frozenset({"add", "discard"}),
}  # fmt: skip
PLAIN = (str, int, float, bool, list, dict, tuple, set, range, type(None))


class Refused(ValueError):
    """A program says what it may not, fails, or does not come to an end."""


class Foreign:
    """What a program may be given beside plain values: it says itself what can be asked of it."""

    ATTRIBUTES: frozenset[str] = frozenset()
    METHODS: frozenset[str] = frozenset()


def bounded(value: Any) -> Any:
    """The value, if it is no larger than a value may be.

    Raises:
        Refused: if it is.
    """
    if isinstance(value, str):
        if len(value) > SIZE:
            raise Refused("a text grows too long")
    elif isinstance(value, list | tuple | dict | set):
        if len(value) > ENTRIES:
            raise Refused("a list grows too long")
    elif isinstance(value, int) and abs(value) > NUMBER:
        raise Refused("a number grows too large")
    return value


def shallow(value: Any, left: int = ENTRIES) -> int:
    """How many entries a value may still have, after all that it holds: a list of lists of lists is soon a large one.

    Raises:
        Refused: if it has more.
    """
    if isinstance(value, list | tuple | set | dict):
        left -= len(value)
        for one in [*value, *value.values()] if isinstance(value, dict) else value:
            if left < 0:
                raise Refused("a list grows too large")
            left = shallow(one, left)
    elif isinstance(value, range) and len(value) > RANGE:
        raise Refused(f"a range of more than {RANGE:,} numbers")
    return left


def comparable(value: Any) -> Any:
    """The value, if it may be compared with others or be a key: Python goes through all that it holds.

    Raises:
        Refused: if that is too much.
    """
    shallow(value)
    return value


def made_by_programs(kind: type) -> bool:
    """Whether a program may make one of these."""
    return kind in (str, int, float, bool, range) or issubclass(kind, Foreign)

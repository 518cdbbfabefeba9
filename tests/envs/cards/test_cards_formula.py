"""Formulas: worth by hand, worth by Python itself, and that no text ever reaches an evaluator."""

import ast
import inspect
import random
import warnings
from collections import Counter
from fractions import Fraction
from itertools import combinations_with_replacement
from pathlib import Path

import pytest

import agentlab_runner.envs.cards
from agentlab_runner.envs.cards.formula import SYMBOLS, evaluates_to, solutions

ALPHABET = sorted(SYMBOLS)


@pytest.mark.parametrize(
    ("formula", "worth"),
    [
        ("1+2*3", 7),
        ("(1+2)*3", 9),
        ("8/4/2", 1),
        ("9-3-2", 4),
        ("-2*-3", 6),
        ("2-(3-(4-5))", -2),
        ("8/(3-8/3)", 24),
        ("2*+6", 12),
        ("2+ 3", 5),
    ],
)
def test_worth(formula, worth):
    assert evaluates_to(tuple(formula), worth)
    assert not evaluates_to(tuple(formula), worth + 1)


@pytest.mark.parametrize(
    "formula", ["", " ", "1/(2-2)", "12", "1 2", "2**3", "9//2", "2(3)", "()", "(1", "1)", "+", "1+", "*1", "(1+)"]
)
def test_what_is_worth_nothing(formula):
    assert not any(evaluates_to(tuple(formula), target) for target in (-1, 0, 1, 2, 3, 4, 6, 8, 12))


def test_ten_is_one_symbol():
    assert evaluates_to(("10", "+", "2"), 12)
    assert evaluates_to(("2", "10", "-", "10"), 200, released=True)


@pytest.mark.parametrize("symbol", ["11", "0", "x", "__import__('os')", "1;", "", "1.5", "²", "**"])
def test_no_other_symbol_is_read(symbol):
    for released in (False, True):
        with pytest.raises(ValueError, match="a formula holds"):
            evaluates_to(("1", symbol), 1, released)


def python_worth(text):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return eval(text)  # noqa: S307 - the very thing the release does, on ten digits and six signs
        except Exception:
            return None


def test_released_worth_is_pythons_own():
    """Half of the formulas are noise, half are well-formed but for one symbol."""
    rng = random.Random(0)
    kinds = Counter()
    for round_ in range(6000):
        if round_ % 2:
            formula = [rng.choice(ALPHABET) for _ in range(rng.randint(1, 7))]
        else:
            formula = []
            for _ in range(rng.randint(1, 4)):
                formula += [str(rng.randint(1, 10)), rng.choice("+-*/")]
            formula[rng.randrange(len(formula))] = rng.choice(ALPHABET)
            formula[-1] = rng.choice(("1", "5", " ", ")"))
        text = "".join(formula)
        if text.count("**") > 1:
            continue  # towers of powers, on which the release does not come back
        worth = python_worth(text)
        number = isinstance(worth, int | float) and abs(worth) < 1e12
        kinds[number] += 1
        target = round(worth) if number else 24
        assert evaluates_to(tuple(formula), target, released=True) == (worth == target), text
    assert min(kinds.values()) > 500


def test_towers_of_powers_end_at_once():
    assert not evaluates_to(("10", *("*", "*", "10") * 5), 24, released=True)
    assert not evaluates_to(tuple("(9*9)**9**9"), 24, released=True)


def test_nothing_in_the_room_can_run_text():
    for file in Path(inspect.getfile(agentlab_runner.envs.cards)).parent.glob("*.py"):
        names = {node.id for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Name)}
        assert not names & {"eval", "exec", "compile", "literal_eval", "__import__", "sympy", "numexpr"}, file


@pytest.mark.parametrize(
    ("numbers", "solved"),
    [((3, 3, 8, 8), True), ((1, 5, 5, 5), True), ((1, 3, 4, 6), True), ((1, 1, 1, 1), False), ((7, 7, 7, 7), False)],
)
def test_solutions_of_known_hands(numbers, solved):
    found = solutions(numbers, 24)
    assert bool(found) == solved
    for formula in found:
        assert evaluates_to(formula, 24)
        assert sorted(int(symbol) for symbol in formula if symbol.isdigit()) == list(numbers)


def test_the_one_solution_of_3388():
    assert solutions((3, 3, 8, 8), 24) == (tuple("8/(3-8/3)"),)


def solvable(numbers):
    """By exact fractions alone, without writing formulas."""
    if len(numbers) == 1:
        return numbers[0] == 24
    for i, a in enumerate(numbers):
        for j, b in enumerate(numbers):
            if i == j:
                continue
            rest = [n for k, n in enumerate(numbers) if k not in (i, j)]
            worths = [a + b, a - b, a * b, *([a / b] if b else [])]
            if any(solvable([worth, *rest]) for worth in worths):
                return True
    return False


def test_solutions_are_found_where_there_are_any():
    hands = random.Random(1).sample(list(combinations_with_replacement(range(1, 11), 4)), 40)
    for numbers in hands:
        assert bool(solutions(numbers, 24)) == solvable([Fraction(n) for n in numbers]), numbers


@pytest.mark.slow
def test_566_of_715_hands_make_24():
    """A known count for four numbers from 1 to 10."""
    assert sum(bool(solutions(hand, 24)) for hand in combinations_with_replacement(range(1, 11), 4)) == 566

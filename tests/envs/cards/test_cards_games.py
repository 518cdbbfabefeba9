"""The rules, against facts worked out by hand and draws made in the order of the original."""

import random

import pytest
from gymnasium.utils.seeding import np_random

from agentlab_runner.envs.cards.chance import Choices, PythonGlobal
from agentlab_runner.envs.cards.games import GAMES, Blackjack, EZPoints, NumberLine, Points24, hand
from tests.envs.cards.scripted import Scripted

LEFT, RIGHT = 0, 1
STAND, HIT = 0, 1


def play(game, names):
    return [game.play(game.actions.index(name), Scripted()) for name in names]


# -- NumberLine -------------------------------------------------------------------------------------------------------


def line(start, target, released=False):
    game = NumberLine(released)
    game.deal(Scripted([start, target]))
    return game


def test_number_line_rewards():
    game = line(1, 3)
    assert game.state == (3, 1)
    assert play(game, "-++") == [(-1.0, False, False), (0.0, False, False), (0.0, False, False)]
    assert game.state == (3, 2)
    assert play(game, "+") == [(1.0, True, False)]


def test_number_line_is_clipped_and_a_step_that_stays_costs():
    game = line(0, 5)
    assert play(game, "-") == [(-1.0, False, False)]
    assert game.state == (5, 0)


def test_number_line_truncates_after_ten_steps():
    game = line(0, 5)
    ends = [truncated for *_, truncated in play(game, "-" * 10)]
    assert ends == [False] * 9 + [True]


@pytest.mark.parametrize(("same", "target"), [(0, 1), (3, 4), (4, 0), (5, 1)])
def test_number_line_never_starts_on_its_target(same, target):
    assert line(same, same).state == (target, same)


def test_number_line_success_is_a_return_above_zero():
    game = line(0, 1)
    assert game.won(1.0, 1.0)
    assert not game.won(1.0, 0.0)


def test_released_number_line_moves_the_target_after_the_first_step_and_shows_it_after_the_second():
    game = line(2, 2, released=True)
    assert game.state == (2, 2)
    assert play(game, "+") == [(-1.0, False, False)]
    assert game.state == (2, 3)  # the picture is older than the target, which is 3 by now
    assert play(game, "+") == [(-1.0, False, False)]
    assert game.state == (3, 4)


def test_released_number_line_counts_a_blocked_step_on_the_target_as_arriving():
    assert play(line(0, 0, released=True), "-") == [(1.0, True, False)]


# -- Blackjack --------------------------------------------------------------------------------------------------------


def table(dealer, player, more=(), **kwargs):
    """A deal of these values (1 .. 10, hearts and jacks), then further draws."""
    dealt = [number for value in (*dealer, *player) for number in draws(value)]
    top = [0, 0] if dealer[0] == 10 else [0]
    chance = Scripted([*dealt, *top, *[number for value in more for number in draws(value)]])
    game = Blackjack(**kwargs)
    game.deal(chance)
    return game, chance


def draws(value):
    return [value - 1, 0, *([0] if value == 10 else [])]


@pytest.mark.parametrize(
    ("dealer", "player", "drawn", "reward"),
    [
        ((10, 9), (10, 10), (), 1.0),
        ((10, 10), (10, 10), (), 0.0),
        ((10, 9), (10, 8), (), -1.0),
        ((10, 6), (2, 2), (10,), 1.0),  # the dealer must draw at 16 and goes bust
        ((1, 6), (10, 8), (), 1.0),  # a soft 17 is 17: the dealer stands
        ((1, 5), (10, 8), (10, 1), 0.0 - 1.0 + 2.0),  # soft 16, hard 16, 17
    ],
)
def test_blackjack_stand(dealer, player, drawn, reward):
    game, chance = table(dealer, player, drawn)
    assert game.play(STAND, chance) == (reward, True, False)
    assert not chance.draws


def test_blackjack_hits_until_it_busts():
    game, chance = table((9, 9), (10, 5), (6, 1))
    assert game.play(HIT, chance) == (0.0, False, False)
    assert game.state == (21, 9, 0)
    assert game.play(HIT, chance) == (-1.0, True, False)


def test_blackjack_aces():
    assert hand((("A", "H"), ("7", "S"))) == (18, True)
    assert hand((("A", "H"), ("7", "S"), ("9", "S"))) == (17, False)
    assert hand((("A", "H"), ("A", "S"))) == (12, True)
    game, _ = table((1, 9), (1, 7))
    assert game.state == (18, 1, 1)
    game, _ = table((1, 9), (1, 7), released=True)
    assert game.state == (18, 1, 0)


@pytest.mark.parametrize(
    ("natural", "released", "player", "reward"),
    [(True, False, (1, 10), 1.5), (False, False, (1, 10), 1.0), (True, True, (1, 10), 1.0), (True, False, (10, 9), 1)],
)
def test_blackjack_natural(natural, released, player, reward):
    game, chance = table((10, 8), player, natural=natural, released=released)
    assert game.play(STAND, chance)[0] == reward


# -- Points -----------------------------------------------------------------------------------------------------------


def points(game, numbers):
    game.begin(numbers, ())
    return game


def test_ez_reaches_twelve():
    game = points(EZPoints(), (3, 9))
    assert play(game, "3+9=") == [(0.0, False, False)] * 3 + [(10.0, True, False)]
    assert game.won(10.0, 10.0)


@pytest.mark.parametrize("formula", ["=", "3=", "3*9=", "+3+9+=", "39=", "3+9+=", "39+="])
def test_ez_failures_cost_one_and_end(formula):
    *_, last = play(points(EZPoints(), (3, 9)), formula)
    assert last == (-1.0, True, False)


def test_a_number_that_is_not_on_the_table_costs_one_and_leaves_a_blank():
    game = points(EZPoints(), (6, 6))
    assert play(game, "666") == [(0.0, False, False), (0.0, False, False), (-1.0, False, False)]
    assert game.formula == ["6", "6", " "]
    assert play(game, "1") == [(-1.0, False, False)]
    assert game.state == (6, 6, 5, 5, 13, 13, -1, -1)


def test_a_blank_does_not_spoil_the_formula():
    *_, last = play(points(EZPoints(), (3, 9)), "31+9=")
    assert last == (10.0, True, False)


@pytest.mark.parametrize(("game", "numbers", "limit"), [(EZPoints(), (3, 9), 5), (Points24(), (1, 2, 3, 4), 20)])
def test_too_long_a_formula_is_truncated_one_step_later_whatever_the_step(game, numbers, limit):
    points(game, numbers)
    steps = play(game, "+" * (limit + 1) + "=")
    assert steps == [(0.0, False, False)] * (limit + 1) + [(-1.0, False, True)]


def test_points24_needs_every_card():
    assert play(points(Points24(), (4, 6, 1, 1)), "4*6=")[-1] == (-1.0, True, False)
    assert play(points(Points24(), (4, 6, 1, 1)), "4*6*1*1=")[-1] == (10.0, True, False)


def test_points24_fractions_are_exact_by_default_and_floats_as_released():
    formula = "8/(3-8/3)="
    assert play(points(Points24(), (3, 3, 8, 8)), formula)[-1] == (10.0, True, False)
    assert play(points(Points24(released=True), (3, 3, 8, 8)), formula)[-1] == (-1.0, True, False)


def test_numbers_side_by_side_are_one_number_only_as_released():
    formula = "24+5-5="
    assert play(points(Points24(), (2, 4, 5, 5)), formula)[-1] == (-1.0, True, False)
    assert play(points(Points24(released=True), (2, 4, 5, 5)), formula)[-1] == (10.0, True, False)


def test_division_by_zero_is_defined():
    assert play(points(Points24(), (1, 5, 5, 2)), "1/(5-5)*2=")[-1] == (-1.0, True, False)


def test_every_ez_deal_can_be_solved():
    game, chance = EZPoints(), PythonGlobal()
    for _ in range(300):
        game.deal(chance)
        a, b = game.numbers
        assert 12 in (a + b, a * b)
        assert all(1 <= number <= 10 for number in game.numbers)


# -- the original's draws ---------------------------------------------------------------------------------------------


def face(number):
    return {1: "A", 10: "T", 11: "J", 12: "Q", 13: "K"}.get(number, str(number))


@pytest.mark.parametrize("seed", range(20))
def test_number_line_draws_as_the_original(seed):
    random.seed(seed)
    start, target = random.randint(0, 5), random.randint(0, 5)
    random.seed(seed)
    game = NumberLine(released=True)
    game.deal(PythonGlobal())
    assert game.state == (target, start)


@pytest.mark.parametrize("seed", range(40))
def test_ez_draws_as_the_original(seed):
    random.seed(seed)
    drawn = random.randint(2, 13)
    first, cards = min(drawn, 10), [(face(drawn), random.choice("HSDC"))]
    by_product = first in (1, 2, 3, 4, 6) and random.random() <= 0.5
    second = 12 // first if by_product else 12 - first
    cards.append((face(second), random.choice("HSDC")))
    numbers = [first, second]
    if random.random() <= 0.5:
        numbers, cards = numbers[::-1], cards[::-1]
    random.seed(seed)
    game = EZPoints()
    game.deal(PythonGlobal())
    assert (list(game.numbers), list(game.cards)) == (numbers, cards)


@pytest.mark.parametrize("seed", range(20))
def test_points24_draws_as_the_original(seed):
    random.seed(seed)
    drawn = [random.randint(1, 13) for _ in range(4)]
    suits = [random.choice("HSDC") for _ in range(4)]
    random.seed(seed)
    game = Points24()
    game.deal(PythonGlobal())
    assert game.numbers == tuple(min(number, 10) for number in drawn)
    assert game.cards == tuple((face(number), suit) for number, suit in zip(drawn, suits, strict=True))


@pytest.mark.parametrize("seed", range(20))
def test_blackjack_draws_as_the_original(seed):
    generator, _ = np_random(seed)

    def card():
        number = int(generator.choice([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10, 10, 10]))
        suit = str(generator.choice(["C", "D", "H", "S"]))
        return (str(generator.choice(["J", "Q", "K"])) if number == 10 else face(number)), suit

    dealer, player = [card(), card()], [card(), card()]
    generator.choice(["C", "D", "H", "S"])
    if dealer[0][0] in "JQK":
        generator.choice(["J", "Q", "K"])
    hit = card()
    own = Choices(np_random(seed)[0])
    game = Blackjack()
    game.deal(own)
    assert (game.dealer, list(game.cards)) == (dealer, player)
    game.play(HIT, own)
    assert game.cards[-1] == hit


def test_the_action_tables():
    assert {name: len(game.actions) for name, game in GAMES.items()} == {
        "numberline": 2,
        "blackjack": 2,
        "ezpoints": 13,
        "points24": 17,
    }
    assert EZPoints.actions[9:] == ("10", "+", "*", "=")
    assert Points24.actions[9:] == ("10", "+", "-", "*", "/", "(", ")", "=")
    assert (NumberLine.actions[LEFT], NumberLine.actions[RIGHT]) == ("-", "+")

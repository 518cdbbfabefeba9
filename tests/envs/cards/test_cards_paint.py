"""The pictures: the original's places and colours, and that every state can be told from its picture."""

from itertools import combinations

import numpy as np
import pytest

import agentlab_runner.envs.cards
from agentlab_runner.envs.cards.games import RANKS, Blackjack, EZPoints, NumberLine, Points24
from agentlab_runner.envs.cards.paint import TABLE, paint
from tests.envs.cards.scripted import Scripted

SIZES = [300, 96]


def number_line(target, current):
    game = NumberLine(released=True)
    game.deal(Scripted([current, target]))
    return game


def points(game, cards, formula=()):
    game.begin(tuple(1 for _ in cards), cards)
    game.formula = list(formula)
    return game


def apart(first, second):
    """How many pixels differ clearly, in some colour."""
    return ((np.maximum(first, second) - np.minimum(first, second)).max(axis=2) > 100).sum()


@pytest.mark.parametrize("size", SIZES)
def test_backgrounds(size):
    assert (paint(number_line(1, 2), size)[0, 0] == 255).all()
    for game in ("blackjack", "ezpoints", "points24"):
        image = agentlab_runner.envs.cards.make(game, image_size=size).reset(seed=0)[0]["image"]
        assert image.shape == (size, size, 3)
        assert image.dtype == np.uint8
        assert tuple(image[-1, -1]) == TABLE


def test_numbers_stand_where_the_original_has_them():
    dark = paint(number_line(3, 4), 300).min(axis=2) < 128
    rows, columns = np.nonzero(dark)
    assert columns.min() in range(28, 36)
    assert rows.min() in range(60, 72)
    assert not dark[110:180].any()
    assert dark[180:225].any()


@pytest.mark.parametrize("size", SIZES)
def test_every_pair_of_numbers_has_a_picture_of_its_own(size):
    pictures = [paint(number_line(target, current), size)[:, :, :1] for target in range(6) for current in range(6)]
    least = min(apart(a, b) for a, b in combinations(pictures, 2))
    assert least > (30 if size == 300 else 80)


def test_small_numbers_fill_their_half():
    """A vision token covers 8 x 8 pixels: a digit is five of them high."""
    for number in range(6):
        dark = paint(number_line(number, number), 96).min(axis=2) < 128
        for half in (dark[:46], dark[50:]):
            rows, columns = np.nonzero(half)
            assert np.ptp(rows) > 28
            assert np.ptp(columns) > 10


@pytest.mark.parametrize(("size", "least"), [(300, 80), (96, 8)])
@pytest.mark.parametrize("suit", "HSDC")
def test_every_rank_has_a_face_of_its_own(suit, size, least):
    other = ("2", "S")
    pictures = [paint(points(Points24(), ((rank, suit), other, other, other)), size) for rank in RANKS]
    assert min(apart(a, b) for a, b in combinations(pictures, 2)) >= least


def test_hearts_are_red_and_spades_are_black():
    for suit, red in (("H", True), ("D", True), ("S", False), ("C", False)):
        image = paint(points(EZPoints(), (("A", suit), ("A", suit))), 300).astype(int)
        card = image[60:240, 10:130]
        reddish = (card[:, :, 0] - card[:, :, 1] > 100).sum()
        assert (reddish > 1000) == red


def test_cards_lie_where_the_original_has_them():
    white = (paint(points(EZPoints(), (("A", "H"), ("2", "S"))), 300) == 255).all(axis=2)
    assert white[150, 20]
    assert white[150, 140 + 20]
    assert not white[150, 142]  # 135 wide, the second one at 5 + 148
    assert not white[50].any()


@pytest.mark.parametrize("size", SIZES)
def test_the_formula_is_shown(size):
    cards = (("3", "H"), ("9", "S"))
    pictures = [paint(points(EZPoints(), cards, formula), size) for formula in ("", "3", "3+", "3*", "3+9")]
    assert min(apart(a, b) for a, b in combinations(pictures, 2)) > 3


@pytest.mark.parametrize("size", SIZES)
def test_a_full_formula_fits(size):
    cards = (("T", "H"),) * 4
    full = paint(points(Points24(), cards, ["10", "+"] * 2 + ["("] * 17), size)
    assert (full[:, -2:] == TABLE).all()


@pytest.mark.parametrize("size", SIZES)
def test_the_dealers_second_card_is_hidden(size):
    def picture(hidden, more=()):
        game = Blackjack()
        game.deal(Scripted([4, 0, hidden, 0, 7, 1, 6, 2, 0]))
        game.cards += more
        return paint(game, size)

    assert (picture(2) == picture(3)).all()
    assert apart(picture(2), picture(2, (("5", "S"),))) > 50
    assert apart(picture(2, (("5", "S"),) * 3), picture(2, (("5", "S"),) * 4)) > 50  # in the second row


def test_pictures_are_shared_and_so_cannot_be_written():
    image = paint(number_line(1, 2), 96)
    assert image is paint(number_line(1, 2), 96)
    with pytest.raises(ValueError, match="read-only"):
        image[0, 0] = 0

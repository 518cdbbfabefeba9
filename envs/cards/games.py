"""The rules of the four games of gym_cards (RL4VLM, arXiv 2405.10292), free of pixels, prompts and Gymnasium.

Every game has `actions` (names, by index), `deal`, `play` and `state`. `released=True` keeps what the original does
although its rules say otherwise; each class names it.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

from agentlab_runner.envs.cards.chance import Chance
from agentlab_runner.envs.cards.formula import evaluates_to

Card = tuple[str, str]
"""Rank (A 2 .. 9 T J Q K) and suit (H S D C)."""
Outcome = tuple[float, bool, bool]
"""Reward, terminated, truncated."""

RANKS = "A23456789TJQK"


class Game(ABC):
    """One table; `deal` begins an episode, `play` takes the index of an action."""

    name: ClassVar[str]
    actions: ClassVar[tuple[str, ...]]
    cards: tuple[Card, ...] = ()
    """The player's open cards, as drawn; the dealer's are `Blackjack.dealer`."""

    def __init__(self, released: bool = False) -> None:
        self.released = released

    @abstractmethod
    def deal(self, chance: Chance) -> None:
        """A fresh episode."""

    @abstractmethod
    def play(self, action: int, chance: Chance) -> Outcome:
        """Carry out an action."""

    @property
    @abstractmethod
    def state(self) -> tuple[int, ...]:
        """What the player may know, in numbers."""

    @property
    @abstractmethod
    def goal(self) -> str:
        """The episode's task in words."""

    def won(self, reward: float, total: float) -> bool:
        """Whether an episode that terminated with this last reward and this return succeeded."""
        return reward > 0


class NumberLine(Game):
    """Bring the current number to the target by steps of one.

    +1 at the target (the end), -1 for a step that does not come closer, else 0; truncated after 10 steps. Success is a
    return above 0: not one wrong step. `state`: target, current.

    Released: a start on the target is not corrected by `deal` but after the first step, which is one observation late;
    until then a step that the end of the line stops counts as arriving.
    """

    name = "numberline"
    actions = ("-", "+")
    longest = 5
    """The line runs from 0 to here."""

    def deal(self, chance: Chance) -> None:
        self.start = self.current = chance.below(self.longest + 1)
        self.target = chance.below(self.longest + 1)
        self.steps = 0
        if not self.released:
            self._separate()
        self.shown = self.target

    def play(self, action: int, chance: Chance) -> Outcome:
        before = abs(self.current - self.target)
        self.current = min(max(self.current + (1 if action else -1), 0), self.longest)
        self.steps += 1
        distance = abs(self.current - self.target)
        self.shown = self.target
        self._separate()
        if distance == 0:
            return 1.0, True, False
        return float(-(distance >= before)), False, self.steps >= 2 * self.longest

    def _separate(self) -> None:
        if self.start == self.target:
            self.target = (self.target + 1) % self.longest

    @property
    def state(self) -> tuple[int, ...]:
        return self.shown, self.current

    @property
    def goal(self) -> str:
        return f"go from {self.current} to {self.shown}"

    def won(self, reward: float, total: float) -> bool:
        return total > 0


class Blackjack(Game):
    """Come closer to 21 than the dealer, who draws below 17; cards come from an endless deck.

    +1, 0, -1 for winning, a draw, losing; a bust loses. Success is a win. `state`: the player's sum, the value of the
    dealer's open card (an ace is 1), whether an ace of the player counts 11.

    Args:
        natural: a win with an ace and a ten as first two cards pays 1.5.

    Released: `natural` never pays and the usable ace in `state` is always 0, both comparing cards with numbers.
    """

    name = "blackjack"
    actions = ("stand", "hit")
    faces = "JQK"
    suits = "CDHS"

    def __init__(self, released: bool = False, natural: bool = False) -> None:
        super().__init__(released)
        self.natural = natural

    def deal(self, chance: Chance) -> None:
        self.dealer = [self._draw(chance), self._draw(chance)]
        self.cards = (self._draw(chance), self._draw(chance))
        chance.below(4)  # the release draws the open card's suit (and face) once more, and shows the first
        if value(self.dealer[0]) == 10:
            chance.below(3)

    def play(self, action: int, chance: Chance) -> Outcome:
        if action:
            self.cards = (*self.cards, self._draw(chance))
            bust = hand(self.cards)[0] > 21
            return float(-bust), bust, False
        while hand(self.dealer)[0] < 17:
            self.dealer.append(self._draw(chance))
        mine, theirs = hand(self.cards)[0], hand(self.dealer)[0]
        theirs = 0 if theirs > 21 else theirs
        reward = float(mine > theirs) - float(mine < theirs)
        if self.natural and not self.released and reward > 0 and len(self.cards) == 2 and mine == 21:
            reward = 1.5
        return reward, True, False

    def _draw(self, chance: Chance) -> Card:
        number = min(chance.below(13) + 1, 10)
        suit = self.suits[chance.below(4)]
        return (self.faces[chance.below(3)] if number == 10 else RANKS[number - 1]), suit

    @property
    def state(self) -> tuple[int, ...]:
        total, soft = hand(self.cards)
        return total, value(self.dealer[0]), int(soft and not self.released)

    @property
    def goal(self) -> str:
        return f"beat the dealer, who shows {self.dealer[0][0]}"


class Points(Game):
    """Write a formula out of the cards' numbers, a symbol a step, and end it with `=`.

    `=` ends the episode with 10 if the formula makes the target out of every card, else -1. A number that is not, or no
    longer, on the table costs -1 and leaves a blank in the formula. A step on a formula longer than `limit` costs -1
    and truncates. Success is the target. `state`: the cards' numbers, then the index of each symbol of the formula (a
    blank is `len(actions)`), then -1 up to its greatest length.

    Released: the formula is worth what Python makes of it, in floats, with numbers side by side read as one.
    """

    target: ClassVar[int]
    limit: ClassVar[int]
    suits = "HSDC"
    numbers: tuple[int, ...] = ()

    def begin(self, numbers: tuple[int, ...], cards: tuple[Card, ...]) -> None:
        """Lay these cards on the table."""
        self.numbers, self.cards = numbers, cards
        self.left = list(numbers)
        self.formula: list[str] = []

    def play(self, action: int, chance: Chance) -> Outcome:
        symbol = self.actions[action]
        if len(self.formula) > self.limit:
            return -1.0, False, True
        if symbol == "=":
            reached = not self.left and evaluates_to(tuple(self.formula), self.target, self.released)
            return (10.0 if reached else -1.0), True, False
        if symbol.isdigit():
            if int(symbol) not in self.left:
                self.formula.append(" ")
                return -1.0, False, False
            self.left.remove(int(symbol))
        self.formula.append(symbol)
        return 0.0, False, False

    @property
    def state(self) -> tuple[int, ...]:
        codes = [self.actions.index(s) if s != " " else len(self.actions) for s in self.formula]
        return (*self.numbers, *codes, *[-1] * (self.limit + 1 - len(codes)))

    @property
    def goal(self) -> str:
        return f"make {self.target} of {', '.join(map(str, self.numbers))}"


class EZPoints(Points):
    """Points with two cards that can make 12 as a sum or as a product."""

    name = "ezpoints"
    actions = (*map(str, range(1, 11)), "+", "*", "=")
    target, limit = 12, 5

    def deal(self, chance: Chance) -> None:
        drawn = chance.below(12) + 2
        first = min(drawn, 10)
        cards = [(RANKS[drawn - 1], self.suits[chance.below(4)])]
        product = self.target % first == 0 and chance.coin()
        second = self.target // first if product else self.target - first
        cards.append((RANKS[second - 1], self.suits[chance.below(4)]))
        order = -1 if chance.coin() else 1
        self.begin((first, second)[::order], tuple(cards[::order]))


class Points24(Points):
    """Points with any four cards, solvable or not."""

    name = "points24"
    actions = (*map(str, range(1, 11)), "+", "-", "*", "/", "(", ")", "=")
    target, limit = 24, 20

    def deal(self, chance: Chance) -> None:
        drawn = [chance.below(13) + 1 for _ in range(4)]
        suits = [self.suits[chance.below(4)] for _ in range(4)]
        numbers = tuple(min(number, 10) for number in drawn)
        self.begin(numbers, tuple((RANKS[n - 1], suit) for n, suit in zip(drawn, suits, strict=True)))


GAMES: dict[str, type[Game]] = {game.name: game for game in (NumberLine, Blackjack, EZPoints, Points24)}


def value(card: Card) -> int:
    """What a card counts: an ace 1, a face 10."""
    return min(RANKS.index(card[0]) + 1, 10)


def hand(cards: tuple[Card, ...] | list[Card]) -> tuple[int, bool]:
    """The best sum of a hand, and whether an ace counts 11 in it."""
    values = [value(card) for card in cards]
    total = sum(values)
    soft = 1 in values and total + 10 <= 21
    return total + 10 * soft, soft

"""What the agent reads: the rules, what it sees if it has no eyes, and the form of its answer."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

from agentlab_runner.envs.cards.games import GAMES, Blackjack, Game, NumberLine, Points

Style = Literal["full", "short"]
Format = Literal["thoughts", "action_only"]

_RULES = {
    "numberline": "This is a number line from 0 to 5 with a current number and a target number. "
    "Bring the current number to the target: - lowers it by one, + raises it by one.",
    "blackjack": "You play blackjack against the dealer, who has one open and one hidden card. "
    "Come closer to 21 than the dealer without going over it: hit takes another card, stand ends your turn.",
    "ezpoints": "There are two cards, and a formula you write symbol by symbol. Every action appends one symbol to it. "
    "The formula must make 12 and use the number of each card once; J, Q and K count 10. "
    "Append = when the formula is complete.",
    "points24": "There are four cards, and a formula you write symbol by symbol. "
    "Every action appends one symbol to it. "
    "The formula must make 24 and use the number of each card once; J, Q and K count 10. "
    "Append = when the formula is complete.",
}
_BRIEF = {
    "numberline": "Bring current to target: - or +.",
    "blackjack": "Beat the dealer: stand or hit.",
    "ezpoints": "Make 12.",
    "points24": "Make 24.",
}
_SEEN = {
    "numberline": "Target: {}. Current: {}.",
    "blackjack": "Your sum: {}{}. Dealer shows: {}.",
    "ezpoints": "Cards: {}.",
    "points24": "Cards: {}.",
}
FIELDS: dict[str, tuple[tuple[str, str], ...]] = {
    "numberline": (
        ("current number", '"x"'),
        ("target number", '"y"'),
        ("thoughts", '"which of the two is greater, and so which action"'),
    ),
    "blackjack": (("thoughts", '"your sum and the dealer\'s card, and so which action"'),),
    "ezpoints": (
        ("cards", "[x, y]"),
        ("current formula", '"z"'),
        ("thoughts", '"= if the formula is complete, else what it lacks to make 12"'),
    ),
    "points24": (
        ("cards", "[w, x, y, z]"),
        ("current formula", '"f"'),
        ("thoughts", '"= if the formula is complete, else what it lacks to make 24"'),
    ),
}
"""The fields of an answer before `action`, and what the prompt says of each."""


def seen(game: Game) -> tuple[str, ...]:
    """The table in words, in the order of the sentence that tells it."""
    if isinstance(game, NumberLine):
        return tuple(map(str, game.state))
    if isinstance(game, Blackjack):
        total, dealer, soft = game.state
        return blackjack_words(total, dealer, soft)
    assert isinstance(game, Points)
    return (cards_words(game.numbers),)


def blackjack_words(total: int, dealer: int, soft: int) -> tuple[str, ...]:
    return str(total), " with an ace as 11" if soft else "", "A" if dealer == 1 else str(dealer)


def cards_words(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))


def prompt(game: str, style: Style, answer: Format, words: tuple[str, ...] | None, formula: str | None) -> str:
    """The whole text of an observation.

    Args:
        game: its name.
        style: `full` tells the rules and the form of the answer, `short` the task in a few words.
        answer: `thoughts` asks for every field of `FIELDS` before the action, `action_only` for the action alone.
        words: the table (`seen`), or None where an image shows it.
        formula: the symbols so far, joined, in the games of points.
    """
    parts = [_RULES[game] if style == "full" else _BRIEF[game]]
    if words is not None:
        parts.append(_SEEN[game].format(*words))
    if formula is not None:
        parts.append(f'Formula: "{formula}".')
    if style == "full":
        parts.append(_ending(game, answer))
    return " ".join(parts)


@lru_cache(maxsize=16)
def _ending(game: str, answer: Format) -> str:
    fields = FIELDS[game] if answer == "thoughts" else ()
    inside = ", ".join(f'"{name}": {hint}' for name, hint in (*fields, ("action", '"one of the actions"')))
    return f"The actions are {', '.join(GAMES[game].actions)}. Answer with JSON like this: {{{inside}}}"

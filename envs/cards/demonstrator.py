"""Scripted players for the warm start: they know the rules, and are forced off them now and then."""

from random import Random
from typing import Any

from agentlab_runner.envs.cards.formula import solutions
from agentlab_runner.envs.cards.games import Blackjack, Game, NumberLine, Points
from agentlab_runner.envs.cards.prompts import FIELDS, Format

MISTAKES = ("random", "early")


class Player:
    """Plays all four games; satisfies `runners.experiment.Demonstrator`.

    It reads the table rightly and thinks rightly, and at every step is `forced` to another action with some chance: in
    NumberLine to `+`; in Blackjack to the opposite of the basic strategy; in the games of points to a legal symbol at
    random, or to end the formula at once. A formula that can no longer make the target is ended.

    Args:
        forced: chance in [0, 1] of a forced action, at each step.
        mistake: games of points: `random` or `early`.

    Raises:
        ValueError: for a chance outside [0, 1] or an unknown mistake.
    """

    def __init__(self, forced: float = 0.0, mistake: str = "random") -> None:
        if not 0 <= forced <= 1:
            raise ValueError(f"forced is {forced}, expected a probability between 0 and 1")
        if mistake not in MISTAKES:
            raise ValueError(f"unknown mistake {mistake!r}; choose one of {', '.join(MISTAKES)}")
        self.forced, self.mistake = forced, mistake
        self._rng = Random(0)

    def begin(self, env: Any, seed: int) -> None:
        """A fresh episode."""
        self._rng = Random(f"player {seed}")

    def decide(self, env: Any) -> str:
        """The utterance for the table as it is, in the environment's answer format."""
        game: Game = env.unwrapped.game
        thoughts, action = think(game)
        if self._rng.random() < self.forced:
            action = self._force(game, action)
        return utterance(game, thoughts, action, env.unwrapped.format)

    def _force(self, game: Game, action: str) -> str:
        if isinstance(game, NumberLine):
            return "+"
        if isinstance(game, Blackjack):
            return "hit" if action == "stand" else "stand"
        assert isinstance(game, Points)
        if self.mistake == "early":
            return "="
        signs = [name for name in game.actions if not name.isdigit() and name != "="]
        return self._rng.choice([*map(str, game.left), *signs])


def think(game: Game) -> tuple[str, str]:
    """The expert's thoughts in a word or a formula, and the name of its action."""
    if isinstance(game, NumberLine):
        target, current = game.state
        return ("lower", "+") if current < target else ("higher", "-")
    if isinstance(game, Blackjack):
        total, dealer, soft = game.state
        return f"{total} against {dealer}", "hit" if hits(total, dealer, bool(soft)) else "stand"
    assert isinstance(game, Points)
    plan = completion(game)
    return ("".join(plan), plan[len(game.formula)] if len(plan) > len(game.formula) else "=") if plan else ("none", "=")


def hits(total: int, dealer: int, soft: bool) -> bool:
    """Blackjack's basic strategy where one can only hit or stand; an open ace of the dealer is 1."""
    if soft:
        return total <= 17 or (total == 18 and dealer in (9, 10, 1))
    if total <= 11:
        return True
    if total == 12:
        return dealer not in (4, 5, 6)
    return total <= 16 and dealer not in (2, 3, 4, 5, 6)


def completion(game: Points) -> tuple[str, ...] | None:
    """The shortest whole formula that begins with what stands there and makes the target, if there is one."""
    written = tuple(game.formula)
    found = solutions(tuple(sorted(game.numbers)), game.target)
    known = set(game.actions)
    return next((whole for whole in found if whole[: len(written)] == written and known.issuperset(whole)), None)


def utterance(game: Game, thoughts: str, action: str, format: Format) -> str:
    """The answer in JSON, with the fields the prompt asks for."""
    fields: dict[str, str] = {"thoughts": f'"{thoughts}"'}
    if isinstance(game, NumberLine):
        target, current = game.state
        fields |= {"current number": f'"{current}"', "target number": f'"{target}"'}
    if isinstance(game, Points):
        cards = ", ".join(map(str, game.numbers))
        fields |= {"cards": f"[{cards}]", "current formula": f'"{"".join(game.formula)}"'}
    asked = [name for name, _ in FIELDS[game.name]] if format == "thoughts" else []
    inside = [f'"{name}": {fields[name]}' for name in asked]
    return "{" + ", ".join([*inside, f'"action": "{action}"']) + "}"

"""What the agent writes, and the action it means: the f_parse of the card games. Text is only ever matched."""

from typing import Literal, get_args

from agentlab_runner.envs.cards.games import GAMES
from agentlab_runner.envs.fields import field_values

Mode = Literal["strict", "released"]

_MARKER = '"action":'
_VALUE = r"""["']action["']\s*:\s*["']?([^"'\n,}]*)"""


class CardsParser:
    """Turns an utterance into the index of an action and back.

    Args:
        game: `numberline`, `blackjack`, `ezpoints` or `points24`.
        mode: how text is read.
            `strict`: the value of the field `"action"` must be the name of an action, in any case, with blanks round
            it, and quoted or not; several such fields must agree. What stands in the value of another field is none.
            `released`: RL4VLM's reading. The lower-cased text from the first `"action":` on, or its last character
            alone if that is absent, is searched for names of actions, and exactly one must occur in it. In the two
            games of points `10` is looked for first and taken out. So `12` and `stand or hit` name none and `11` is 1.

    Raises:
        ValueError: unknown game or mode.
    """

    def __init__(self, game: str, mode: Mode = "strict") -> None:
        if game not in GAMES:
            raise ValueError(f"unknown game {game!r}; choose one of {', '.join(GAMES)}")
        if mode not in get_args(Mode):
            raise ValueError(f"unknown parser mode {mode!r}; choose one of {', '.join(get_args(Mode))}")
        self.game = game
        self.mode = mode
        self.labels: tuple[str, ...] = GAMES[game].actions
        """Names of the actions, which are the classes, by index."""
        self._index = {name: index for index, name in enumerate(self.labels)}

    @property
    def api(self) -> str:
        """The action language in a few lines, for one who has never seen it; each of its examples parses."""
        return f"Write one of the actions {', '.join(self.labels)} as JSON, such as\n{self.render(0)}"

    def parse(self, text: str) -> int | None:
        """The index of the one action `text` names, or None if it names none or several."""
        found = self._released(text) if self.mode == "released" else self._strict(text)
        return self._index[found.pop()] if len(found) == 1 else None

    def label(self, action: int) -> int:
        """Class of the action: its index."""
        return action

    def same(self, first: int, second: int) -> bool:
        return first == second

    def render(self, action: int) -> str:
        """The canonical utterance for `action`; `parse` gives the action back."""
        return f'{{"action": "{self.labels[action]}"}}'

    def _strict(self, text: str) -> set[str]:
        values = {value.strip().lower() for value in field_values(_VALUE, text)}
        return values if values <= self._index.keys() else set()

    def _released(self, text: str) -> set[str]:
        text = text.lower()
        text = text[text.find(_MARKER) :]  # -1, the last character, where there is no marker
        found = set()
        if "10" in self._index and "10" in text:
            found.add("10")
            text = text.replace("10", "")
        return found | {name for name in self.labels if name in text}

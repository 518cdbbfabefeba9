"""A door with a code, to be opened by text or by choosing; and a model that says what a test wants."""

import gymnasium

from agentlab_runner.agents.llm.chat.types import Reply

CODES = 4


class Codes:
    """`open N`."""

    labels = tuple(f"open {code}" for code in range(CODES))
    api = "Write one line, such as\nopen 0"

    def parse(self, text):
        said = text.strip()
        return self.labels.index(said) if said in self.labels else None

    def render(self, action):
        return self.labels[action]

    def label(self, action):
        return action

    def same(self, first, second):
        return first == second


class Mute(Codes):
    """Does not tell its language."""

    api = ""


class Door(gymnasium.Env):
    """Two tries; the code is the seed's last digit, which is not told.

    Args:
        listed: what can be done is listed, and not read from text.
        silent: nothing is told.
    """

    def __init__(self, worker=0, listed=False, silent=False, parser=None):
        self.listed, self.silent, self.metadata = listed, silent, {}

    def reset(self, *, seed=None, options=None):
        self.seed, self.tries = seed, 0
        return self._seen(), {"task": "door", "goal": "open it", "level": 1}

    def step(self, action):
        self.tries += 1
        assert action in (range(CODES) if self.listed else Codes.labels)
        code = action if self.listed else Codes.labels.index(action)
        won, over = code == self.seed % 10, self.tries == 2
        info = {"success": won, "parsed": Codes.labels[code], "stop": "success" if won else "failure" if over else None}
        return self._seen(), float(won), won or over, False, info

    def _seen(self):
        if self.silent:
            return {"text": ""}
        text = {"text": f"Door {self.seed}, try {self.tries}."}
        return text | ({"actions": Codes.labels, "action_ids": tuple(range(CODES))} if self.listed else {})


class Scripted:
    """A chat model that is no more than the protocol asks for, and keeps what it was asked.

    Args:
        say: what it says to a conversation; `choices` of it, or None.
    """

    name = "scripted"

    def __init__(self, say, sees=False):
        self.say, self.sees, self.asked, self.options = say, sees, [], []
        self.finish, self.tokens = "stop", 2

    def reply(self, conversations, *, max_tokens, deterministic, stop=(), choices=None, draws=None):
        self.asked += [list(talk) for talk in conversations]
        given = draws or [0] * len(conversations)
        self.options += [{"max_tokens": max_tokens, "deterministic": deterministic, "draw": draw} for draw in given]
        said = [
            self.say(talk, own)
            for talk, own in zip(conversations, choices or [None] * len(conversations), strict=True)
        ]
        return [Reply(text, 5, self.tokens, 0.5, 0.25, self.finish, model="scripted-1") for text in said]

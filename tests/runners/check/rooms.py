"""A small environment that keeps every promise, and one for every promise that breaks it."""

import threading
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

TASKS = ("left", "right")
WORDS = ("go left", "go right", "wait")


class Room(gymnasium.Env):
    """Two doors, one of which is open: go through it. Three tries; `wait` does nothing."""

    def __init__(self, worker: int = 0) -> None:
        self.worker = worker
        self.action_space = spaces.Discrete(3)
        words = spaces.Text(40, charset="abcdefghijklmnopqrstuvwxyz .0123456789")
        self.observation_space = spaces.Dict(
            {
                "text": words,
                "image": spaces.Box(0, 255, (4, 4, 3), np.uint8),
                "actions": spaces.Sequence(words),
                "action_ids": spaces.Sequence(self.action_space),
                "vector": spaces.Box(0, 10, (2,), np.float32),
            }
        )

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        task = (options or {}).get("task") or str(self.np_random.choice(TASKS))
        if task not in TASKS:
            raise ValueError(f"there is no task {task!r}; choose one of {', '.join(TASKS)}")
        self.open, self.tries = task, 0
        self.shade = int(self.np_random.integers(200))
        self.opens = int(self.np_random.integers(3))
        return self.seen(), {"task": task, "goal": f"go {task}"}

    def step(self, action):
        self.tries += 1
        right = WORDS[action] == f"go {self.open}" and self.tries > self.opens + 1
        return self.seen(), float(right), right, self.tries == 4 and not right, self.told(action, right)

    def told(self, action: Any, right: bool) -> dict[str, Any]:
        return {"success": right, "parsed": WORDS[action], "parse_failed": False, "marks": []}

    def seen(self) -> dict[str, Any]:
        return {
            "text": f"try {self.tries} door {self.open}",
            "image": np.full((4, 4, 3), self.shade, np.uint8),
            "actions": WORDS,
            "action_ids": (0, 1, 2),
            "vector": np.array([self.tries, 1], np.float32),
        }


class Mute(Room):
    def step(self, action):
        *rest, info = super().step(action)
        info.pop("success")
        return *rest, info


class Endless(Room):
    def step(self, action):
        seen, reward, *_, info = super().step(action)
        return seen, reward, False, False, info


class Falls(Room):
    def step(self, action):
        raise KeyError("a key it has not")


class Nameless(Room):
    def reset(self, **start):
        seen, info = super().reset(**start)
        return seen, {"task": info["task"]}


class Spaceless(Room):
    def __init__(self, worker: int = 0) -> None:
        super().__init__(worker)
        del self.observation_space
        self.observation_space = None


class Outside(Room):
    def seen(self):
        return super().seen() | {"vector": np.array([11, 1], np.float32)}


class Drawing(Room):
    """Draws from a generator of its own."""

    chance = np.random.default_rng(0)

    def reset(self, **start):
        _, info = super().reset(**start)
        self.shade = int(self.chance.integers(200))
        return self.seen(), info


class Carrying(Room):
    """An unfinished episode shows in the next."""

    def reset(self, **start):
        self.left = int(getattr(self, "tries", 4) == 1)
        return super().reset(**start)

    def seen(self):
        return super().seen() | {"text": f"try {self.tries} door {self.open} {self.left if self.tries else 0}"}


class Working(Room):
    """The number of the environment decides what is seen."""

    def seen(self):
        return super().seen() | {"text": f"try {self.tries} door {self.open} {self.worker}"}


class Hashing(Room):
    """The order of a set decides what is seen."""

    def seen(self):
        return super().seen() | {"text": f"try {self.tries} door {self.open} {hash(self.open) % 100000}"}


class Deaf(Room):
    """Takes no seed."""

    def reset(self, *, seed=None, options=None):
        return super().reset(seed=7, options=options)


class Single(Deaf):
    metadata = {"one_start": True}  # noqa: RUF012


class Both(Room):
    def step(self, action):
        seen, reward, terminated, truncated, info = super().step(action)
        return seen, reward, terminated or truncated, truncated, info


class Cut(Room):
    """An episode that is won is truncated."""

    def step(self, action):
        seen, reward, terminated, truncated, info = super().step(action)
        return seen, reward, False, terminated or truncated, info


class Limit(Room):
    """A step limit that is terminated."""

    def step(self, action):
        seen, *_, info = super().step(action)
        return seen, 0.0, self.tries == 4, False, info | {"success": False}


class Strikes(Limit):
    def step(self, action):
        *rest, info = super().step(action)
        return *rest, info | ({"stop": "failure"} if self.tries == 4 else {})


class Vague(Room):
    def told(self, action, right):
        return super().told(action, right) | {"success": "yes" if right else ""}


class Reusing(Room):
    """Shows the array it works on."""

    numbers = np.zeros(2, np.float32)

    def seen(self):
        self.numbers[:] = self.tries, 1
        return super().seen() | {"vector": self.numbers}


class Unkept(Room):
    def told(self, action, right):
        return super().told(action, right) | {"marks": [{"kind": "tap", "x": 0.5}]}


class Unwritten(Room):
    def told(self, action, right):
        return super().told(action, right) | {"parsed": object()}


class Stubborn(Room):
    """Begins what it likes, whatever is asked for."""

    def reset(self, *, seed=None, options=None):
        return super().reset(seed=seed)


class Halved(Room):
    def seen(self):
        return super().seen() | {"action_ids": (0, 1)}


class Twice(Room):
    def seen(self):
        return super().seen() | {"actions": ("go left", "go left", "wait")}


class Foreign(Room):
    def step(self, action):
        return super().step(action % 3)

    def seen(self):
        return super().seen() | {"action_ids": (0, 1, 7)}


class Telling(Room):
    """Lists the way that is open first, whatever is in view."""

    def seen(self):
        first = TASKS.index(self.open)
        ids = (first, 1 - first, 2)
        return super().seen() | {
            "text": "two doors", "image": np.zeros((4, 4, 3), np.uint8), "action_ids": ids,
            "actions": tuple(WORDS[number] for number in ids),
        }  # fmt: skip


class Ragged(Room):
    def seen(self):
        return super().seen() | {"vector": np.full(2 if self.tries else 3, np.nan, np.float32)}


class Free(Room):
    """Whatever is done succeeds."""

    def step(self, action):
        *_, info = super().step(action)
        return self.seen(), 1.0, True, False, info | {"success": True}


class Leaving(Room):
    def reset(self, **start):
        self.bell = threading.Event()
        threading.Thread(target=self.bell.wait, name="bell", daemon=True).start()
        return super().reset(**start)


class Gone(Room):
    def check(self):
        raise ConnectionError("no server at 127.0.0.1:9; start it")


class Only(Room):
    """There is one."""

    def __init__(self, worker: int = 0) -> None:
        if worker:
            raise ConnectionError("one device is plugged in")
        super().__init__(worker)


class Says(gymnasium.Env):
    """A word is asked for, and a parser reads it."""

    def __init__(self, worker: int = 0) -> None:
        self.action_space = spaces.Text(20, charset="abcdefghijklmnopqrstuvwxyz ")
        self.observation_space = spaces.Dict({"text": spaces.Text(20)})

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        if "task" in (options or {}) and options["task"] != "words":
            raise ValueError("there is but the task words")
        self.number, self.tries = int(self.np_random.integers(50)), 0
        return {"text": f"word{self.number}"}, {"task": "words", "goal": "say it"}

    def step(self, action):
        self.tries += 1
        return {"text": f"word{self.number}"}, 0.0, False, self.tries == 2, {"success": False, "parsed": action}


class Unheard(Says):
    """Takes no seed; what is said to it, it repeats."""

    def reset(self, *, seed=None, options=None):
        return super().reset(seed=7, options=options)


class Words:
    """Reads `say WORD`; keeps every promise of a parser."""

    labels = ("yes", "no")
    api = "Write one line, such as\nsay yes   agrees\nsay no\nThe rest:\nnothing"

    def parse(self, text: str) -> str | None:
        word = text.strip().removeprefix("say ")
        return word if text.strip().startswith("say ") and word in self.labels else None

    def render(self, action: str) -> str:
        return f"say {action}"

    def label(self, action: str) -> int:
        return self.labels.index(action)

    def same(self, first: str, second: str) -> bool:
        return first == second


class Silent(Words):
    api = "Write something."


class Lying(Words):
    api = "Write one line, such as\nsay perhaps"


class Counting(Words):
    def label(self, action):
        return 5


class Garbled(Words):
    def render(self, action):
        return f"tell {action}"


class Long(Words):
    def parse(self, text):
        return super().parse(text.rstrip("!"))

    def render(self, action):
        return f"say {action}" + "!" * 20


class Blurred(Words):
    def same(self, first, second):
        return True


class Choking(Words):
    def parse(self, text):
        return super().parse(text.splitlines()[0])

"""A page with buttons to be pressed by programs; what is right is said by its words."""

from types import MappingProxyType

import gymnasium

from agentlab_runner.agents.llm.chat.types import Reply

WORDS = ("one", "two", "three", "four", "five")
LATER = "later"


class Calls:
    """`press WORD`, a call a line."""

    labels = ("press",)
    api = "Write lines such as\npress one"
    program_api = "Write a program with agent.press(word) and agent.click_xpath(xpath)."
    calls = MappingProxyType({"press": 1, "click_xpath": 1})

    def parse(self, text):
        return text if text and all(line.split()[0] in self.calls for line in text.splitlines()) else None

    def render(self, action):
        return action

    def label(self, action):
        return 0

    def same(self, first, second):
        return first == second

    def block(self, calls):
        if any(name == "press" and given[0] not in (*WORDS, LATER) for name, given in calls):
            return None
        return "\n".join(f"{name} {given[0]}" for name, given in calls) or None

    def program(self, action):
        called = (line.split(" ", 1) for line in action.splitlines())
        return "\n".join(f"agent.{name}({said!r})" for name, said in called)


class Buttons(gymnasium.Env):
    """Press the word that the seed says; `steps=2`: first `later`, then the word."""

    def __init__(self, worker=0, steps=1, parser=None, tasks=("press",)):
        self.steps, self.metadata, self.tasks = steps, {}, tasks

    def reset(self, *, seed=None, options=None):
        options = options or {}
        self.task = options.get("task") or self.tasks[options.get("episode", 0) % len(self.tasks)]
        self.word = options.get("word") or WORDS[seed % len(WORDS)]
        self.done = 0
        if options.get("word") == "five":
            raise ValueError("that one is held out")
        restart = {"task": self.task, "word": self.word}
        return self._seen(), {"task": self.task, "goal": self._goal(), "restart": restart}

    def step(self, action):
        self.done += 1
        pressed = [line.split(" ", 1)[1] for line in action.splitlines() if line.startswith("press")]
        wanted = self.word if self.done == self.steps else LATER
        right, last = wanted in pressed, self.done == self.steps
        stop = "success" if right and last else "failure" if last or not right else None
        info = {"success": right and last, "parsed": action or None, "stop": stop, "measures": {"raw": float(right)}}
        return self._seen(), float(right and last), stop is not None, False, info

    def _goal(self):
        return f'Press the button "{self.word}".'

    def _seen(self):
        buttons = "".join(f"<button>{word}</button>" for word in WORDS)
        state = f"<div id='query'>{self._goal()}</div><p>{self.task} {self.done}</p>{buttons}"
        return {"text": f"{self._goal()} {state}", "goal": self._goal(), "state": state, "task": self.task}


class Expert:
    """Presses what is wanted; on seeds that end in 9 something else."""

    def begin(self, env, seed):
        self.wrong = seed % 10 == 9

    def decide(self, env):
        own = env.unwrapped
        if own.done < own.steps - 1:
            return f"press {LATER}"
        return "press later" if self.wrong else f"press {own.word}"


class Nobody(Expert):
    """Never presses what is wanted."""

    def begin(self, env, seed):
        self.wrong = True


class Saying:
    """A chat model that says what a test wants and keeps how it was asked."""

    name = "saying"
    sees = False

    def __init__(self, say, finish="stop"):
        self.say, self.finish, self.asked, self.how = say, finish, [], []

    def reply(self, conversations, **how):
        self.asked += [list(talk) for talk in conversations]
        self.how += [how] * len(conversations)
        listed = how.get("choices") or [None] * len(conversations)
        said = [self.say(talk, own) for talk, own in zip(conversations, listed, strict=True)]
        return [Reply(text, 10, len(text.split()), 0.1, 0.0, self.finish, model=self.name) for text in said]


def wanted(talk, listed=None):
    """The program for what is asked last."""
    text = talk[-1].text if 'button "' in talk[-1].text else talk[-2].text
    return f"```\nagent.press('{text.rpartition('button ')[2].split(chr(34))[1]}')\n```"

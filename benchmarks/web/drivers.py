"""One driver of a browser in a process of its own, run as a file by the Python that has it and spoken to in lines.

`python drivers.py NAME [COUNT]` opens so many environments of click-test-2. Each line it is sent is a seed, for which
it plays one episode (reset, observe, click what the goal names, observe) and answers 1 or 0: whether that was right.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

TASK = "click-test-2"


class Ours:
    """This project's environment."""

    picture = False

    def __init__(self) -> None:
        from agentlab_runner.envs.miniwob.env import MiniwobEnv
        from agentlab_runner.envs.miniwob.parser import PageParser

        self.env = MiniwobEnv([TASK], "train", "utterances", PageParser("utterance"), image=self.picture)

    def play(self, seed: int) -> bool:
        observation, info = self.env.reset(options={"page_seed": 1_000 + seed})
        wanted = info["goal"].rstrip(".").split()[-1]
        ref = next(e["ref"] for e in json.loads(observation["elements"]) if e["text"] == wanted)
        return bool(self.env.step(f"click {ref}")[4]["success"])

    def close(self) -> None:
        self.env.close()


class OursWithPicture(Ours):
    picture = True


class Selenium:
    """The environment of the package miniwob, which always takes a picture."""

    def __init__(self) -> None:
        import gymnasium
        import miniwob
        from miniwob.action import ActionTypes

        gymnasium.register_envs(miniwob)
        self.env: Any = gymnasium.make(f"miniwob/{TASK}-v1", disable_env_checker=True)
        self.click = ActionTypes.CLICK_ELEMENT

    def play(self, seed: int) -> bool:
        observation, _ = self.env.reset(seed=1_000 + seed)
        wanted = observation["utterance"].rstrip(".").split()[-1]
        ref = next(e["ref"] for e in observation["dom_elements"] if e["text"] == wanted)
        *_, info = self.env.step(self.env.unwrapped.create_action(self.click, ref=ref))
        return bool(info["raw_reward"] >= 1)

    def close(self) -> None:
        self.env.close()


class BrowserGym:
    """browsergym-miniwob, which always takes a picture and two trees."""

    def __init__(self) -> None:
        import browsergym.miniwob  # noqa: F401 - it registers its tasks
        import gymnasium

        self.env: Any = gymnasium.make(f"browsergym/miniwob.{TASK}", disable_env_checker=True)

    def play(self, seed: int) -> bool:
        observation, _ = self.env.reset(seed=seed)
        wanted = observation["goal"].rstrip(".").split()[-1]
        nodes = observation["axtree_object"]["nodes"]
        bid = next(
            node["browsergym_id"]
            for node in nodes
            if "browsergym_id" in node and node.get("name", {}).get("value") == wanted
        )
        *_, info = self.env.step(f"click({bid!r})")
        return bool(info["task_info"]["RAW_REWARD_GLOBAL"] >= 1)

    def close(self) -> None:
        self.env.close()


class Playwright:
    """Playwright with our scripts in its page: evaluate, and the mouse at the centre of an element."""

    def __init__(self) -> None:
        from playwright.sync_api import sync_playwright

        self.own = sync_playwright().start()
        self.browser = self.own.chromium.launch(executable_path=os.environ["CHROMIUM"], args=["--disable-gpu"])
        self.page = self.browser.new_context(viewport={"width": 500, "height": 320}).new_page()
        for script in os.environ["SCRIPTS"].split(os.pathsep):
            self.page.add_init_script(Path(script).read_text())
        self.page.goto(f"{os.environ['MINIWOB_URL']}{TASK}.html")

    def play(self, seed: int) -> bool:
        seen = self.page.evaluate("(seed) => lab.reset(seed, 'train', 4000)", 1_000 + seed)
        wanted = seen["utterance"].rstrip(".").split()[-1]
        found = next(e for e in seen["elements"] if e["text"] == wanted)
        self.page.mouse.click(found["left"] + found["width"] / 2, found["top"] + found["height"] / 2)
        seen = self.page.evaluate("async () => { await lab.quiet(1000); return lab.observe() }")
        return bool(seen["raw"] >= 1)

    def close(self) -> None:
        self.browser.close()
        self.own.stop()


DRIVERS: dict[str, Any] = {
    "ours": Ours, "ours with picture": OursWithPicture, "selenium": Selenium, "browsergym": BrowserGym,
    "playwright": Playwright,
}  # fmt: skip


def main(name: str, count: int = 1) -> None:
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what others print is no answer
    envs = [DRIVERS[name]() for _ in range(count)]
    for env in envs[1:]:
        env.play(0)
    print(int(envs[0].play(0)), file=out, flush=True)
    for line in sys.stdin:
        print(int(envs[0].play(int(line))), file=out, flush=True)
    for env in envs:
        env.close()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1)

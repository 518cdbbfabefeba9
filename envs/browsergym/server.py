"""BrowserGym's side: run by the Python that has it, and spoken to in lines of JSON over stdin and stdout.

It imports nothing of this project. A request is an object with `do` (`open`, `reset`, `step`, `close`), an answer one
with `fault` (and `kind`: `task` for a request that cannot be, `world` for the rest) or without. Where nobody is left to
speak to, it ends at once, and the browsers with it: they hang on its driver's pipe.
"""

import base64
import importlib
import importlib.util
import io
import json
import os
import queue
import re
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any


def main() -> None:
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what others print is no answer
    asked: queue.Queue[dict[str, Any]] = queue.Queue()
    threading.Thread(target=listen, args=(asked,), daemon=True).start()
    desk = Desk()
    while True:
        request = asked.get()
        if request["do"] == "close":
            desk.close()
            os._exit(0)  # the thread that listens cannot be ended
        try:
            answer = desk.do(request)
        except Refused as fault:
            answer = {"fault": str(fault), "kind": "task"}
        except Exception as fault:
            said = str(fault).strip().splitlines()
            answer = {"fault": f"{type(fault).__name__}: {said[0] if said else ''}"[:500], "kind": "world"}
        out.write(json.dumps(answer) + "\n")
        out.flush()


def listen(asked: "queue.Queue[dict[str, Any]]") -> None:
    """Requests, also while one is being done; when there is nobody any more everything ends."""
    for line in sys.stdin:
        asked.put(json.loads(line))
    os.killpg(os.getpgid(0), signal.SIGKILL)


class Refused(Exception):
    """A request for what there is not."""


class Desk:
    """The environment that is open, if any."""

    env: Any = None
    task: str | None = None

    def do(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"open": self.open, "reset": self.reset, "step": self.step}[request["do"]](request)

    def open(self, request: dict[str, Any]) -> dict[str, Any]:
        """Load a package's tasks; gives their names."""
        name = request["package"]
        if importlib.util.find_spec("browsergym") is None:
            raise Refused(f"{sys.executable} has no BrowserGym; pip install browsergym-{name} there, or name another")
        if importlib.util.find_spec("browsergym." + name) is None:
            raise Refused(f"there is no package browsergym.{name} in {sys.prefix}; pip install browsergym-{name} there")
        if "PLAYWRIGHT_BROWSERS_PATH" not in os.environ:
            lend(request["chromium"], Path(request["home"]) / "browsers")
        if importlib.util.find_spec("miniwob") is not None:
            os.environ.setdefault("MINIWOB_URL", (where("miniwob") / "html" / "miniwob").as_uri() + "/")
        import browsergym.core
        import gymnasium
        from browsergym.core.action.highlevel import HighLevelActionSet

        importlib.import_module("browsergym." + name)
        self.calls = HighLevelActionSet(subsets=request["subsets"], multiaction=False, strict=True)
        known = sorted(id for id in gymnasium.registry if id.startswith("browsergym/"))
        return {"tasks": known, "version": browsergym.core.__version__}

    def reset(self, request: dict[str, Any]) -> dict[str, Any]:
        import gymnasium

        if self.task != request["task"]:
            self.leave()
            self.env = gymnasium.make(
                request["task"], disable_env_checker=True, task_kwargs=request["task_kwargs"], action_mapping=self.code
            ).unwrapped
            self.task = request["task"]
        try:
            seen, info = self.env.reset(seed=request["seed"])
        except BaseException:
            self.leave()
            raise
        return self.shown(seen, request["show"]) | {"raw": raw(info, 0.0)}

    def step(self, request: dict[str, Any]) -> dict[str, Any]:
        seen, reward, terminated, truncated, info = self.env.step(json.dumps(request["call"]))
        ended = {"reward": float(reward), "terminated": bool(terminated), "truncated": bool(truncated)}
        return self.shown(seen, request["show"]) | ended | {"raw": raw(info, float(reward))}

    def leave(self) -> None:
        env, self.env, self.task = self.env, None, None
        if env is not None:
            with suppress(Exception):  # it is given up either way
                env.close()

    def close(self) -> None:
        self.leave()
        import browsergym.core

        if browsergym.core._PLAYWRIGHT:
            browsergym.core._PLAYWRIGHT.stop()

    def code(self, said: str) -> str:
        """A call that was read on the other side, name and arguments, as the program BrowserGym runs."""
        name, arguments = json.loads(said)
        if name not in self.calls.action_set:
            raise NameError(f"there is no call {name!r}")
        return f"{self.calls.python_includes}{name}({', '.join(map(repr, arguments))})\n"

    def shown(self, seen: dict[str, Any], what: list[str]) -> dict[str, Any]:
        from browsergym.utils.obs import IGNORED_AXTREE_ROLES, flatten_axtree_to_str, flatten_dom_to_str, prune_html

        def plain(text: str) -> str:  # where this machine keeps the pages of MiniWoB is nothing to an agent
            return text.replace(os.environ.get("MINIWOB_URL", "\0"), "file:///miniwob/")

        tabs = (seen["open_pages_titles"], seen["open_pages_urls"])
        extra = seen["extra_element_properties"]
        tree = flatten_axtree_to_str(
            seen["axtree_object"],
            extra_properties=extra,
            # what a line of text is broken into; the browsers of BrowserGym's time did not tell it
            ignored_roles=[*IGNORED_AXTREE_ROLES, "InlineTextBox"],
        )
        told = {
            "goal": seen["goal"],
            "tabs": [[name, plain(url)] for name, url in zip(*tabs, strict=True)],
            "active": int(seen["active_page_index"][0]),
            "tree": plain(tree),
            "focused": seen["focused_element_bid"],
            "error": settled(seen["last_action_error"]),
            "elements": elements(seen["axtree_object"], extra),
        }
        if "html" in what:
            told["html"] = prune_html(flatten_dom_to_str(seen["dom_object"]))
        if "image" in what:
            from PIL import Image

            file = io.BytesIO()
            Image.fromarray(seen["screenshot"]).save(file, "PNG")
            told["image"] = base64.b64encode(file.getvalue()).decode()
        return told


def where(package: str) -> Path:
    """The folder of a package, which is not imported."""
    found = importlib.util.find_spec(package)
    assert found is not None
    assert found.submodule_search_locations
    return Path(next(iter(found.submodule_search_locations)))


def lend(program: str, folder: Path) -> None:
    """Have Playwright find a browser of this machine where it keeps its own; the chat window starts one, too."""
    driver = where("playwright") / "driver" / "package"
    known = json.loads((driver / "browsers.json").read_text())["browsers"]
    revision = next(one["revision"] for one in known if one["name"] == "chromium")
    for name in ("chromium-{}/chrome-linux/chrome", "chromium_headless_shell-{}/chrome-linux/headless_shell"):
        link = folder / name.format(revision)
        link.parent.mkdir(parents=True)
        link.symlink_to(program)
    os.environ["PLAYWRIGHT_BROWSERS_PATH"] = str(folder)


def settled(error: str) -> str:
    """A fault's first line and its causes; how far Playwright came until its time was over hangs on the clock."""
    first, *log = error.splitlines() or [""]
    causes = [line.strip(" -") for line in log if re.search(r"element is |intercepts pointer", line)]
    return "\n".join([first, *dict.fromkeys(causes)])


def elements(tree: dict[str, Any], extra: dict[str, Any]) -> list[dict[str, Any]]:
    """What the screen shows of what can be acted on, by the accessibility tree."""
    nodes = {node["nodeId"]: node for node in tree["nodes"]}
    found = []
    for node in tree["nodes"]:
        bid = node.get("browsergym_id")
        about = extra.get(bid) or {}
        if bid is None or about.get("visibility", 0) < 0.5:
            continue
        role = node["role"]["value"]
        found.append(
            {
                "bid": bid,
                "role": role,
                "name": str(node.get("name", {}).get("value", ""))[:200],
                "clickable": bool(about.get("clickable")),
                "options": options(node, nodes) if role in ("combobox", "listbox") else [],
            }
        )
    return found


def options(node: dict[str, Any], nodes: dict[str, dict[str, Any]]) -> list[str]:
    """What a list offers."""
    found: list[str] = []
    waiting = list(node["childIds"])
    while waiting and len(found) < 50:
        child = nodes.get(waiting.pop(0))
        if child is not None:
            if child["role"]["value"] == "option":
                found.append(str(child.get("name", {}).get("value", "")))
            waiting = [*child["childIds"], *waiting]
    return found


def raw(info: dict[str, Any], reward: float) -> float:
    """What the page itself says of a reward; where it says nothing, the reward."""
    return float((info["task_info"] or {}).get("RAW_REWARD_GLOBAL", reward))


if __name__ == "__main__":
    main()

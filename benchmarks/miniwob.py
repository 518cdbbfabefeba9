"""Web tasks: our driver against BrowserGym, the package's own environment and Playwright, and what else is fast."""

import os
import shutil
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

import agentlab_runner.envs.miniwob.env as miniwob_env
from agentlab_runner.agents.direct.agent import DirectAgent
from agentlab_runner.agents.llm.chat.kept import Kept
from agentlab_runner.agents.llm.chat.types import Conversation, Reply
from agentlab_runner.agents.memory import nearest
from agentlab_runner.agents.memory.embedders import unit
from agentlab_runner.envs.browser import chromium
from agentlab_runner.envs.browser.settings import BrowserSettings
from agentlab_runner.envs.miniwob import catalog
from agentlab_runner.envs.miniwob.stage import Stage
from agentlab_runner.runners.online.rollout import collect, episode_seeds, play
from agentlab_runner.runners.types import Decision, Observation, Start, Trajectory
from benchmarks.figures import Figure, spread
from benchmarks.setting import environments
from benchmarks.web.drivers import TASK
from benchmarks.web.processes import drivers

ROOT = Path(__file__).parent.parent
PEERS = {"browsergym": ROOT / ".venv-browsergym/bin/python", "playwright": ROOT / ".venv-playwright/bin/python"}
"""Made by make browsergym and make playwright."""
TURN = {"ours": 40, "ours with picture": 20, "playwright": 40, "selenium": 10, "browsergym": 2}
"""Episodes of a turn."""
ROUNDS = 5
BARS = {
    ("browsergym", "ours"): (150, 20), ("browsergym", "ours with picture"): (50, 10),
    ("selenium", "ours"): (5, 6), ("selenium", "ours with picture"): (2, 3),
}  # fmt: skip
"""Of a peer's seconds / ours: on the clock, and of all cores."""
KEYS, WIDTH, BEST = 100_000, 384, 3


def measure(quick: bool = False) -> list[Figure]:
    """Ratios of what was measured in turns in one run; a peer that is not installed is left out, and that is said."""
    rounds = 1 if quick else ROUNDS
    return [*_drivers(rounds), *_memory(), _reset(rounds), _threads(rounds), *_again(), *_keys(3 if quick else 15)]


def _wanted() -> dict[str, tuple[str, Mapping[str, str], int]]:
    pages = f"{(catalog.folder() / 'miniwob').as_uri()}/"
    whole, driver = shutil.which("chromium"), shutil.which("chromedriver")
    wanted: dict[str, tuple[str, Mapping[str, str], int]] = {
        "ours": (sys.executable, {}, 1), "ours with picture": (sys.executable, {}, 1),
    }  # fmt: skip
    if whole and driver:
        given = {"MINIWOB_CHROME_BINARY": whole, "MINIWOB_CHROMEDRIVER": driver, "SE_OFFLINE": "true"}
        wanted["selenium"] = (sys.executable, {**given, "SE_AVOID_STATS": "true"}, 1)
    scripts = [str(Path(miniwob_env.__file__).with_name(name)) for name in ("page.js", "paths.js")]
    given = {"PYTHONPATH": "", "MINIWOB_URL": pages, "CHROMIUM": chromium.find(), "SCRIPTS": os.pathsep.join(scripts)}
    for name, python in PEERS.items():
        if python.exists() and (whole or name != "browsergym"):
            wanted[name] = (str(python), given, 1)
        else:
            print(f"no figures of {name}: make {name} installs it")
    return wanted


def _drivers(rounds: int) -> list[Figure]:
    """One episode of click-test-2 with each driver, in turns."""
    with TemporaryDirectory() as folder, drivers(_with_browser(_wanted(), Path(folder))) as made:
        taken: dict[str, list[tuple[float, float, int]]] = {name: [] for name in made}
        for number in range(rounds):
            for name in sorted(made, reverse=number % 2 == 1):
                seeds = range(number * TURN[name], (number + 1) * TURN[name])
                taken[name].append(made[name].play(seeds))
    of = {name: _an_episode(turns, TURN[name]) for name, turns in taken.items()}
    figures = []
    for (peer, own), bars in BARS.items():
        for which, bar in zip(("wall", "cpu"), bars, strict=True):
            if peer in of:
                title, ratio = f"episodes/min, {own} / {peer}, {which}", of[peer][which] / of[own][which]
                figures.append(_figure(title, ratio, f">= {bar}", own=of[own], peer=of[peer]))
    for which in ("wall", "cpu") if "playwright" in of else ():
        share = of["ours"][which] / of["playwright"][which]
        title = f"an episode, ours / Playwright's evaluate and mouse, {which}"
        figures.append(_figure(title, share, "<= 0.7", own=of["ours"], peer=of["playwright"]))
    return figures


def _an_episode(turns: Sequence[tuple[float, float, int]], episodes: int) -> dict[str, Any]:
    wall, cpu = (statistics.median(turn[which] for turn in turns) / episodes for which in (0, 1))
    right = f"{sum(turn[2] for turn in turns)} of {len(turns) * episodes}"
    return {"wall": wall, "cpu": cpu, "right": right, "wall_by_turn": spread([turn[0] / episodes for turn in turns])}


def _with_browser(
    wanted: dict[str, tuple[str, Mapping[str, str], int]], folder: Path
) -> dict[str, tuple[str, Mapping[str, str], int]]:
    """BrowserGym finds the whole Chromium of this machine where its Playwright keeps one."""
    if "browsergym" in wanted:
        python, given, count = wanted["browsergym"]
        link = folder / "chromium-1117" / "chrome-linux" / "chrome"
        link.parent.mkdir(parents=True)
        link.symlink_to(str(shutil.which("chromium")))
        wanted["browsergym"] = (python, {**given, "PLAYWRIGHT_BROWSERS_PATH": str(folder)}, count)
    return wanted


def _memory() -> list[Figure]:
    """PSS of everything that four environments need, ours and the package's, and of one of BrowserGym's."""
    wanted = {name: one for name, one in _wanted().items() if name in ("ours", "selenium", "browsergym")}
    counts = {"ours": 4, "selenium": 4, "browsergym": 1}
    found: dict[str, float] = {}
    for name, (python, given, _) in wanted.items():
        with TemporaryDirectory() as folder:
            one = _with_browser({name: (python, given, counts[name])}, Path(folder))
            with drivers(one) as made:
                found[name] = made[name].memory()
    bars = {"selenium": "<= 0.4", "browsergym": "<= 0.5"}
    return [
        _figure(f"memory (PSS), 4 of ours / {counts[peer]} of {peer}", found["ours"] / found[peer], bar, mb=found)
        for peer, bar in bars.items()
        if peer in found
    ]


def _reset(rounds: int) -> Figure:
    """A reset in place against one with the page loaded anew, of the tasks that need no loading."""
    stage = Stage(BrowserSettings())
    seconds: dict[str, list[float]] = {"in place": [], "reloaded": []}
    try:
        for task in ("click-test-2", "click-link", "enter-text", "login-user", "click-checkboxes", "find-word"):
            stage.reset(task, 0)
            for number in range(8 * rounds):
                for way in seconds:
                    if way == "reloaded":
                        stage._task = ""
                    began = time.perf_counter()
                    stage.reset(task, number)
                    seconds[way].append(time.perf_counter() - began)
    finally:
        stage.close()
    of = {way: spread(values) for way, values in seconds.items()}
    ratio = of["reloaded"]["median"] / of["in place"]["median"]
    return _figure("reset, page loaded anew / in place", ratio, ">= 5", **of)


class Presses:
    """Presses the button that the goal names."""

    def begin(self, episodes: Sequence[int]) -> None:
        """Nothing is remembered."""

    def act(self, observations: Sequence[Observation], deterministic: bool) -> list[Decision]:
        return [Decision(_button(observation)) for observation in observations]

    def end(self, trajectories: Sequence[Trajectory]) -> None:
        """Nor learned."""


def _button(observation: Observation) -> str:
    wanted = f'"{observation["goal"].rstrip(".").split()[-1]}"'
    phrases = zip(observation["actions"], observation["action_ids"], strict=True)
    return str(next((action for phrase, action in phrases if phrase.endswith(wanted)), "press tab"))


SETTING = ("env.action=phrases", f"env.tasks=[{TASK}]", "env.horizon=1")


def _threads(rounds: int) -> Figure:
    """Episodes a second of a rollout with eight environments, which step in threads, and with one."""
    few, many = (environments(SETTING, count, "direct_miniwob") for count in (1, 8))
    seconds: dict[int, list[float]] = {1: [], 8: []}
    try:
        for number in range(rounds):
            for envs in (few, many):
                began = time.perf_counter()
                collect(Presses(), envs, episode_seeds(number, count=80))
                seconds[len(envs)].append(time.perf_counter() - began)
    finally:
        for env in (*few, *many):
            env.close()
    of = {f"seconds_{count}": spread(values) for count, values in seconds.items()}
    ratio = of["seconds_1"]["median"] / of["seconds_8"]["median"]
    return _figure("episodes/s, 8 environments in rollout threads / 1", ratio, ">= 0.9", episodes=80, **of)


class First:
    """A chat model that chooses what is listed first, and counts how often it is asked."""

    name, sees, asked = "first", False, 0

    def reply(self, conversations: Sequence[Conversation], *, choices: Any = None, **_: Any) -> list[Reply]:
        self.asked += len(conversations)
        return [Reply(listed[0], 300, 8, 0.0, 0.0, "stop", model=self.name) for listed in choices]


def _again() -> list[Figure]:
    """An evaluation and the same one with the answers that the first has kept."""
    model, seconds, found = First(), [], []
    starts = [Start(number, seed, {"episode": number}) for number, seed in enumerate(episode_seeds(1, count=16))]
    with TemporaryDirectory() as folder:
        for _ in range(2):
            before = model.asked
            envs, kept = environments(("env.horizon=3",), 4, "direct_miniwob"), Kept(model, Path(folder), ledger=False)
            began = time.perf_counter()
            ended = dict(play(DirectAgent(kept, None), envs, starts, deterministic=True))
            seconds.append(time.perf_counter() - began)
            kept.close()
            for env in envs:
                env.close()
            played = [
                [(step.observation["html"], step.decision.action, step.reward) for step in ended[number].steps]
                for number in sorted(ended)
            ]
            found.append((model.asked - before, played))
    (first, expected), (again, got) = found
    details = {"requests_first": first, "seconds_first": seconds[0], "seconds_again": seconds[1]}
    differing = sum(one != other for one, other in zip(expected, got, strict=True))
    return [
        Figure(figure="requests of an evaluation played again", measured=again, unit="requests", bar="<= 0",
               details=details),
        Figure(figure="its episodes that differ", measured=differing, unit="episodes", bar="<= 0", details=details),
    ]  # fmt: skip


def _keys(rounds: int) -> list[Figure]:
    """The three of 10^5 keys nearest to a query, by faiss and by NumPy alone."""
    chance = np.random.default_rng(0)
    vectors, visible = unit(chance.standard_normal((KEYS, WIDTH))), [np.ones(KEYS, np.bool_)]
    seconds: dict[str, list[float]] = {"faiss": [], "NumPy": []}
    same, usual = 0, nearest.FAISS_FROM
    try:
        for _ in range(rounds):
            query, found = unit(chance.standard_normal((1, WIDTH))), []
            for name in seconds:
                nearest.FAISS_FROM = KEYS if name == "faiss" else KEYS + 1
                began = time.perf_counter()
                rows, cosines = nearest.nearest(vectors, query, visible, BEST)[0]
                seconds[name].append(time.perf_counter() - began)
                found.append([int(row) for _, row in sorted(zip(-cosines, rows, strict=True))])
            same += found[0] == found[1]
    finally:
        nearest.FAISS_FROM = usual
    of = {name: spread(values) for name, values in seconds.items()}
    title = f"top {BEST} of {KEYS} x {WIDTH}, NumPy / faiss"
    share = Figure(figure=f"{title}: same answers", measured=100 * same / rounds, unit="%", bar=">= 100", details={})
    return [_figure(title, of["NumPy"]["median"] / of["faiss"]["median"], ">= 1", **of), share]


def _figure(title: str, measured: float, bar: str, **details: Any) -> Figure:
    return Figure(figure=title, measured=measured, unit="x", bar=bar, details=details)

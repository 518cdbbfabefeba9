"""The same page for the same seed as in the package's own environment, which drives a whole Chromium by Selenium."""

import re
import shutil

import gymnasium
import pytest

from agentlab_runner.envs.browser.settings import BrowserSettings
from agentlab_runner.envs.miniwob import catalog
from agentlab_runner.envs.miniwob.stage import Stage

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
TASKS = [task for task in catalog.SYNAPSE if task != "click-pie"][:48]
SEEDS = range(5)
ATTRIBUTE = r' [\w-]+(?:="[^"]*")?'
HTML = "return (document.getElementById('wrap') || document.body).outerHTML"


def plain(html: str) -> str:
    """Without the episode's number, attributes in the order of their names."""
    html = re.sub(r' data-wob_eps="e\d+"', "", html)
    return re.sub(rf"<(\w+)((?:{ATTRIBUTE})+)>", lambda tag: f"<{tag[1]}{''.join(_ordered(tag[2]))}>", html)


def _ordered(attributes: str) -> list[str]:
    return sorted(re.findall(ATTRIBUTE, attributes))


@pytest.fixture
def theirs(monkeypatch):
    """Gives the package's own environment of a task."""
    for name, value in {"MINIWOB_CHROME_BINARY": CHROMIUM, "MINIWOB_CHROMEDRIVER": DRIVER, "SE_OFFLINE": "true",
                        "SE_AVOID_STATS": "true"}.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    import miniwob

    gymnasium.register_envs(miniwob)
    return lambda task: gymnasium.make(f"miniwob/{task}-v1", disable_env_checker=True)


@pytest.mark.slow  # minutes: a browser of Selenium's for each task
@pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs chromium and chromium-driver")
def test_the_package_shows_the_same(theirs):
    stage = Stage(BrowserSettings(patience=30.0))
    try:
        for task in TASKS:
            peer = theirs(task)
            try:
                for seed in SEEDS:
                    told, _ = peer.reset(seed=seed)
                    html = peer.unwrapped.instance.driver.execute_script(HTML)
                    ours = stage.reset(task, seed)
                    assert ours["utterance"] == told["utterance"], (task, seed)
                    assert plain(ours["html"]).startswith(plain(html)), (task, seed)
            finally:
                peer.close()
    finally:
        stage.close()


@pytest.mark.slow
@pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs chromium and chromium-driver")
def test_the_package_asks_for_the_same_flights(theirs):
    stage = Stage(BrowserSettings(patience=30.0), flights=True)
    try:
        for task in catalog.FLIGHT:
            peer = theirs(task)
            try:
                for seed in SEEDS:
                    told, _ = peer.reset(seed=seed)
                    ours = stage.reset(task, seed)
                    assert ours["utterance"] == told["utterance"], (task, seed)
                    assert [(name, str(value)) for name, value in ours["fields"].items()] == list(told["fields"])
                    fields = {one["id"] for one in told["dom_elements"] if one["tag"] == "input_text"}
                    kinds = ("text", "tel")  # which is the package's text, too
                    assert fields <= {one["id"] for one in ours["elements"] if one["kind"] in kinds}, (task, seed)
            finally:
                peer.close()
    finally:
        stage.close()

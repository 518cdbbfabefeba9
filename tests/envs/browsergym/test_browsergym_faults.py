"""The process that BrowserGym lives in, where it is none, says what is nothing, says nothing, or goes away."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import pytest

from agentlab_runner.envs.browser import chromium
from agentlab_runner.envs.browsergym import client, words
from agentlab_runner.envs.browsergym.client import Gone, Refused
from agentlab_runner.envs.browsergym.env import BrowserGymEnv
from agentlab_runner.runners.config.compose import compose
from agentlab_runner.runners.errors import UserError
from tests.conftest import environment

PLAYS = """
import json, os, sys, time
PAGE = {"goal": 'Enter "bob".', "tabs": [["t", "file:///miniwob/t.html"]], "active": 0, "tree": "[7] textbox ''",
        "focused": "7", "error": "", "raw": 0.0, "elements": [
            {"bid": "7", "role": "textbox", "name": "", "clickable": True, "options": []},
            {"bid": "8", "role": "button", "name": "OK", "clickable": True, "options": []},
            {"bid": "9", "role": "button", "name": "OK", "clickable": True, "options": []}]}
def say(**answer): print(json.dumps(answer), flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    if asked["do"] == "open": say(tasks=["browsergym/a.one", "browsergym/a.two", "browsergym/b.one"], version="0")
    elif asked["do"] == "reset": say(**PAGE)
    elif asked["do"] == "close": break
    else:
        ended = asked["call"] == ["fill", ["7", "bob", False]]
        say(**PAGE | {"raw": float(ended), "reward": float(ended), "terminated": ended, "truncated": False})
"""


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Environments whose process is this Python with another program."""
    made = []

    def make(program, **settings):
        server = tmp_path / "server.py"
        server.write_text(textwrap.dedent(program))
        monkeypatch.setattr(client, "SERVER", server)
        monkeypatch.setattr(client, "GRACE", 1.0)
        env = BrowserGymEnv(**{"tasks": ["browsergym/a.*"], "python": sys.executable, "patience": 20.0, **settings})
        made.append(env)
        return env

    yield make
    for env in made:
        env.close()


@pytest.fixture(autouse=True)
def temporary(tmp_path_factory, monkeypatch):
    """A temporary folder of its own, since browsers live beside these."""
    own = tmp_path_factory.mktemp("own")
    monkeypatch.setenv("TMPDIR", str(own))
    monkeypatch.setattr(tempfile, "tempdir", str(own))


def folders():
    return set(Path(tempfile.gettempdir()).glob(f"{chromium.PROFILE}*"))


def test_it_plays(fake):
    env = fake(PLAYS, action="phrases")
    assert env.reset(options={"episode": 1})[1]["task"] == "browsergym/a.two"
    observation, info = env.reset(seed=5, options={"task": "browsergym/a.one"})
    assert (info["task"], info["seed"]) == ("browsergym/a.one", 5)
    assert observation["actions"] == ("click the text field", 'type "bob" into the text field',
                                      'click the 1st button "OK"', 'click the 2nd button "OK"')  # fmt: skip
    assert observation["action_ids"] == ("click('7')", "fill('7', 'bob')", "click('8')", "click('9')")
    assert observation["text"].endswith("## Focused element:\nbid='7'\n\nTo do this, I")
    observation, reward, *ended, info = env.step("click('8')")
    assert (reward, ended, info["stop"]) == (0.0, [False, False], None)
    assert 'I have: click the 1st button "OK".' in observation["text"]
    _, reward, *ended, info = env.step("fill('7', 'bob')")
    assert (reward, ended, info["stop"], info["success"]) == (1.0, [True, False], "success", True)
    with pytest.raises(ValueError, match=r"none of this environment\'s tasks: browsergym/a\.one, browsergym/a\.two"):
        env.reset(options={"task": "browsergym/b.one"})


def test_what_is_no_call_does_nothing_and_says_so(fake):
    env = fake(PLAYS, horizon=2)
    env.reset(seed=0)
    observation, _, _, _, info = env.step("click(open('/etc/passwd'))")
    assert info["parse_failed"]
    assert observation["text"].endswith("## Error from previous action:\nthere was no call in what was said")
    *_, truncated, info = env.step("upload_file('7', '/etc/passwd')")
    assert (truncated, info["stop"], info["parsed"]) == (True, "horizon", None)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("print('no json', flush=True)", "answered with what is no JSON object"),
        ("print('[' * 100000, flush=True)", "answered with what is no JSON object"),
        ("print('[]', flush=True)", "answered with what is no JSON object"),
        ("sys.exit(print('a reason', file=sys.stderr))", "BrowserGym's process ended: a reason"),
        ("time.sleep(60)", "has not answered within 1 s"),
        ("sys.stdout.write('{'); sys.stdout.flush(); time.sleep(60)", "has not answered within 1 s"),
        ("say(fault='Error: net::ERR_CONNECTION_REFUSED', kind='world')", "BrowserGym failed with Error: net::ERR_CON"),
    ],
)  # fmt: skip
def test_a_step_that_goes_wrong_loses_that_episode_alone(fake, answer, said):
    env = fake(PLAYS.replace("    else:\n", f"    elif asked['call'][0] == 'hover': {answer}\n    else:\n"))
    env.reset(seed=0)
    env.client.patience = 1.0
    before, pid = env._observe(), env.client._process.pid
    observation, reward, terminated, truncated, info = env.step("hover('8')")
    assert (reward, terminated, truncated, info["stop"], info["success"]) == (0.0, False, True, "device_lost", False)
    assert said in info["reason"]
    assert observation == before
    assert not Path(f"/proc/{pid}").exists()
    assert env.reset(seed=0)[0] == before, "and the next one has another process"
    assert env.step("fill('7', 'bob')")[1] == 1.0


def test_one_that_died_between_two_episodes_is_replaced(fake):
    env = fake(PLAYS)
    env.reset(seed=0)
    os.killpg(env.client._process.pid, signal.SIGKILL)
    assert env.reset(seed=1)[1]["seed"] == 1


def test_one_that_does_not_come_up_says_its_last_line(fake):
    before = folders()
    env = fake("import sys; sys.exit('ModuleNotFoundError: no greenlet')")
    with pytest.raises(ConnectionError, match="process ended: ModuleNotFoundError: no greenlet"):
        env.check()
    with pytest.raises(Gone):
        env.reset(seed=0)
    env.close()
    assert folders() == before


def test_who_has_no_browsergym_is_told_what_to_do(fake, monkeypatch, tmp_path):
    monkeypatch.delenv(client.VARIABLE, raising=False)
    monkeypatch.setattr(client, "BESIDE", tmp_path / "python")
    with pytest.raises(Refused, match="BrowserGym is not here; make browsergym installs it"):
        client.find()
    with pytest.raises(Refused, match=r"env\.python is nothing, which is no program that can be run"):
        client.find("nothing")
    real = BrowserGymEnv(python=sys.executable)  # the Python of the tests has none
    with pytest.raises(Refused, match="has no BrowserGym; pip install browsergym-miniwob there"):
        real.check()
    real.close()


def test_a_task_that_there_is_not_names_the_nearest(fake):
    env = fake(PLAYS, tasks=["browsergym/a.on"])
    with pytest.raises(Refused, match=re.escape("no task 'browsergym/a.on'; did you mean browsergym/a.one")):
        env.check()


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("env.tasks=[miniwob.click-test]", "env.tasks"),
        ("env.package=../os", "env.package"),
        ("env.parser.subsets=[files]", "env.parser.subsets"),
        ("env.patience=0", "env.patience"),
        ("'env.parser.subsets=[coord]' env.action=phrases", "action=phrases offers calls of the subset bid"),
    ],
)
def test_what_cannot_be_is_refused_before_a_process_starts(override, said):
    with pytest.raises(UserError, match=re.escape(said)):
        compose(["env=browsergym", *override.replace("'", "").split()])


def test_a_long_page_is_cut_and_says_so():
    seen = {"goal": "g", "tabs": [], "active": 0, "tree": "x" * (words.LONGEST + 5), "focused": "", "error": ""}
    assert words.page(seen).endswith("x\n(the page goes on)")


def test_nothing_is_left_when_its_owner_is_killed(tmp_path):
    server = tmp_path / "server.py"
    real = Path(client.__file__).with_name("server.py").read_text()
    server.write_text(real.replace("    desk = Desk()", "    import time; time.sleep(60)"))
    program = f"""
        import os, signal, sys
        from pathlib import Path
        from agentlab_runner.envs.browsergym import client
        client.SERVER = Path({str(server)!r})
        child = client.Client(sys.executable, "miniwob", ["bid"], None, 5.0)
        print(child._process.pid, child.folder, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], env=environment(), capture_output=True,
                          text=True)  # fmt: skip
    pid, folder = done.stdout.split()
    for _ in range(200):
        if not Path(f"/proc/{pid}").exists() or " Z " in Path(f"/proc/{pid}/stat").read_text():
            break
        time.sleep(0.05)
    else:
        pytest.fail("it is still there")
    assert Path(folder).exists()
    chromium.sweep()
    assert not Path(folder).exists()

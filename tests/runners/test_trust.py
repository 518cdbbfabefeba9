"""Run folders that others sent, through the verbs that work with one: what they may decide and what they may not."""

import os
import pickle
import shutil
import sys
import time
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from agentlab_runner.runners import launch
from agentlab_runner.runners.cli import app
from agentlab_runner.runners.config.compose import compose
from agentlab_runner.runners.config.older import complete
from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.run.appear import new_folder
from agentlab_runner.runners.run.config_file import as_yaml, check_unedited
from agentlab_runner.runners.run.folder import Run
from tests.runners.received import ALIAS_BOMB, declare, forge

CONF = str(Path(__file__).parent / "conf")


class Trap:
    def __reduce__(self):
        return Path.touch, (Path("sprung"),)


def spring(**_):
    Path("sprung").touch()


@pytest.fixture(scope="module")
def training(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AGENTLAB_CONF", CONF)
        patch.chdir(folder)
        return folder / launch.train(["+exp=counting"])[0]


@pytest.fixture
def sent(training, tmp_path, monkeypatch):
    """A finished run, with a trap beside it that must not spring."""
    monkeypatch.setenv("AGENTLAB_CONF", CONF)
    monkeypatch.chdir(tmp_path)
    Path("trap.pkl").write_bytes(pickle.dumps(Trap()))
    return Path(shutil.copytree(training, "runs/sent"))


def lab(*args, code=0):
    done = CliRunner().invoke(app, args)
    assert done.exit_code == code, done.output
    return done


def refused(*args):
    """What is said, once, by a verb that refuses its input."""
    done = lab(*args, code=2)
    assert done.stderr.count("agentlab: ") == 1
    return done.stderr


LOAD = {"_target_": "pandas.read_pickle", "filepath_or_buffer": "trap.pkl"}


@pytest.mark.parametrize("verb", ["resume", "eval"])
@pytest.mark.parametrize(
    "change",
    [
        lambda config: config.update(trainer=LOAD),
        lambda config: config.update(logger=LOAD),
        lambda config: config.update(experiment={"_target_": "tests.runners.test_trust.spring"}),
        lambda config: config["eval"]["env"].update(x=[[LOAD]]),
        lambda config: config["agent"].update(_schema_="tests.runners.test_trust.Trap"),
    ],
)
def test_a_run_folder_chooses_no_program(sent, verb, change):
    forge(sent, change)
    said = refused(verb, "run=latest")
    assert "which no config here names" in said
    assert "add --trust runs/sent" in said
    assert not Path("sprung").exists()


def test_whoever_is_trusted_may_choose_it(sent):
    forge(sent, lambda config: config.update(experiment={"_target_": "tests.runners.test_trust.spring"}))
    said = refused("eval", "run=latest", "--trust", "latest")
    assert "--trust names latest, but the run is runs/sent" in said
    assert "--trust belongs to a run" in refused("eval", "+exp=counting", "--trust", "sent")
    assert not Path("sprung").exists()
    for name in ("sent", "runs/sent"):
        lab("eval", "run=latest", "--trust", name, code=1)  # it is built, and is no experiment
        Path("sprung").unlink()


def test_what_the_user_says_anew_is_the_users(sent):
    forge(sent, lambda config: config.update(logger=LOAD))
    lab("eval", "run=latest", "logger=none")


@pytest.mark.parametrize(
    "said",
    [
        ["hydra.searchpath=[file://{here}/evil]", "agent=trap"],
        ["agent=../../../../../..{here}/evil/agent/trap"],
        ["agent={_schema_: tests.runners.sprung.Settings}"],
        ["+x={_schema_: tests.runners.sprung.Settings}"],
        ["agent.lr=${oc.env:HOME}"],
    ],
)
def test_the_command_of_a_run_folder_chooses_none_either(sent, tmp_path, said):
    Path("evil/agent").mkdir(parents=True)
    Path("evil/agent/trap.yaml").write_text("_schema_: tests.runners.sprung.Settings\nlr: 1\n")
    words = [word.replace("{here}", str(tmp_path)) for word in said]
    declare(sent, command=["agentlab", "train", "+exp=counting", *words])
    lab("eval", "run=latest", "eval.episodes=3")
    lab("resume", "run=latest", "total_iterations=4")
    assert "tests.runners.sprung" not in sys.modules


@pytest.mark.parametrize("verb", ["resume", "eval"])
def test_a_config_edited_by_hand_is_refused(sent, verb):
    text = (sent / "config.yaml").read_text()
    (sent / "config.yaml").write_text(text.replace("lr: 0.1", "lr: 0.5", 1))
    said = refused(verb, "run=latest")
    assert "config.yaml was changed by hand since the run was started" in said
    assert "give what is to be otherwise as an override" in said
    (sent / "config.yaml").write_text(text)
    lab("resume", "run=latest", "total_iterations=4")
    lab("resume", "run=latest", "checkpoint.keep=5")


@pytest.mark.parametrize("verb", ["resume", "eval"])
def test_a_run_older_than_a_key_goes_on_and_says_what_is_filled_in(sent, verb, caplog):
    forge(sent, lambda config: config.pop("group_size"))
    lab(verb, "run=latest", *(["total_iterations=4"] if verb == "resume" else []))
    (line,) = caplog.messages
    assert line == "runs/sent is older than some keys, which are filled in: group_size=1"
    lab(verb, "run=latest")
    assert len(caplog.messages) == (1 if verb == "resume" else 2)  # resuming has written it down


def test_nothing_is_filled_into_a_node_that_is_something_else_today(sent):
    config = compose(["+exp=counting"])
    assert config.logger._target_.endswith("NullTracker")
    _, filled, _ = complete(config, [])  # where the logger would be W&B, with keys of its own
    assert not [key for key in filled if key.startswith("logger.")]


def test_a_key_without_default_can_be_said(sent):
    forge(sent, lambda config: config["agent"].pop("gamma"))
    assert "agent.gamma has no value; add agent.gamma=VALUE" in refused("eval", "run=latest", "agent.lr=0.2")
    lab("resume", "run=latest", "agent.gamma=0.5", "total_iterations=4")
    assert yaml.safe_load((sent / "config.yaml").read_text())["agent"]["gamma"] == 0.5
    assert "changed: agent.gamma (0.5 -> 0.6)" in refused("resume", "run=latest", "agent.gamma=0.6")


def test_a_config_that_would_hold_every_verb_holds_none(sent):
    shutil.copytree(sent, "runs/well")
    (sent / "config.yaml").write_text(ALIAS_BOMB)
    began = time.process_time()
    for command in (["resume", "run=sent"], ["eval", "run=sent"], ["compare", "runs/sent"]):
        assert "alias *a0" in refused(*command)
    lab("report", "runs/sent", "runs/well", "--out", "report.html")
    assert "alias *a0" in Path("report.html").read_text()
    assert "left out" not in lab("compare", "runs/sent", "runs/well").stdout
    assert time.process_time() - began < 60


def test_runs_that_cannot_be_read_leave_the_others_alone(sent):
    for name, content in {"a": b"{}", "b": b"[]", "c": b"\xff"}.items():
        shutil.copytree(sent, f"runs/{name}")
        Path(f"runs/{name}/manifest.json").write_bytes(content)
    lab("eval", "run=latest")
    lab("report", *map(str, sorted(Path("runs").iterdir())), "--out", "report.html")
    page = Path("report.html").read_text()
    assert page.count("is damaged") >= 3
    lab("compare", *map(str, sorted(Path("runs").iterdir())))
    refused("compare", "runs/a", "runs/b")


# -- killed while writing ----------------------------------------------------------------------------------------------


def killed_at(moment: int, under: Path, work) -> bool:
    """Do `work` in a process of its own that is killed before its nth step in `under`; whether it came that far."""
    child = os.fork()
    if child == 0:
        steps = iter(range(1, moment))
        events = ("open", "os.rename", "os.mkdir", "os.chmod", "os.remove", "os.truncate")

        def hook(event, arguments):
            if event in events and str(under) in str(arguments) and not next(steps, 0):
                os._exit(9)

        try:
            sys.addaudithook(hook)
            work()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


def test_a_kill_at_any_moment_of_its_making_leaves_a_run_or_none(tmp_path, monkeypatch):
    monkeypatch.setenv("AGENTLAB_CONF", CONF)
    monkeypatch.chdir(tmp_path)
    root, config = tmp_path / "runs", compose(["+exp=counting"])
    command = ["agentlab", "train", "+exp=counting"]
    first = Run.create(config, root, command, name="first").path
    moment = 1
    while killed_at(moment, root, lambda: Run.create(config, root, command, name="next")):
        made = set(root.glob("[!.]*")) - {first}
        for folder in made:
            launch.open_run({"run": str(folder)})
        assert launch.open_run({"run": "latest"}).path.absolute() in (made or {first})
        for folder in made:
            lab("report", str(folder), str(first))
            assert launch.resume([f"run={folder}"])[1]["count"] == 3
            shutil.rmtree(folder)
        moment += 1
    assert moment > 10


def test_a_kill_at_any_moment_of_a_change_leaves_a_run_that_goes_on(sent):
    moment = 1
    longer = compose(["+exp=counting", "total_iterations=9"])
    before = {name: (sent / name).read_bytes() for name in ("config.yaml", "manifest.json")}
    while killed_at(moment, sent.absolute(), lambda: Run.open(sent.absolute()).update_config(longer)):
        again = launch.open_run({"run": "latest"})
        killed_at(moment, sent.absolute(), lambda: Run.open(sent.absolute()).update_config(longer))
        again = Run.open(sent)
        check_unedited(sent, again.config, again.manifest)
        for name, content in before.items():
            (sent / name).write_bytes(content)
        moment += 1
    assert moment > 8
    assert Run.open(sent).config.total_iterations == 9


def test_a_folder_that_fails_to_be_made_leaves_nothing(tmp_path):
    def fill(folder):
        (folder / "config.yaml").write_text(as_yaml({}))
        raise TypeError

    with pytest.raises(TypeError):
        new_folder(tmp_path / "runs", "x", fill)
    assert list((tmp_path / "runs").iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="run folders cannot be made in"):
        new_folder(tmp_path / "file", "x", fill)

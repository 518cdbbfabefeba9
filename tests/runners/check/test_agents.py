"""Every rule holds for an agent that keeps all promises, and for one that breaks it says what to mend."""

import os
import re
from pathlib import Path

import pytest
from rich.console import Console

from agentlab_runner.runners.check.agents import Agents
from agentlab_runner.runners.check.check import check
from agentlab_runner.runners.check.finding import Finding, State, asked, held
from agentlab_runner.runners.check.rules import AGENT
from agentlab_runner.runners.check.small import played_alone, small
from agentlab_runner.runners.config.compose import compose
from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.terminal.progress import Progress

ROOT = Path(__file__).resolve().parent.parent.parent.parent
EXP = """# A player, for tests (seconds)
# @package _global_
agent:
  _target_: tests.runners.check.players.Player
env:
  _target_: tests.runners.check.rooms.Room
  num_envs: 8
rollout_size: 64
total_iterations: 50
logger: null
eval:
  episodes: 500
"""
ALONE = "experiment._target_=agentlab_runner.runners.evaluation.experiment.EvaluationExperiment"


@pytest.fixture(autouse=True)
def lab(tmp_path, monkeypatch):
    """Where the experiment `player` is known, and every process finds these tests."""
    (tmp_path / "conf" / "exp").mkdir(parents=True)
    (tmp_path / "conf" / "exp" / "player.yaml").write_text(EXP)
    monkeypatch.setenv("AGENTLAB_CONF", str(tmp_path / "conf"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("AGENTLAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def checked(player: str, *more: str):
    return check(["+exp=player", f"agent._target_=tests.runners.check.players.{player}", *more], only="agent")


def found(folder: Path, player: str, *names: str, alone: bool = False) -> dict[str, Finding]:
    """What these rules say of a player, and the one that makes them possible."""
    overrides = ["+exp=player", f"agent._target_=tests.runners.check.players.{player}", *([ALONE] if alone else [])]
    cfg = small(compose(overrides), overrides, folder / "runs")
    subject = Agents(played_alone(cfg, overrides) if alone else cfg, overrides, folder, not alone)
    chosen = [rule for rule in AGENT if rule.name in ("runs", *names)]
    with Progress(len(chosen), "test", console=Console(quiet=True)) as progress:
        return {one.check: one for one in asked("agent", chosen, subject, progress)}


def test_one_that_keeps_all_promises_holds_and_leaves_nothing(tmp_path):
    findings = checked("Player")
    assert [(one.check, one.state, one.said) for one in findings if one.state is not State.HELD] == []
    assert {path.name for path in tmp_path.iterdir()} == {"conf", "cache"}
    assert not list((tmp_path / "cache").rglob("*.pt"))


BROKEN = {
    "Broken": {"runs": "the run failed: RuntimeError: no gradient"},
    "Forgetful": {
        "kill and resume": r"killed after iteration 1 and resumed gave another \w+ \(",
        "state": r"Forgetful.learn gave another \w+ \(",
    },
    "Wavering": {"deterministic": "Wavering.act asked for the most likely action, decided otherwise"},
    "Own": {"sampled": "Own.act drew otherwise from generators seeded alike"},
    "Crowded": {"batch": "Crowded.act decided otherwise for the same observation beside others"},
    "Peeping": {"observations alone": "Peeping.act decided . while the environment was there and 2"},
    "Grabbing": {"observations alone": "Grabbing.act changed 'vector' of an observation"},
}


@pytest.mark.parametrize("player", BROKEN)
def test_what_an_agent_breaks_is_named(tmp_path, player):
    findings = found(tmp_path, player, *BROKEN[player])
    for rule, said in BROKEN[player].items():
        assert findings[rule].state is State.BROKEN
        assert re.search(said, findings[rule].said), findings[rule].said
    assert not held(list(findings.values()))


def test_drawing_while_its_state_is_loaded_changes_nothing_that_a_resumed_run_draws(tmp_path):
    assert found(tmp_path, "Lazy", "kill and resume")["kill and resume"].state is State.HELD


def test_one_that_plays_alone_is_asked_for_its_episodes(tmp_path):
    findings = {one.check: one for one in checked("Plain", ALONE)}
    assert held(list(findings.values()))
    assert "2 episodes alike, 1 of them played again" in findings["kill and resume"].said
    assert findings["state"].state is State.OPEN
    numbered = found(tmp_path, "Numbered", "kill and resume", alone=True)["kill and resume"]
    assert "killed in its middle and resumed gave another" in numbered.said


def test_a_room_without_seeds_says_nothing_of_an_agent():
    findings = check(["+exp=player", "env._target_=tests.runners.check.rooms.Drawing"], episodes=3)
    assert {one.state for one in findings if one.part == "agent"} == {State.OPEN}


def test_a_model_made_from_demonstrations_is_not_asked_without_them():
    findings = check(["+exp=player", "agent=zero_shot", "model=tiny"], only="agent")
    assert {one.state for one in findings} == {State.OPEN}
    assert "this model is made from demonstrations" in findings[0].said


@pytest.mark.parametrize(
    ("overrides", "only", "said"),
    [
        ([], None, "choose env=NAME"),
        (["env=numberline"], "agent", "choose agent=NAME"),
        (["env=numberline"], "both", "--only is 'both'"),
        (["+exp=player", "env._target_=tests.runners.check.rooms.Gone"], None, "no server at 127.0.0.1:9; start it"),
        (["+exp=player", "requires=[chromium:7]"], None, "requires 'chromium:7'|requires chromium:7"),
        (["+exp=coso_numberline", "trainer=ddp"], None, "one process; use trainer=cpu"),
    ],
)
def test_bad_input_is_refused(overrides, only, said):
    with pytest.raises(UserError, match=said):
        check(overrides, only=only)

"""Completion through the protocol a real bash speaks: its own word splitting, Typer's script, COMPREPLY."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from agentlab_runner.runners.completion import complete
from agentlab_runner.runners.run.folder import Run

CONF = str(Path(__file__).parent / "conf")


@pytest.fixture
def tab(cli_env, tmp_path):
    """What bash would offer at the end of a command line, after sourcing the script that it installs."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin/agentlab"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m agentlab_runner.runners "$@"\n')
    program.chmod(0o755)
    env = cli_env | {"AGENTLAB_CONF": CONF, "PATH": f"{tmp_path / 'bin'}:{cli_env['PATH']}"}
    show = [sys.executable, "-m", "agentlab_runner.runners"]
    source = env | {"_AGENTLAB_COMPLETE": "source_bash"}
    script = subprocess.run(show, cwd=tmp_path, env=source, capture_output=True, text=True, check=True).stdout

    def press(*words: str) -> list[str]:
        """`words` are split as bash splits them: `=` is a word of its own."""
        quoted = " ".join(f"'{word}'" for word in ("agentlab", *words))
        run = (
            f"{script}\nCOMP_WORDS=({quoted}); COMP_CWORD={len(words)}; $(complete -p agentlab | sed 's/.*-F //')"
            ' agentlab; printf "%s\\n" "${COMPREPLY[@]}"'
        )
        done = subprocess.run(["bash", "-c", run], cwd=tmp_path, env=env, capture_output=True, text=True, check=True)
        return done.stdout.split()

    return press


def test_verbs_experiments_and_choices(tab):
    assert tab("tr") == ["train"]
    assert tab("train", "+exp", "=", "cou") == ["counting"]
    assert set(tab("train", "+exp", "=")) >= {"counting", "greedy"}
    assert tab("train", "+exp", "=", "counting", "agent", "=", "o") == ["open"]
    assert set(tab("train", "logg")) >= {"logger=none", "logger=wandb"}


def test_groups_claims_and_launchers(tab):
    assert tab("list", "ag") == ["agents"]
    assert tab("list", "exper") == ["experiments"]
    assert tab("claim", "stee") == ["steeper"]
    assert tab("claim", "steeper", "claim.see") == ["claim.seeds="]
    for verb in (["sweep"], ["claim", "steeper"]):
        assert {"basic", "submitit"} <= set(tab(*verb, "hydra/launcher", "="))
        assert "hydra/sweeper=basic" in tab(*verb, "hydra/sw")
    assert tab("train", "hydra/l") == []


def test_keys_and_values_of_the_chosen_experiment(tab):
    assert tab("train", "+exp", "=", "counting", "agent.sc") == ["agent.scm.mode=exact", "agent.scm.mode=paper"]
    assert tab("train", "+exp", "=", "counting", "agent.entropy", "=", "u") == ["uniform"]


@pytest.fixture
def own_conf(monkeypatch, tmp_path):
    monkeypatch.setenv("AGENTLAB_CONF", CONF)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("given", "incomplete", "offered"),
    [
        (["+exp=counting"], "rollout_", ["rollout_size=16"]),
        (["+exp=counting"], "fail", ["fail_at=null"]),
        (["+exp=counting"], "agent.greedy=", ["agent.greedy=true", "agent.greedy=false"]),
        (["+exp=counting"], "agent.window", ["agent.window=auto"]),
        (["+exp=counting"], "~agent.g", ["~agent.gamma", "~agent.greedy"]),
        (["+exp=counting", "agent=open"], "agent.lr", ["agent.lr="]),
        (["+exp=counting"], "++agent.gam", ["++agent.gamma=0.5"]),
        ([], "exp=cou", ["exp=counting"]),
        (["+exp=nothing"], "rollout_", []),
    ],
)
def test_candidates(own_conf, given, incomplete, offered):
    found = complete("train", given, incomplete)
    assert [candidate for candidate in found if "coso" not in candidate] == offered


def test_only_verbs_that_take_a_run_offer_runs(own_conf, tmp_path):
    Run.create({"total_iterations": 9}, tmp_path, [], path=tmp_path / "runs/a")
    assert complete("eval", [], "run=") == ["run=latest", "run=runs/a"]
    assert complete("resume", [], "checkp") == ["checkpoint=last", "checkpoint=best"]
    assert complete("eval", ["run=runs/a"], "tot") == ["total_iterations=9"]
    assert complete("train", [], "run=") == []


def test_completion_imports_nothing_heavy(own_conf):
    code = (
        "import sys; from agentlab_runner.runners.completion import complete;"
        "complete('train', ['+exp=counting'], 'agent.l');"
        "print(sorted({'torch', 'transformers', 'wandb', 'matplotlib'} & set(sys.modules)))"
    )
    env = os.environ | {"PYTHONPATH": ":".join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, check=True).stdout == b"[]\n"

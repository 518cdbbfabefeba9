"""A user's own modules: found by every process of a run, and in nobody's way."""

import shlex
import subprocess

import pytest

from tests.conftest import away
from tests.recipes import write_recipes

NAMES = ("gymnasium", "omegaconf", "random", "sitecustomize", "torch", "yaml")
SHORT = "+exp=echo_bandit logger=none total_iterations=1 rollout_size=4 eval.every=1 eval.episodes=4"


@pytest.fixture
def project(tmp_path):
    """The recipes of the docs, and beside them files that bear the names of others'."""
    folder = tmp_path / "project"
    write_recipes(folder)
    for name in NAMES:
        (folder / f"{name}.py").write_text(f"raise RuntimeError('{name} is the wrong one')\n")
    return folder


@pytest.fixture
def agentlab(installed):
    def run(line, cwd):
        command = [installed / "agentlab", *shlex.split(line)]
        done = subprocess.run(command, cwd=cwd, env=away(), capture_output=True, text=True)
        logs = "".join(log.read_text() for log in cwd.glob("sweeps/*/jobs/*/log.txt"))
        assert "the wrong one" not in done.stdout + done.stderr + logs
        return done

    return run


@pytest.mark.parametrize("line", [
    f"train {SHORT}",
    pytest.param(f"sweep {SHORT} seed=0,1", marks=pytest.mark.slow),
    pytest.param(f"sweep {SHORT} seed=0,1 hydra/launcher=joblib", marks=pytest.mark.slow),
    pytest.param(f"sweep {SHORT} seed=0,1 hydra/launcher=submitit_local", marks=pytest.mark.slow),
    pytest.param(f"train {SHORT} trainer=ddp trainer.device=cpu trainer.processes=2", marks=pytest.mark.slow),
    pytest.param(f"train {SHORT} rollout=ray", marks=pytest.mark.slow),
])  # fmt: skip
def test_every_process_finds_them_behind_all_others(project, agentlab, line):
    done = agentlab(line, project)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("line", [
    pytest.param(f"train {SHORT}", marks=pytest.mark.slow),
    f"sweep {SHORT} seed=0,1",
    pytest.param(f"train {SHORT} rollout=ray", marks=pytest.mark.slow),
])  # fmt: skip
def test_they_are_found_beside_a_conf_dir_from_anywhere(project, agentlab, tmp_path, line):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    done = agentlab(f"{line} --conf-dir ../project/conf", elsewhere)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_folder_without_a_conf_is_not_searched(project, agentlab):
    (project / "conf").rename(project / "configs")
    done = agentlab("show +exp=coso_numberline agent._schema_=bandit.settings.BanditSettings --resolve", project)
    assert done.returncode == 2
    assert "'bandit.settings.BanditSettings', which cannot be imported" in done.stderr

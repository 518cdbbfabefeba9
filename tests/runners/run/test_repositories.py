"""What is recorded of the user's code, and of whoever's repository they stand in without harm."""

import json
import os
import shutil
import subprocess
import sys
import time

import pytest

from agentlab_runner.runners.run import repositories
from agentlab_runner.runners.run.repositories import record
from tests.conftest import ROOT

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")


def git(folder, *words):
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    done = subprocess.run(["git", "-C", folder, *who, *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A user's repository with one commit, in which they stand; ignored by none of our settings."""
    monkeypatch.delenv("AGENTLAB_CONF", raising=False)
    folder = tmp_path / "mine"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "agent.py").write_text("lr = 1\n")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "first")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "runs" / "one"
    folder.mkdir(parents=True)
    return folder


def test_a_clean_repository_is_its_commit(repository, run):
    [mine] = record(run, {})["repositories"]
    commit = git(repository, "rev-parse", "HEAD")
    assert mine == {"path": str(repository), "commit": commit, "dirty": False, "diff": None, "fault": None}
    assert not list(run.glob("code/mine*"))


def test_changes_are_kept_and_untracked_files_named(repository, run):
    (repository / "agent.py").write_text("lr = 2\n")
    (repository / "token.txt").write_text("a secret")
    [mine] = record(run, {})["repositories"]
    assert (mine["dirty"], mine["diff"]) == (True, "code/mine.diff")
    text = (run / mine["diff"]).read_text()
    assert "-lr = 1\n+lr = 2\n" in text
    assert "# ?? token.txt\n" in text
    assert "a secret" not in text
    git(repository, "checkout", "-q", "agent.py")
    git(repository, "apply", run / mine["diff"])
    assert (repository / "agent.py").read_text() == "lr = 2\n"


def test_runs_beside_the_code_do_not_make_it_dirty(repository):
    run = repository / "runs" / "one"
    run.mkdir(parents=True)
    (run / "config.yaml").touch()
    assert record(run, {})["repositories"][0]["dirty"] is False


def test_a_large_diff_is_cut(repository, run, monkeypatch):
    monkeypatch.setattr(repositories, "LIMIT", 10_000)
    (repository / "agent.py").write_text("x = 0\n" * 100_000)
    [mine] = record(run, {})["repositories"]
    text = (run / mine["diff"]).read_text()
    assert "# cut after 10000 bytes\n" in text
    assert len(text) < 10_500


def test_conf_folders_and_modules_from_elsewhere_count(repository, run, tmp_path, monkeypatch):
    for name in ("configs", "library"):
        (tmp_path / name / "inside").mkdir(parents=True)
        git(tmp_path / name, "init", "-q")
    (tmp_path / "library" / "inside" / "plugin_of_mine.py").touch()
    monkeypatch.syspath_prepend(tmp_path / "library" / "inside")
    monkeypatch.setenv("AGENTLAB_CONF", str(tmp_path / "configs" / "inside"))
    config = {"list": [{"_target_": "plugin_of_mine.A"}], "env": {"_target_": "gone.B"}, "x": {"_target_": "abc.C"}}
    found = {repo["path"]: repo["commit"] for repo in record(run, config)["repositories"]}
    assert found.keys() == {str(repository), str(tmp_path / "configs"), str(tmp_path / "library")}
    assert found[str(tmp_path / "library")] is None
    assert "plugin_of_mine" not in sys.modules


def test_agentlabs_own_checkout_is_recorded_once(run, monkeypatch):
    monkeypatch.chdir(ROOT / "docs")
    code = record(run, {})
    assert code["repositories"] == []
    assert code["git"]["commit"] == git(ROOT, "rev-parse", "HEAD")
    assert code["git"]["dirty"] is (code["git"]["diff"] is not None)


def test_no_repository_and_a_bare_one_are_nothing(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert record(run, {})["repositories"] == []
    git(tmp_path, "init", "-q", "--bare", "bare.git")
    monkeypatch.chdir(tmp_path / "bare.git")
    assert record(run, {})["repositories"] == []


def test_without_git_nothing_is_said(repository, run, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    assert record(run, {}) == {"git": {"commit": None, "dirty": None, "diff": None}, "repositories": []}


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away")
def test_a_repository_that_git_refuses_is_named_with_the_reason(repository, run):
    (repository / "conf").mkdir()
    for path in (repository, repository / ".git"):
        os.chown(path, 12345, 12345)
    [mine] = record(run, {})["repositories"]
    assert mine["path"] == str(repository)
    assert "dubious ownership" in mine["fault"]
    assert mine["commit"] is None


def test_a_slow_git_is_not_waited_for(repository, run, tmp_path, monkeypatch):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "git").write_text("#!/bin/sh\nexec sleep 60\n")
    (tmp_path / "bin" / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setattr(repositories, "PATIENCE", 0.2)
    began = time.monotonic()
    [mine] = record(run, {})["repositories"]
    assert "no answer within" in mine["fault"]
    assert time.monotonic() - began < 30


def test_nothing_that_a_repository_names_is_run(repository, run, tmp_path):
    """As a downloaded folder may hold a .git that somebody else has set up."""
    hit = tmp_path / "hit"
    trap = f"sh -c 'touch {hit}; cat'"
    (repository / ".git" / "hooks" / "post-index-change").write_text(f"#!/bin/sh\ntouch {hit}\n")
    (repository / ".git" / "hooks" / "post-index-change").chmod(0o755)
    (repository / ".gitattributes").write_text("*.py filter=trap diff=trap\n*.md diff=trap\n")
    (repository / "page.md").write_text("one\n")
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "second")
    for key in ("core.fsmonitor", "filter.trap.clean", "filter.trap.process", "diff.trap.textconv", "diff.trap.command",
                "diff.external"):
        git(repository, "config", key, trap)
    git(repository, "config", "filter.trap.required", "true")
    (repository / "agent.py").write_text("in plain words here, in secret there\n")
    (repository / "page.md").write_text("two\n")
    hit.unlink(missing_ok=True)
    [mine] = record(run, {})["repositories"]
    assert not hit.exists()
    text = (run / mine["diff"]).read_text()
    assert "+two" in text
    assert "# left out: files that git stores otherwise than they lie here (trap)" in text
    assert "in plain words" not in text


def test_a_submodule_counts_by_its_commit(repository, run, tmp_path):
    git(tmp_path, "clone", "-q", repository, "part")
    git(repository, "-c", "protocol.file.allow=always", "submodule", "add", "-q", tmp_path / "part", "part")
    git(repository, "commit", "-qm", "with a part")
    (repository / "part" / "agent.py").write_text("lr = 3\n")
    assert record(run, {})["repositories"][0]["dirty"] is False
    git(repository / "part", "commit", "-qam", "on")
    [mine] = record(run, {})["repositories"]
    assert "Subproject commit" in (run / mine["diff"]).read_text()


def test_the_manifest_of_a_run_has_it(repository, cli_env):
    (repository / "agent.py").write_text("lr = 5\n")
    command = [sys.executable, "-m", "agentlab_runner.runners", "train", "+exp=counting"]
    env = cli_env | {"AGENTLAB_CONF": str(ROOT / "tests" / "runners" / "conf")}
    subprocess.run(command, cwd=repository, env=env, check=True, capture_output=True)
    [run] = (repository / "runs").iterdir()
    manifest = json.loads((run / "manifest.json").read_text())
    assert [repo["path"] for repo in manifest["repositories"]] == [str(repository)]
    assert "+lr = 5" in (run / manifest["repositories"][0]["diff"]).read_text()

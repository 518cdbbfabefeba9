"""The recipes of docs/ run as they stand: their files are written into a copy of the project, their commands run."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
RECIPES = ("adding_an_env.md", "adding_an_agent.md")
BLOCK = re.compile(r"^```(\w+)[ ]?(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: str) -> list[tuple[str, str, str]]:
    """(language, file name or "", content) of every fenced block."""
    return BLOCK.findall((ROOT / "docs" / page).read_text("utf-8"))


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A copy of the rooms with the recipes' files in place."""
    copy = tmp_path_factory.mktemp("project")
    for room in ("runners", "agents", "envs", "conf"):
        shutil.copytree(ROOT / room, copy / room, ignore=shutil.ignore_patterns("__pycache__"))
    for page in RECIPES:
        for _, name, content in blocks(page):
            if name:
                file = copy / name
                assert not file.exists(), f"{page} would overwrite {name}"
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(content)
    return copy


def run(project: Path, *command: str) -> str:
    env = os.environ | {"PYTHONPATH": str(project), "AGENTLAB_CACHE": str(project / "cache")}
    done = subprocess.run([sys.executable, "-m", *command], cwd=project, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_recipe_commands_train_an_agent_that_learns(project):
    commands = [line for _, name, text in blocks("adding_an_agent.md") if not name for line in text.splitlines()]
    assert len(commands) == 2
    for command in commands:
        program, *arguments = command.split()
        assert program == "agentlab"
        run(project, "runners", *arguments)
    [finished] = (project / "runs").iterdir()
    before, after = (json.loads((finished / "eval" / f"iteration_{n}.json").read_text())["success"] for n in (0, 10))
    assert after > 0.95 >= before + 0.1
    assert len(list((finished / "eval").glob("checkpoint_*.json"))) == 1


def test_recipe_tests_pass(project):
    assert "4 passed" in run(project, "pytest", "-q", "-p", "no:cacheprovider", "tests")


@pytest.mark.parametrize("page", sorted(path.name for path in (ROOT / "docs").glob("*.md")))
def test_links_between_pages_lead_somewhere(page):
    text = (ROOT / "docs" / page).read_text("utf-8")
    targets = [target for target in re.findall(r"\]\(([^)#]+)", text) if "://" not in target]
    assert [target for target in targets if not (ROOT / "docs" / target).exists()] == []

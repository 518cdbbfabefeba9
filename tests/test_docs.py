"""The recipes of docs/ followed to the letter: in an empty folder, with the installed package."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.conftest import away
from tests.recipes import PAGES, blocks, write_recipes

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """What was an empty folder, after the recipes."""
    folder = tmp_path_factory.mktemp("project")
    write_recipes(folder)
    return folder


@pytest.fixture
def run(project, installed):
    """Type a command in the project, where the programs of the virtual environment are found first."""

    def typed(command: str) -> str:
        env = away() | {"AGENTLAB_CACHE": str(project / "cache")}
        env["PATH"] = f"{installed}:{env['PATH']}"
        done = subprocess.run(["sh", "-c", command], cwd=project, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return typed


def test_recipe_commands_train_an_agent_that_learns_and_pass_its_tests(project, run):
    unnamed = [text for page in PAGES for _, name, text in blocks(page) if not name]
    commands = [line for text in unnamed for line in text.splitlines()]
    assert [" ".join(command.split()[:2]) for command in commands] == [
        "agentlab check", "agentlab check", "agentlab check", "agentlab train", "agentlab eval", "python -m",
    ]  # fmt: skip
    said = [run(command) for command in commands]
    [finished] = (project / "runs").iterdir()
    before, after = (json.loads((finished / "eval" / f"iteration_{n}.json").read_text())["success"] for n in (0, 10))
    assert after > 0.95 >= before + 0.1
    assert len(list((finished / "eval").glob("checkpoint_*.json"))) == 1
    assert "6 passed" in said[-1]


REFUSALS = {
    "agent.num_actions has no value": "env=doors agent=vector_ppo model=null",
    "there is no module 'gates'": "env=doors env._target_=gates.DoorsEnv agent=random_phrase model=null",
    "this model is made from demonstrations": "env=doors agent=zero_shot model=tiny",
    "this agent chooses among phrases, and the observation lists none": "env=echo agent=random_phrase model=null",
}
SMALL = "agentlab train total_iterations=1 rollout_size=4 eval.episodes=4 eval.record=0"


@pytest.mark.parametrize(("said", "arguments"), REFUSALS.items())
def test_an_environment_of_phrases_meets_the_refusals_its_recipe_names(run, said, arguments):
    assert said.replace("gates", "doors") in (ROOT / "docs" / "adding_an_env.md").read_text("utf-8")
    with pytest.raises(AssertionError, match=said):
        run(f"{SMALL} {arguments}")


def test_an_environment_of_phrases_is_learnt_on(run):
    assert "eval/task/doors" in run(f"{SMALL} env=doors agent=vector_ppo agent.num_actions=3 model=null")


@pytest.mark.parametrize("page", sorted(path.name for path in (ROOT / "docs").glob("*.md")))
def test_links_between_pages_lead_somewhere(page):
    text = (ROOT / "docs" / page).read_text("utf-8")
    targets = [target for target in re.findall(r"\]\(([^)#]+)", text) if "://" not in target]
    assert [target for target in targets if not (ROOT / "docs" / target).exists()] == []

"""Synapse on web pages, driven by command lines as a user gives them, in a real browser."""

import json

import pytest

from tests.conftest import agentlab, environment

SMALL = (
    "logger=none", "env.num_envs=2", "env.image=false", "env.tasks=[click-button,login-user]", "eval.seeds=4",
    "warm_start.episodes=12", "agent.memory.embedder._target_=agentlab_runner.agents.memory.embedders.Hashed",
    "agent.memory.embedder._schema_=agentlab_runner.agents.memory.settings.HashedSettings",
)  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("synapse")


def lab(home, *args, env=None):
    done = agentlab(*args, cwd=home, env=env or environment(), timeout=600)
    assert done.exit_code == 0, done.stderr
    return home / next(line for line in done.stdout.splitlines() if line.startswith("run: ")).removeprefix("run: ")


def success(run):
    return json.loads((run / "eval" / "evaluation.json").read_text())["success"]


@pytest.fixture(scope="module")
def first(home):
    return lab(home, "train", "+exp=synapse_miniwob", *SMALL)


def test_exemplars_are_looked_up_and_carried_over(first):
    assert success(first) >= 0.75
    shown = json.loads((first / "memory" / "exemplars.json").read_text())
    assert sorted(shown) == ["click-button", "login-user"]
    summary = json.loads((first / "eval" / "evaluation.json").read_text())
    assert [line["task"] for line in summary["played"]] == ["click-button"] * 4 + ["login-user"] * 4
    episode = json.loads((first / "episodes" / "evaluation" / "000" / "episode.json").read_text())
    record = episode["steps"][0]["record"]
    assert record["exemplars_of"] == "click-button"
    assert "agent.click_xpath" in record["program"]
    assert episode["steps"][0]["outcomes"][0]["fault"] == ""


def test_without_its_memory_it_is_at_the_level_without_exemplars(home):
    none = lab(home, "eval", "+exp=synapse_miniwob", *SMALL, "agent.exemplars=none", "eval.seeds=2")
    assert success(none) == 0


def test_a_memory_serves_another_run_where_nobody_demonstrates(home, first, tmp_path):
    """Nothing that evaluates imports the demonstrators: here they are gone."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "sys.modules['agentlab_runner.envs.miniwob.demonstrators'] = None\n"
        "sys.modules['agentlab_runner.envs.miniwob.experts'] = None\n"
    )
    env = environment()
    env["PYTHONPATH"] = f"{tmp_path}:{env['PYTHONPATH']}"
    run = lab(
        home, "eval", "+exp=synapse_miniwob", *SMALL, "warm_start=null", f"agent.memory.folder={first / 'memory'}",
        env=env,
    )  # fmt: skip
    assert success(run) == success(first)
    with pytest.raises(AssertionError, match="demonstrators"):
        lab(home, "eval", "+exp=synapse_miniwob", *SMALL, env=env)


def test_what_a_run_did_right_is_played_once_more_and_becomes_the_memory(home, first):
    """Pages for testing stay where they are tested."""
    again = agentlab(
        "eval", "+exp=synapse_miniwob", *SMALL, f"agent.memory.from_run={first}", cwd=home, env=environment()
    )
    assert again.exit_code == 2
    assert "is solved here; give some of this environment that it may show" in again.stderr
    tried = lab(
        home, "train", "env=miniwob", "agent=random_phrase", "env.action=phrases", "env.tasks=[click-button]",
        "env.horizon=2", "env.num_envs=2", "logger=none", "total_iterations=1", "rollout_size=24", "eval.episodes=2",
        "record_successes=3",
    )  # fmt: skip
    own = lab(
        home, "eval", "+exp=synapse_miniwob", *SMALL, f"agent.memory.from_run={tried}", "env.tasks=[click-button]",
    )  # fmt: skip
    (task,) = json.loads((own / "memory" / "exemplars.json").read_text()).items()
    assert task[0] == "click-button"
    assert all("agent.click_xpath" in demo["act"] and "click 1" not in demo["act"] for demo in task[1]["demo"])
    origins = json.loads((own / "memory" / "made_from.json").read_text())["click-button"]
    assert all(1_000 <= one["restart"]["page_seed"] < 50_000 for one in origins)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["warm_start.env.split=test"], "the demonstrator plays no pages for testing"),
        (["warm_start.env.tasks=[click-pie]"], "nobody demonstrates 'click-pie'"),
        (["agent.exemplars=task", "+warm_start.env.tasks=[click-link]"], "there is no exemplar of click-button"),
        (["agent.decoder=held"], "an agent that prompts needs a model"),
    ],
)
def test_what_cannot_be_is_told_in_one_sentence(home, overrides, said):
    asked = [one if one.startswith("+") or "tasks" not in one else f"+{one}" for one in overrides]
    done = agentlab("eval", "+exp=synapse_miniwob", *SMALL, *asked, cwd=home, env=environment())
    assert done.exit_code == 2, done.stderr
    assert said in done.stderr

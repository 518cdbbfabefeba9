"""The experiments over phrases, driven by command lines as a user gives them, with a tiny language model."""

import json
import sys
from collections.abc import Callable
from functools import partial

import pytest

from agentlab_runner.agents.twosome.__main__ import main
from tests.agents.causal_models import causal, tokenizer
from tests.conftest import environment
from tests.integration.conftest import invoke, lines

SLOW = pytest.mark.slow
TASKS = ("tomato_salad", "tomato_lettuce", "food_preparation", "entertainment")
SMALL = (
    "logger=none",
    "requires=[]",
    "total_iterations=2",
    "rollout_size=2",
    "env.num_envs=2",
    "env.horizon=15",
    "agent.batch_size=8",
    "eval.episodes=2",
    "eval.record=1",
    "checkpoint.every=1",
)


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> str:
    folder, words = tmp_path_factory.mktemp("weights"), tokenizer()
    words.save_pretrained(folder)
    causal("llama", words).save_pretrained(folder)
    return f"model.name={folder}"


@pytest.fixture
def lab(tmp_path, monkeypatch) -> Callable:
    """`agentlab ARGS` in an empty folder, in this process."""
    monkeypatch.chdir(tmp_path)
    return partial(invoke, env=environment())


@pytest.mark.parametrize("task", [TASKS[0], TASKS[2], *(pytest.param(TASKS[i], marks=SLOW) for i in (1, 3))])
@pytest.mark.parametrize(
    ("method", "logged"),
    [("twosome", "losses/value_loss"), ("ppo", "losses/policy_loss"), ("saycan", "losses/affordance")],
)
def test_every_experiment_and_its_siblings_run(lab, tmp_path, weights, method, task, logged):
    lab("train", f"+exp={method}_{task}", *SMALL, *([] if method == "ppo" else [weights]))
    last = lines(tmp_path)[-1]
    assert {"eval/success", "eval/return", "eval/return_std", "train/env_steps", logged} <= last.keys()


def test_a_run_cut_in_two_gives_the_numbers_of_a_whole_one(lab, tmp_path, weights, monkeypatch):
    overrides = ("train", "+exp=twosome_tomato_salad", *SMALL, weights)
    lab(*overrides)
    whole = lines(tmp_path)
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    lab(*overrides, "total_iterations=1")
    lab("resume", "run=latest", "total_iterations=2")
    assert lines(tmp_path / "other")[-1] == whole[-1]


def test_what_was_learnt_is_exported_on_another_device(lab, tmp_path, weights, monkeypatch):
    """A run of `trainer=gpu` is read where there is no GPU by saying trainer=cpu."""
    lab("train", "+exp=twosome_tomato_salad", *SMALL, weights, "total_iterations=1")
    given = ["export", "run=latest", "trainer=cpu", "--to", str(tmp_path / "adapters")]
    monkeypatch.setattr(sys, "argv", ["twosome", *given])
    main()
    assert (tmp_path / "adapters" / "adapter_model.safetensors").is_file()


def test_a_policy_is_evaluated_on_tasks_it_never_saw(lab, tmp_path, weights):
    lab("train", "+exp=twosome_food_preparation", *SMALL, weights)
    said = lab("eval", "run=latest", "eval.env.task=[pizza,laundry]", "eval.episodes=4").output
    assert "eval/return_std" in said
    (file,) = tmp_path.glob("runs/*/eval/checkpoint_2.json")
    kept = json.loads(file.read_text())
    assert {name: rates["episodes"] for name, rates in kept["tasks"].items()} == {"pizza": 2, "laundry": 2}
    assert "unknown task 'soup'" in lab("eval", "run=latest", "eval.env.task=[pizza,soup]", code=2).output


def test_a_misspelt_task_is_refused_with_what_there_is(lab):
    said = lab("train", "+exp=twosome_food_preparation", "env.task=piza", code=2).stderr
    assert "'washing_plate' or 'laundry' or a list; did you mean pizza?" in said


@SLOW
def test_a_sweep_over_normalisation_and_seeds_is_one_table(lab, tmp_path, weights):
    lab("sweep", "+exp=twosome_tomato_salad", *SMALL, weights, "agent.normalisation=sum,token,word", "seed=0,1")
    (table,) = tmp_path.glob("sweeps/*/table.md")
    assert all(f"| {mode} | 2 |" in table.read_text() for mode in ("sum", "token", "word"))

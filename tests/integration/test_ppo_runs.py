"""The card and household experiments, driven by command lines as a user gives them, at a size of seconds."""

from functools import partial

import pytest

from agentlab_runner.agents.llm import tiny
from tests.agents import causal_models
from tests.conftest import environment
from tests.integration.conftest import invoke, lines

SMALL = (
    "logger=none",
    "total_iterations=2",
    "rollout_size=4",
    "env.num_envs=2",
    "eval.every=2",
    "eval.episodes=2",
    "eval.record=1",
    "checkpoint.every=1",
    "warm_start.episodes=12",
    "agent.imitation.steps=8",
    "model.max_new_tokens=12",
    "model.make.image_size=32",
    "model.make.width=32",
    "model.make.layers=1",
)


@pytest.fixture
def lab(tmp_path, monkeypatch, tmp_path_factory):
    """`agentlab ARGS` in an empty folder, in this process; warm starts are shared by the session."""
    monkeypatch.chdir(tmp_path)
    env = environment() | {"AGENTLAB_CACHE": str(tmp_path_factory.getbasetemp() / "cards-cache")}
    return partial(invoke, env=env)


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    "exp",
    [
        "numberline",
        "alfworld",
        pytest.param("ezpoints", marks=SLOW),
        pytest.param("points24", marks=SLOW),
        pytest.param("blackjack", marks=SLOW),
    ],
)
def test_every_experiment_runs(lab, tmp_path, exp):
    horizon = ("env.horizon=3",) if exp == "alfworld" else ()
    lab("train", f"+exp=coso_{exp}", *SMALL, *horizon)
    last = lines(tmp_path)[-1]
    assert {"eval/success", "ppo/entropy_weighted", "causal/mean_b", "rollout/parse_fail_rate"} <= last.keys()
    assert "eval/success" in lab("eval", "run=latest", "checkpoint=last", "eval.episodes=1").output


def test_a_run_cut_in_two_gives_the_numbers_of_a_whole_one(lab, tmp_path, monkeypatch):
    lab("train", "+exp=coso_numberline", *SMALL)
    whole = lines(tmp_path)
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    lab("train", "+exp=coso_numberline", *SMALL, "total_iterations=1")
    lab("resume", "run=latest", "total_iterations=2")
    resumed = lines(tmp_path / "other")
    assert resumed[-1]["step"] == 2
    assert resumed[-1] == whole[-1]


@pytest.mark.parametrize("entropy", [pytest.param("none", marks=SLOW), pytest.param("uniform", marks=SLOW), "causal"])
def test_the_phones_learner_plays_cards_with_every_entropy(lab, tmp_path, entropy):
    small = ("agent.actor_steps=1", "agent.critic_steps=1", "agent.instruction_critic_steps=1")
    lab(
        "train", "+exp=coso_numberline", "agent=coso", f"agent.entropy={entropy}", *SMALL, *small,
        "agent.scm.pretrain_rounds=2", "agent.batch_size=4",
    )  # fmt: skip
    assert ("actor/entropy_weighted" in lines(tmp_path)[-1]) == (entropy != "none")


def test_groups_begin_in_one_state(lab, tmp_path):
    lab("train", "+exp=coso_numberline", *SMALL, "agent.advantage=gigpo", "group_size=2")
    assert "ppo/value_loss" not in lines(tmp_path)[-1]


@pytest.mark.parametrize("observation", ["image", "text"])
def test_a_loaded_model_takes_the_place_of_the_one_that_is_made(lab, tmp_path, observation):
    """The sizes the experiment has for the tiny model stay in the config and concern it alone."""
    if observation == "image":
        tiny.create(tmp_path / "hub", ["Go."], image_size=32, width=32, layers=1, heads=2)
        model = ("model=smolvlm",)
    else:
        words = causal_models.tokenizer()
        causal_models.causal("llama", words).save_pretrained(tmp_path / "hub")
        words.save_pretrained(tmp_path / "hub")
        model = ("model=smollm2",)
    model = (*model, "model.name=hub", "model.dtype=float32", f"env.observation={observation}")
    lab("train", "+exp=coso_numberline", *SMALL, *model)
    assert {"eval/success", "ppo/entropy_weighted"} <= lines(tmp_path)[-1].keys()
    assert "eval/success" in lab("eval", "run=latest", "eval.episodes=1").output


def test_a_hub_out_of_reach_is_named_and_so_is_a_model_that_cannot_see_what_is_shown(lab, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    said = lab("train", "+exp=coso_numberline", *SMALL, "model=smolvlm", "model.name=nobody/vlm", code=2).output
    assert "the hub repository nobody/vlm cannot be reached" in said
    said = lab("train", "+exp=coso_numberline", *SMALL, "env.observation=text", code=2).output
    assert "the observations hold no image; set env.observation=both" in said


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("agent.advantage=grpo", "set the run's group_size to 2 or more"),
        ("group_size=3", "must be a multiple of group_size 3"),
        ("agent.alpha=-1", "agent.alpha is -1, but must be at least 0"),
        ("agent.scm.window=0", "agent.scm.window is 0, but must be"),
        ("agent.thought_coef=2", "agent.thought_coef is 2, but must be at least 0 and at most 1"),
        ("agent.gamma_=1", "conf has no key 'agent.gamma_'; did you mean 'agent.gamma'?"),
    ],
)
def test_a_wrong_value_is_told_before_anything_is_loaded(lab, override, sentence):
    assert sentence in lab("train", "+exp=coso_numberline", *SMALL, override, code=2).output

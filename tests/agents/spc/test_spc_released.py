"""Settings files of the released code become overrides, all that is left out is named, and bad ones are refused."""

import logging

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from agentlab_runner.agents.spc import released
from agentlab_runner.runners.errors import UserError

CORNER = """
corner-hrl-comm:
  run: PPO-hrl-curriculum
  checkpoint_freq: 200
  local_dir: ray_results
  stop: {timesteps_total: 5000000}
  config:
    seed: 18105
    framework: torch
    teacher_config:
      name: bandit
      num_contexts: 3
      gamma: 0.3
      num_agents: [1, 3, 5]
      min_rew: -1
      max_rew: 1
      update_interval: 20
    env: gfootball_curriculum_hrl_com
    env_config:
      representation: simple115v2
      max_num_agents: 5
      hrl_config: {context_size: 6, context_type: discrete, high_level_interval: 10}
    num_workers: 32
    evaluation_interval: 5
    evaluation_duration: 20
    evaluation_duration_unit: episodes
    high_level_policy_config:
      model:
        custom_model: invariant_att_com_model
        custom_model_config: {encoder_hidden_layers: [256, 256], num_heads: 8, head_dim: 64}
"""
VACL = """
a:
  run: PPO-curriculum
  config:
    teacher_config: {name: vacl, solved_prop: 0.1, Rmin: 0.4, Rmax: 0.9, buffer_length: 500, num_initial_tasks: 100,
                     reproduction_num: 15, epsilon: 0.2, delta: 0.3, h: 2.0, topk: 4, del_switch: random}
"""
ALP = """
a:
  run: PPO-curriculum
  config:
    teacher_config: {name: alp-gmm, fit_rate: 100, alp_window_size: 20, random_task_ratio: 0.3, gmm_fitness_func: aic,
                     nb_bootstrap: null, warm_start: false}
"""


@pytest.fixture
def settings(tmp_path):
    def write(text):
        (tmp_path / "theirs.yaml").write_text(text)
        return tmp_path / "theirs.yaml"

    return write


def parsed(overrides):
    return {one.key_or_group: one.value() for one in OverridesParser.create().parse_overrides(overrides)}


@pytest.fixture
def everything_installed(monkeypatch):
    monkeypatch.setattr(released, "choices", lambda group: {"hierarchy": None, "team_ppo": None, "ippo": None})


def test_the_teacher_the_student_and_the_course(settings, everything_installed, caplog):
    with caplog.at_level(logging.WARNING):
        found = parsed(released.convert(settings(CORNER), env="spread"))
    teacher = {key.removeprefix("curriculum."): value for key, value in found.items() if key.startswith("curriculum.")}
    assert found["curriculum"] == "exp3_context"
    assert teacher == {
        "num_contexts": 3, "alpha": 0.3, "min_score": -1, "max_score": 1, "score": "return", "every": 5,
        "target_episodes": 20, "context": "last", "stable_ids": False,
    }  # fmt: skip
    assert (found["agent"], found["rollout"], found["env"]) == ("hierarchy", "batched", "spread")
    assert (found["agent.skills"], found["agent.interval"]) == (6, 10)
    assert (found["agent.high.hidden"], found["agent.high.heads"], found["agent.high.head_dim"]) == (256, 8, 64)
    assert (found["seed"], found["total_env_steps"], found["total_iterations"]) == (18105, 5_000_000, 1250)
    assert (found["eval.every"], found["eval.episodes"], found["checkpoint.every"]) == (5, 20, 200)


def test_all_that_is_left_out_is_named(settings, everything_installed, caplog):
    with caplog.at_level(logging.WARNING):
        released.convert(settings(CORNER))
    told = caplog.text.partition("corresponds to it: ")[2]
    assert sorted(told.strip().split(", ")) == [
        "config.env", "config.env_config.max_num_agents", "config.env_config.representation",
        "config.teacher_config.num_agents", "config.teacher_config.update_interval",
    ]  # fmt: skip


def test_other_teachers(settings, everything_installed, caplog):
    vacl = parsed(released.convert(settings(VACL)))
    assert vacl["curriculum"] == "vacl"
    wanted = {"replay": 0.1, "active_above": 0.4, "solved_above": 0.9, "buffer": 500, "initial": 100,
              "reproduction": 15, "epsilon": 0.2, "delta": 0.3, "kernel": 2.0, "topk": 4}  # fmt: skip
    assert {key: vacl[f"curriculum.{key}"] for key in wanted} == wanted
    assert "del_switch" in caplog.text
    caplog.clear()
    alp = parsed(released.convert(settings(ALP)))
    wanted = {"fit_every": 100, "bootstrap": 100, "window": 20, "alpha": 0.3}
    assert {key: alp[f"curriculum.{key}"] for key in wanted} == wanted
    assert not caplog.text
    plain = parsed(released.convert(settings("a: {run: PPO, config: {seed: 3}}")))
    assert (plain["curriculum"], plain["agent"], plain["seed"]) == ("none", "ippo", 3)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- a list", "one experiment"),
        ("a: {config: {}}\nb: {config: {}}", "one experiment"),
        ("a: {run: PPO}", "one experiment"),
        ("key: [", "cannot be read"),
        ("!!python/object/apply:os.getcwd []", "cannot be read"),
        ("a: {run: DQN, config: {}}", "run: DQN"),
        ("a: {run: PPO-curriculum, config: {}}", "do not go together"),
        ("a: {run: PPO, config: {teacher_config: {name: uniform}}}", "do not go together"),
        ("a: {run: PPO-curriculum, config: {teacher_config: {name: bandid}}}", "did you mean bandit"),
    ],
)
def test_bad_files_are_refused_in_a_sentence(settings, text, said):
    with pytest.raises(UserError, match=said) as refused:
        released.convert(settings(text))
    assert "\n" not in str(refused.value)


def test_the_command_prints_what_to_run_and_refuses_with_two(cli, tmp_path):
    file = tmp_path / "theirs.yaml"
    file.write_text(CORNER.replace("min_rew: -1", "min_rew: 1"))
    refused = cli("import", "spc", str(file))
    assert refused.exit_code == 2
    assert "min_score 1 is not below max_score 1" in refused.stderr
    file.write_text(CORNER)
    done = cli("import", "spc", str(file))
    assert done.exit_code == 0
    assert "curriculum=exp3_context" in done.stdout
    assert "update_interval" in done.stderr

"""The loop every online agent shares: a run that stopped ends with the numbers of one that did not."""

import json
import os
import signal

import pytest
import torch
from omegaconf import OmegaConf

from agentlab_runner.runners import launch
from agentlab_runner.runners.errors import RunFailed, UserError
from agentlab_runner.runners.online.experiment import OnlineExperiment
from agentlab_runner.runners.online.warm_start import WarmStartCache
from agentlab_runner.runners.run.folder import Run
from agentlab_runner.runners.run.signals import Patience
from agentlab_runner.runners.types import Table
from tests.runners.toy import Gambler, Guess


def config(**changes):
    cfg = OmegaConf.create(
        {
            "seed": 5,
            "experiment": {"_target_": "agentlab_runner.runners.online.experiment.OnlineExperiment"},
            "agent": {"_target_": "tests.runners.toy.Gambler"},
            "env": {"_target_": "tests.runners.toy.Guess", "num_envs": 3, "split": "train"},
            "model": None,
            "trainer": {"_target_": "agentlab_runner.runners.processes.trainer.Trainer"},
            "logger": None,
            "warm_start": None,
            "offline": None,
            "total_iterations": 6,
            "total_env_steps": None,
            "rollout_size": 4,
            "group_size": 1,
            "eval": {
                "every": 2,
                "episodes": 5,
                "seed": 9,
                "deterministic": False,
                "record": 2,
                "env": {"split": "test"},
            },
            "checkpoint": {"every": 2, "keep": 3},
        }
    )
    for key, value in changes.items():
        OmegaConf.update(cfg, key, value)
    return cfg


def train(cfg, path):
    with Run.create(cfg, path.parent, ["test"], path=path) as run:
        OnlineExperiment(cfg).train(run)
    return run


def numbers(run):
    return [{k: v for k, v in line.items() if not k.startswith("time")} for line in run.metrics()]


class Distant(Guess):
    """Its held-out form is not to be reached; `open` counts the others."""

    open = 0

    def __init__(self, worker=0, split="train"):
        if split == "test":
            raise ConnectionError("the arcade is closed; open it")
        super().__init__(worker, split)
        Distant.open += 1

    def close(self):
        Distant.open -= 1


class Keeper(Gambler):
    """Keeps a file in the run's folder, a letter for each time that it is prepared."""

    def prepare(self, folder, report):
        with (folder / "kept").open("a") as file:
            file.write("x")
        return {}


def demonstrator():
    raise AssertionError("demonstrations before the environments are open")


@pytest.mark.parametrize("verb", ["train", "eval"])
def test_what_an_environment_refuses_is_told_before_demonstrations_and_leaves_nothing(tmp_path, monkeypatch, verb):
    here = "tests.runners.online.test_online"
    warm_start = {"episodes": 2, "demonstrator": {"_target_": f"{here}.demonstrator"}, "env": {}}
    changes = {"env._target_": f"{here}.Distant", "runs_dir": str(tmp_path), "requires": [], "warm_start": warm_start}
    cfg = config(**changes)
    monkeypatch.setattr(launch, "compose", lambda overrides: cfg)
    with pytest.raises(RunFailed, match=r"^the arcade is closed; open it$"):
        (launch.train if verb == "train" else launch.evaluate)(["+exp=far"])
    assert list(tmp_path.iterdir()) == []
    assert Distant.open == 0


def test_every_iteration_is_logged_and_the_last_one_evaluated(tmp_path):
    run = train(config(total_iterations=5), tmp_path / "run")
    lines = numbers(run)
    assert [line["step"] for line in lines] == [0, 1, 2, 3, 4, 5]
    assert [line["step"] for line in lines if "eval/success" in line] == [0, 2, 4, 5]
    assert (run.path / "eval" / "iteration_5.json").exists()
    assert run.status == "finished"


def test_an_agent_that_keeps_files_is_given_the_runs_folder_in_every_session(tmp_path):
    keeper = {"agent._target_": "tests.runners.online.test_online.Keeper"}
    run = train(config(**keeper, total_iterations=2), tmp_path / "run")
    assert (run.path / "kept").read_text() == "x"
    cfg = config(**keeper, total_iterations=4)
    with Run.open(run.path) as again:
        OnlineExperiment(cfg).train(again)
    assert (run.path / "kept").read_text() == "xx"


def test_further_sets_are_played_alike_and_reported_beside_the_held_out_one(tmp_path):
    also = {"never": {"answer": 9}, "again": {}}
    alone, beside = train(config(), tmp_path / "alone"), train(config(**{"eval.also": also}), tmp_path / "beside")
    last = numbers(beside)[-1]
    assert {name: value for name, value in last.items() if not name.startswith(("eval/never", "eval/again"))} == (
        numbers(alone)[-1]
    )
    assert last["eval/again/success"] == last["eval/success"]
    said = json.loads((beside.path / "eval" / "iteration_6.json").read_text())["also"]
    assert said["never"]["success"] == last["eval/never/success"] == 0 < last["eval/success"]


def test_a_budget_of_env_steps_ends_the_run_with_an_evaluation_and_is_not_overrun_by_resuming(tmp_path):
    free = numbers(train(config(), tmp_path / "free"))
    budget = int(free[2]["train/env_steps"])
    run = train(config(total_env_steps=budget - 1, **{"eval.every": 5}), tmp_path / "run")
    lines = numbers(run)
    assert [line["step"] for line in lines] == [0, 1, 2]
    assert "eval/success" in lines[-1]
    run = Run.open(tmp_path / "run")
    with run:
        OnlineExperiment(config(total_env_steps=budget - 1)).train(run)
    assert numbers(run) == lines


def test_a_crashed_run_resumes_to_the_same_numbers(tmp_path):
    whole = train(config(), tmp_path / "whole")
    broken = config(**{"agent.crash_at": 4})
    with pytest.raises(RuntimeError, match="out of luck"):
        train(broken, tmp_path / "broken")
    run = Run.open(tmp_path / "broken")
    assert run.status == "failed"
    with run:
        OnlineExperiment(config()).train(run)
    assert numbers(run) == numbers(whole)
    assert run.status == "finished"


def test_evaluating_more_often_does_not_change_what_training_draws(tmp_path):
    rare = numbers(train(config(**{"eval.every": 6}), tmp_path / "rare"))
    often = numbers(train(config(**{"eval.every": 1}), tmp_path / "often"))
    assert [line.get("toy/logit") for line in rare] == [line.get("toy/logit") for line in often]


def test_a_finished_run_is_evaluated_at_its_checkpoints(tmp_path):
    cfg = config()
    run = train(cfg, tmp_path / "run")
    last = OnlineExperiment(cfg).evaluate(run, "last")
    numbers_of = {name: value for name, value in last.items() if not isinstance(value, Table)}
    assert numbers_of == {k: v for k, v in run.last("eval/success").items() if k.startswith("eval/")}
    assert last["ends"].columns
    assert OnlineExperiment(cfg).evaluate(run, "none")["eval/length"] > 0
    assert {"checkpoint_6.json", "untrained.json"} <= {file.name for file in (run.path / "eval").iterdir()}


def test_the_best_checkpoint_is_one_that_was_evaluated(tmp_path):
    run = train(config(**{"checkpoint.every": 3, "checkpoint.keep": 9, "total_iterations": 5}), tmp_path / "run")
    scores = {checkpoint.step: checkpoint.score for checkpoint in run.checkpoints.all()}
    evaluated = {line["step"]: line["eval/success"] for line in run.metrics() if "eval/success" in line}
    assert set(evaluated) == {0, 2, 4, 5}
    assert scores == evaluated | {3: None}


def test_signals_are_only_noted_but_for_a_second_ctrl_c(capfd):
    before = signal.getsignal(signal.SIGTERM)
    with Patience("in a moment") as patience:
        os.kill(os.getpid(), signal.SIGTERM)
        assert patience.asked
        assert capfd.readouterr().err == "\nin a moment\n"
        for again in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
            os.kill(os.getpid(), again)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGTERM) is before


def test_two_processes_may_make_the_same_warm_start(tmp_path, caplog):
    cache, model = WarmStartCache(tmp_path), tmp_path / "model"
    for _ in range(2):
        cache.store("key", model, {"agent": {"weight": 1.0}, "metrics": {}})
    assert caplog.text == ""
    assert cache.restore("key", model) == {"agent": {"weight": 1.0}, "metrics": {}}
    assert [path.name for path in (tmp_path / "warm_start").iterdir()] == ["key"]


@pytest.mark.parametrize(
    ("agent", "sentence"),
    [
        ("agentlab_runner.agents.twosome.agent.TwosomeAgent", "TwosomeAgent needs a language model; add model=NAME"),
        ("agentlab_runner.agents.coso.agent.CosoAgent", "CosoAgent needs a language model; add model=NAME"),
        ("tests.runners.online.test_online.Reader", "Reader needs an environment that reads what is said; choose"),
    ],
)
def test_an_agent_that_lacks_a_part_says_what_brings_it(tmp_path, agent, sentence):
    with pytest.raises(UserError, match=sentence):
        train(config(agent={"_target_": agent}), tmp_path / "run")


class Reader(Gambler):
    def __init__(self, parser):
        super().__init__()


def test_a_rollout_is_made_of_whole_groups(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(Gambler, "end", lambda self, ended: seen.extend(t.seed for t in ended))
    train(config(rollout_size=6, group_size=3, total_iterations=1, **{"eval.episodes": 1}), tmp_path / "run")
    counts = [seen.count(seed) for seed in dict.fromkeys(seen)]
    assert sorted(counts) == [1 + 1, 3, 3]  # the evaluation's one, twice, and two groups


def test_a_warm_start_made_on_a_gpu_serves_where_there_is_none(tmp_path, monkeypatch):
    """A file of a GPU's tensors names it, and torch refuses such a file, which would be deleted as damaged."""
    cache, state = WarmStartCache(tmp_path), {"agent": {"weight": torch.ones(2)}, "metrics": {}}
    with monkeypatch.context() as gpu:
        gpu.setattr(torch.serialization, "location_tag", lambda storage: "cuda:0")
        cache.store("key", tmp_path / "model", state)
    restored = cache.restore("key", tmp_path / "model")
    assert restored is not None
    assert restored["agent"]["weight"].device.type == "cpu"

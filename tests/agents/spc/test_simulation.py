"""The simulated student by hand, and the table of teachers."""

import numpy as np
import pytest
from hydra.utils import instantiate
from numpy.testing import assert_allclose

from agentlab_runner.agents.spc.mastery import Mastery
from agentlab_runner.agents.spc.simulation import ChainedStudent, OnlyTarget, taught
from agentlab_runner.agents.spc.staged import Uniform
from agentlab_runner.runners.config.compose import compose
from agentlab_runner.runners.run.folder import Run
from tests.agents.spc.students import RANGE


def test_each_task_needs_the_one_before():
    student = ChainedStudent(2, rate=0.5, decay=0.1, noise=0.0, seed=0)
    student.practise(1)
    assert_allclose(student.skills, [0, 0])
    student.practise(0)
    assert_allclose(student.skills, [0.45, 0])
    student.practise(1)
    assert_allclose(student.skills, [0.405, 0.225 * 0.9])


def test_what_is_seen_of_it_is_noisy_and_what_is_reported_is_not():
    seen = [ChainedStudent(2, 0.5, 0.1, 0.2, seed).play(0, "task1").measures["skill"] for seed in range(500)]
    assert np.mean(seen) == pytest.approx(0, abs=0.03)
    assert np.std(seen) == pytest.approx(0.2, rel=0.15)
    skills, played = taught(OnlyTarget(), ChainedStudent(3, 0.06, 0.004, 0.05, 0), 50, 0)
    assert skills == [0.0] * 50
    assert played == [2] * 50


def test_the_frontier_beats_uniform_and_seeds_repeat():
    def course(teacher, seed):
        return taught(teacher(**RANGE), ChainedStudent(3, 0.06, 0.004, 0.05, seed), 300, seed)

    gains = [np.mean(course(Mastery, seed)[0]) - np.mean(course(Uniform, seed)[0]) for seed in range(5)]
    assert min(gains) > 0
    assert course(Mastery, 1) == course(Mastery, 1) != course(Mastery, 2)


def test_the_experiment_measures_every_teacher(tmp_path):
    cfg = compose(["+exp=spc_teachers", "simulation.rounds=12", "simulation.students=1", "logger=none"])
    with Run.create(cfg, tmp_path, ["test"], path=tmp_path / "run") as run:
        found = instantiate(cfg.experiment, cfg).train(run)
    skills = {name.split("/")[1] for name in found if name.startswith("skill/")}
    assert skills == set(cfg.teachers)
    assert {"target", "exp3_context_paper", "mastery"} <= skills
    assert [row[0] for row in found["teachers"].rows] == list(cfg.teachers)
    assert set(run.metrics()[-1]["course/hard"]["lines"]) == set(cfg.teachers)

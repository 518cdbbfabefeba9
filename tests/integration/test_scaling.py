"""The laptop experiment in two processes and on Ray workers, as a user asks for it."""

import pytest

from tests.integration.conftest import manifest, numbers, small


@pytest.mark.slow
def test_two_processes_start_where_one_does_and_go_on(lab, finished):
    lab.env["AGENTLAB_CACHE"] = str(lab.path / "cache")  # so that the warm start is made here
    two = ("trainer=ddp", "trainer.device=cpu", "trainer.processes=2")
    lab.alone("train", *small("coso_android", *two, "total_iterations=2"))
    loss = "warm_start/imitation/loss"
    assert numbers(lab.run)[0][loss] == pytest.approx(numbers(finished)[0][loss], rel=1e-2)
    assert [line["step"] for line in numbers(lab.run)] == [0, 0, 1, 2]
    assert manifest(lab.run)["status"] == "finished"


@pytest.mark.slow
def test_ray_workers_play_the_same_run(lab, finished):
    pytest.importorskip("ray")
    lab.alone("train", *small("coso_android", "rollout=ray", "rollout.workers=2", "total_iterations=2"))
    assert numbers(lab.run) == [line for line in numbers(finished) if line["step"] <= 2]

"""The same experiment on phones behind adb: the real client and protocol, and what is said when they are missing."""

import re
import time
from collections.abc import Iterator

import pytest

from agentlab_runner.envs.android.devices import adb
from agentlab_runner.envs.android.devices.adb_server import PhoneServer
from agentlab_runner.envs.android.devices.sim import SimPhone
from tests.integration.conftest import LONG, logged, numbers, small, wait_until


@pytest.fixture
def server() -> Iterator[PhoneServer]:
    """An adb server with one phone."""
    with PhoneServer({"emulator-5554": SimPhone()}) as server:
        yield server


def test_the_simulated_phone_behind_adb_plays_the_same_episodes(lab, finished):
    lab.train("env/device=sim_adb", "total_iterations=1", "eval.every=1")
    straight = next(line for line in numbers(finished) if line["step"] == 1)
    behind = numbers(lab.run)[-1]
    assert {k: behind[k] for k in straight} == straight


@pytest.mark.slow
def test_a_phone_attached_by_adb_is_trained_on_and_lost_without_a_crash(lab):
    serving = lab.start("phone", "serve", "port=0", "phones=2", "phone.scale=0.25")
    port = re.search(r":(\d+);", serving.stdout.readline())[1]
    settings = ("settle=0", "retry_wait=0.05", f"port={port}")
    device = ["env/device=adb", *(f"env.device.{setting}" for setting in settings), "env.white_wait=0"]
    process = lab.start("train", *small("coso_android", *device, "total_iterations=100"))
    wait_until(lambda: logged(lab) >= 1, process)
    serving.kill()
    _, stderr = process.communicate(timeout=LONG)
    assert process.returncode == 1
    assert "agentlab: no environment is left to play" in stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("device", "sentence"),
    [
        ("env.device.serial=pixel", "no phone has the serial 'pixel'; attached are: emulator-5554 (`adb devices`)"),
        ("env.device.host=127.0.0.9", "no adb server at 127.0.0.9:"),
    ],
)
def test_a_phone_that_is_not_there_is_told_in_one_sentence(lab, server, device, sentence):
    result = lab.train("env/device=adb", f"env.device.port={server.port}", device, code=1)
    assert result.stderr.startswith(f"agentlab: {sentence}")
    assert result.stderr.count("\n") == 1
    assert not any((lab.path / "runs").iterdir())


def test_a_port_where_nobody_is_is_told_at_once_and_leaves_no_server_behind(lab, server):
    server.stop()
    refused = lab("eval", "+exp=coso_android", "env/device=adb", f"env.device.port={server.port}", code=1).stderr
    assert refused.startswith("agentlab: adb sees no phone; plug one in")
    assert refused.count("\n") == 1
    assert not any((lab.path / "runs").iterdir())
    while adb._listening("127.0.0.1", server.port):
        time.sleep(0.05)

"""The Unity adapter against a server that speaks its protocol, with every fault a user will meet."""

import json
import socket
import time

import pytest

from agentlab_runner.envs.virtualhome.env import VirtualHomeEnv
from agentlab_runner.envs.virtualhome.unity import UnityHousehold
from tests.envs.virtualhome.fake_unity import fake_unity
from tests.envs.virtualhome.test_virtualhome import FOOD, FUN, play


@pytest.fixture
def server():
    with fake_unity() as running:
        yield running


def env(server, task="food_preparation", **options) -> VirtualHomeEnv:
    return VirtualHomeEnv(task, household=lambda worker: UnityHousehold(worker, port=server.port, **options))


@pytest.mark.parametrize(("task", "actions"), [("food_preparation", FOOD), ("entertainment", FUN)])
def test_both_tasks_are_solved_over_http_as_in_the_graph(server, task, actions):
    real, graph = env(server, task), VirtualHomeEnv(task)
    assert play(real, actions)[0]["text"] == play(graph, actions)[0]["text"]
    assert real.metadata["blocking"]
    assert not graph.metadata["blocking"]


def test_what_is_sent_is_the_protocol(server):
    own = env(server, scene=3)
    play(own, [4, 6])
    names = [name for name, *_ in server.calls]
    assert names[:4] == ["idle", "reset", "add_character", "environment_graph"]
    assert server.calls[1][1] == [3]
    assert json.loads(server.calls[2][2][0])["initial_room"] == "kitchen"
    scripts = [strings for name, _, strings in server.calls if name == "render_script"]
    assert [script[1] for script in scripts] == ["<char0> [walk] <pancake> (62)", "<char0> [grab] <pancake> (62)"]
    settings = json.loads(scripts[0][0])
    assert settings["find_solution"] is False
    assert settings["skip_animation"] is True


def test_each_worker_has_its_own_port(server):
    with pytest.raises(ConnectionError, match=f"http://127.0.0.1:{server.port + 1} was asked for 'idle'"):
        UnityHousehold(1, port=server.port)


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("status", "answered with status 500, an error of the engine; restart the executable"),
        ("refuse", "refused 'reset': the scene is not loaded"),
        ("silent", "did not answer within 0.5 s"),
        ("drip", "did not answer within 0.5 s"),
        ("hang up", "closed the connection before its answer was whole .*same version, else start VirtualHome's"),
        ("garbage", "answered with no JSON"),
        ("list", "answered with no object"),
    ],
)
def test_a_fault_names_address_action_and_cure(server, fault, sentence):
    own = env(server, timeout=0.5)
    server.fault, server.fails_at = fault, "reset"
    with pytest.raises(ConnectionError, match=sentence) as told:
        own.reset()
    assert f"http://127.0.0.1:{server.port}" in str(told.value)
    assert "'reset'" in str(told.value)


def test_the_time_limit_is_for_the_whole_answer(server):
    """However often a byte of it arrives: the others of the answer's sixty would take six seconds."""
    own = env(server, timeout=0.5)
    server.fault, server.fails_at = "drip", "reset"
    began = time.monotonic()
    with pytest.raises(ConnectionError, match="did not answer within"):
        own.reset()
    assert time.monotonic() - began < 4


def test_what_is_in_the_hand_counts_whatever_its_id(server):
    """Two pancakes, one upon the other: the lower one is asked for, the upper one is taken and goes on."""
    home = server.home
    home._start.nodes[63] = home._start.copy().nodes[62]
    home._start.edges.add((63, "ON", 62))
    server.renumbers = {62: 63}
    own = env(server)
    observation, _ = play(own, FOOD[:2])
    assert own.scene.holds("pancake")
    assert "You carry the pancake." in observation["text"]
    assert observation["vector"].tolist()[4:7] == [1, 1, 1]
    for action in FOOD[2:]:
        observation, *_, info = own.step(action)
        assert info["executed"] is True
    assert own.scene.inside("pancake", "microwave") is False  # shut in, so out of sight
    assert server.home.graph.has(63, "INSIDE", 109)
    assert info["success"]


def test_an_answer_that_is_no_graph_is_told(server):
    own = env(server)
    server.fault, server.fails_at = "no graph", "environment_graph"
    with pytest.raises(ConnectionError, match="this is no VirtualHome graph"):
        own.reset()


def test_nobody_listening_says_how_to_start_it():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(ConnectionError, match=f"start VirtualHome's executable with -http-port={port}"):
        UnityHousehold(port=port)


def test_a_simulator_that_goes_away_ends_the_episode_without_blaming_the_agent(server):
    own = env(server)
    play(own, [4])
    server.fault, server.fails_at = "status", "render_script"
    observation, reward, terminated, truncated, info = own.step(6)
    assert (reward, terminated, truncated, info["stop"], info["success"]) == (0.0, False, True, "device_lost", False)
    assert "status 500" in info["reason"]
    assert observation["text"].startswith("The home has")
    server.fault = ""
    assert own.reset()[1]["task"] == "food_preparation"


def test_a_script_that_cannot_be_done_is_no_fault(server):
    own = env(server)
    own.reset()
    *_, info = own.step(6)  # the pancake is not close
    assert info["executed"] is False
    assert info["stop"] is None

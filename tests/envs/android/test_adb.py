"""AdbPhone through the real adbutils client against the phone server, and every way that can break."""

import os
import socketserver
import subprocess
import threading
import time

import numpy as np
import pytest

import agentlab_runner.envs.android
from agentlab_runner.envs.android.actions import Action, ActionType, AitwParser, tap
from agentlab_runner.envs.android.device import DeviceLost, DeviceUnavailable, Key, TaskSpec
from agentlab_runner.envs.android.devices import adb, adb_server
from agentlab_runner.envs.android.devices.adb import AdbPhone
from agentlab_runner.envs.android.devices.adb_server import Fault, FaultPlan, PhoneServer, State
from agentlab_runner.envs.android.devices.adb_services import COMMAND, run_command
from agentlab_runner.envs.android.devices.shell_phone import ShellPhone, arrived, text_pieces
from agentlab_runner.envs.android.devices.sim import SimPhone
from agentlab_runner.envs.android.evaluators import Judge, Programmatic
from agentlab_runner.envs.android.sim import shell
from agentlab_runner.envs.android.sim.state import open_page
from tests.envs.android.button_phone import SCREEN, ButtonPhone

adbutils = pytest.importorskip("adbutils")
SERIAL = "emulator-5554"
TASK = TaskSpec("press", "press go", 1)
PARSER = AitwParser()
GO, ELSEWHERE = PARSER.render(tap(0.1, 0.1)), PARSER.render(tap(0.9, 0.9))


@pytest.fixture
def served():
    """A function that serves a phone with planned faults and gives (phone, server)."""
    servers = []

    def serve(at=None, phone=None, **plan):
        phone = phone or ButtonPhone()
        servers.append(PhoneServer({SERIAL: phone}, faults=FaultPlan(at or {}, **plan)).start())
        return phone, servers[-1]

    yield serve
    for server in servers:
        server.stop()


def connect(server, **options):
    quick = {"port": server.port, "scale": 1.0, "retry_wait": 0.01, "settle": 0.0, "timeout": 20.0}
    return AdbPhone(**{**quick, **options})


def test_every_action_reaches_the_phone(served):
    phone, server = served()
    device = connect(server)
    assert device.screen == SCREEN
    device.reset(TASK, 11)
    device.tap(5, 6)
    device.swipe(1, 2, 3, 4)
    device.keyevent(Key.BACK)
    assert phone.resets == [(TASK, 11)]
    assert phone.log == [("tap", 5, 6), ("swipe", 1, 2, 3, 4), ("key", Key.BACK)]
    assert device.task_success(TASK)
    device.reset(None, 3)
    assert not device.task_success(TASK)


@pytest.mark.parametrize("text", [
    "tea", "green tea", "it's \"100%\" & more; echo $HOME `id` \\ |", "50%s off", "a" * 450, "-5", "  two  blanks ",
])
def test_typed_text_arrives_as_it_is(served, text):
    phone, server = served()
    device = connect(server)
    device.tap(5, 150)
    device.type_text(text)
    assert phone.typed == text


@pytest.mark.parametrize(("text", "typed"), [
    ("café", "cafe"), ("two\nlines", "two lines"), ("“it’s”\t1–2", '"it\'s" 1-2'), ("", ""),
])
def test_what_has_a_plain_form_is_typed_in_it(text, typed):
    assert "".join(text_pieces(text)) == typed


@pytest.mark.parametrize("text", ["a 日 b", "nice \U0001f600", "\x00"])
def test_what_has_none_is_refused_whole_and_the_episode_goes_on(served, text):
    phone, server = served()
    env = agentlab_runner.envs.android.make(device=connect(server), evaluator=Programmatic(), parser=PARSER)
    env.reset(seed=0)
    phone.tap(5, 150)
    *_, truncated, info = env.step(PARSER.render(Action(ActionType.Type, text=text)))
    assert phone.typed == ""
    assert not truncated
    assert "adb types printable ASCII only, so nothing of" in info["reason"]
    assert env.step(ELSEWHERE)[-1]["reason"] == ""


class Clumsy(SimPhone):
    """Drops every third key the first `times` times that something is typed."""

    def __init__(self, times):
        super().__init__(popup_rate=0, slow_rate=0)
        self.times = times

    def type_text(self, text):
        self.times -= 1
        super().type_text(text if self.times < 0 else "".join(c for i, c in enumerate(text) if i % 3 != 2))


@pytest.mark.parametrize("before", ["", "Al", "see"])
def test_dropped_keys_are_typed_again(served, before):
    phone, server = served(phone=Clumsy(2))
    device = connect(server)
    open_page(phone.state, "contacts", "new", focus="name", fields={"name": before})
    device.type_text("ice seen")
    assert phone.state.page.fields["name"] == f"{before}ice seen"


def test_a_phone_that_goes_on_dropping_keys_is_named(served):
    phone, server = served(phone=Clumsy(9))
    open_page(phone.state, "contacts", "new", focus="name")
    with pytest.warns(UserWarning, match="'icy' was typed on emulator-5554, which shows 'ic': it drops keys"):
        connect(server).type_text("icy")
    assert phone.state.page.fields["name"] == "ic"


@pytest.mark.parametrize(("before", "typed", "shown", "came"), [
    ("", "tea", "tea", None), ("a", "tea", "atea", None), ("Search", "tea", "tea", None),
    ("", "tea", "ta", 2), ("a", "tea", "ate", 2), ("", "tea", "", 0), ("Search", "tea", "te", 2),
    ("", "5551234", "555-1234", None), ("", "secret", "••••••", None), ("", "teh", "The", None),
    ("te", "tea", "te", None),
])
def test_what_a_field_shows_says_what_it_dropped(before, typed, shown, came):
    assert arrived(before, typed, shown) == came


def test_an_older_dump_is_not_taken_for_the_screen(served):
    phone, server = served(phone=SimPhone(popup_rate=0, slow_rate=0))
    device = connect(server, retries=0)
    assert device.ui_tree() == phone.ui_tree()
    phone.run_shell = lambda command: ("ERROR: could not get idle state.", 0) if "uiautomator" in command else (
        shell.run(phone, command)
    )
    with pytest.warns(UserWarning, match="its screen may never come to rest"):
        assert device.ui_tree().children == ()


def test_screenshots_are_exact_and_scaled(served):
    phone, server = served()
    assert np.array_equal(connect(server).screenshot(), phone.screenshot())
    assert connect(server, scale=0.5).screenshot().shape == (114, 54, 3)


def test_front_app_and_snapshots(served):
    _, server = served()
    device = connect(server)
    assert device.current_activity() == "test.button/test.button.Main"
    with pytest.raises(DeviceUnavailable, match="env/device=sim"):
        device.snapshot()


class RealPhone(ShellPhone):
    """A phone whose shell does not know agentlab-phone, as a handset's."""

    def __init__(self):
        super().__init__("handset", scale=1.0, retries=0, retry_wait=0.0, settle=0.0)
        self.phone = ButtonPhone()

    def _send(self, command):
        output, code = self.phone.run_shell(command)
        return output.encode(), code

    def _reconnect(self): ...

    def _advice(self, reason):
        return str(reason)


def test_a_real_phone_goes_home_and_cannot_judge():
    device = RealPhone()
    device.reset(TASK, 0)
    assert device.phone.log == [("stop", "test.button"), ("key", Key.HOME)]
    with pytest.raises(DeviceUnavailable, match="env/evaluator=judge"):
        device.task_success(TASK)


# Faults. Connecting makes one request (0: wm size); requests are counted from there.


@pytest.mark.parametrize("fault", [Fault.DROP, Fault.GARBAGE, Fault.SLOW])
def test_a_request_that_never_arrived_is_made_again(served, fault):
    phone, server = served({1: fault, 2: fault}, delay=0.1)
    device = connect(server)
    device.tap(5, 6)
    assert phone.log == [("tap", 5, 6)]


def test_an_action_whose_answer_was_lost_is_not_repeated(served):
    phone, server = served({1: Fault.TRUNCATE})
    connect(server).tap(5, 6)
    assert phone.log == [("tap", 5, 6)]


@pytest.mark.parametrize("fault", [Fault.DROP, Fault.GARBAGE, Fault.TRUNCATE])
def test_a_broken_screenshot_is_taken_again(served, fault):
    phone, server = served({1: fault})
    assert np.array_equal(connect(server).screenshot(), phone.screenshot())


def test_a_request_that_takes_too_long_is_made_again(served):
    phone, server = served({1: Fault.SLOW}, delay=5.0)
    assert np.array_equal(connect(server, timeout=1.0).screenshot(), phone.screenshot())


@pytest.mark.parametrize(("fault", "message"), [
    (Fault.OFFLINE, "offline; replug"), (Fault.GONE, "not attached any more"), (Fault.DROP, "did not answer 3 times")])
def test_lasting_trouble_is_a_lost_phone_with_advice(served, fault, message):
    _, server = served(dict.fromkeys(range(1, 20), fault))
    device = connect(server, retries=2)
    with pytest.raises(DeviceLost, match=message) as lost:
        device.tap(5, 6)
    assert "\n" not in str(lost.value)


def test_a_phone_that_comes_back_in_time_is_not_lost(served):
    phone, server = served({1: Fault.OFFLINE})
    device = connect(server, retry_wait=0.2)
    threading.Timer(0.3, server.set_state, (SERIAL, State.DEVICE)).start()
    assert np.array_equal(device.screenshot(), phone.screenshot())


def test_a_server_that_went_away(served):
    _, server = served()
    device = connect(server, retries=1)
    server.stop()
    with pytest.raises(DeviceLost, match="adb start-server"):
        device.screenshot()


# The same through the environment


@pytest.fixture
def goals(tmp_path):
    (tmp_path / "goals.txt").write_text("press go")
    return str(tmp_path / "goals.txt")


class Pressed(Programmatic):
    needs_template = False


def episode(server, goals, **options):
    device = connect(server, retries=1, **options)
    env = agentlab_runner.envs.android.make(device=device, evaluator=Pressed(), parser=PARSER, task_set=goals)
    env.reset(seed=0)
    return env


@pytest.mark.parametrize("fault", list(Fault)[:4])
def test_a_passing_fault_in_an_episode_changes_nothing(served, goals, fault):
    # 0 size, 1 first look, 2 reset, 3 look; then tap, screenshot, success a step
    for request in range(4, 10):
        _, server = served({request: fault}, delay=0.01)
        env = episode(server, goals)
        assert env.step(ELSEWHERE)[-1]["stop"] is None
        assert env.step(GO)[-1]["stop"] == "success", request


@pytest.mark.parametrize("fault", [Fault.OFFLINE, Fault.GONE])
def test_a_phone_lost_in_an_episode_truncates_it_and_may_come_back(served, goals, fault):
    for request in range(4, 7):
        phone, server = served({request: fault})
        env = episode(server, goals)
        observation, reward, terminated, truncated, info = env.step(GO)
        assert (reward, terminated, truncated, info["stop"]) == (0.0, False, True, "device_lost")
        assert SERIAL in info["reason"]
        assert observation["image"].shape == (SCREEN[1], SCREEN[0], 3)
        with pytest.raises(DeviceUnavailable, match=SERIAL):
            env.reset(seed=1)
        server.attach(SERIAL, phone)
        env.reset(seed=1)
        assert env.step(GO)[-1]["success"]


# Nothing to connect to


def test_no_phone(served):
    _, server = served()
    server.detach(SERIAL)
    with pytest.raises(DeviceUnavailable, match="env/device=sim"):
        connect(server)


def test_no_kvm_is_mentioned_where_there_is_none(served, monkeypatch):
    _, server = served()
    server.detach(SERIAL)
    for exists, told in ((False, True), (True, False)):
        monkeypatch.setattr(adb.Path, "exists", lambda path, exists=exists: exists)
        with pytest.raises(DeviceUnavailable) as caught:
            connect(server)
        assert ("/dev/kvm" in str(caught.value)) is told


@pytest.mark.parametrize(("options", "message"), [
    ({"serial": "emulator-5580"}, "attached are: emulator-5554"),
    ({"worker": 1}, "set env.num_envs=1"),
    ({"serial": [SERIAL, "x"], "worker": 2}, "set env.num_envs=2"),
])
def test_no_such_phone(served, options, message):
    _, server = served()
    with pytest.raises(DeviceUnavailable, match=message):
        connect(server, **options)


@pytest.mark.parametrize(("state", "message"), [(State.UNAUTHORIZED, "confirm the dialog"), (State.OFFLINE, "replug")])
def test_a_phone_in_no_state_to_be_used(served, state, message):
    _, server = served()
    server.set_state(SERIAL, state)
    with pytest.raises(DeviceUnavailable, match=message):
        connect(server)


def test_workers_share_the_phones_out(served):
    _, server = served()
    server.attach("emulator-5556", ButtonPhone())
    assert [connect(server, worker=worker).serial for worker in (0, 1)] == [SERIAL, "emulator-5556"]
    assert connect(server, serial=["emulator-5556"]).serial == "emulator-5556"


def test_a_real_phone_is_refused_where_a_program_would_have_to_judge(served, monkeypatch):
    _, server = served()
    make = agentlab_runner.envs.android.make
    make(device=connect(server), evaluator=Programmatic(), parser=PARSER)
    monkeypatch.setattr(adb_server, "run_command", lambda phone, command: (
        (b"inaccessible or not found", 127) if command.startswith(COMMAND) else run_command(phone, command)
    ))
    with pytest.raises(ValueError, match="a real phone cannot tell whether a task is done; use env/evaluator=judge"):
        make(device=connect(server), evaluator=Programmatic(), parser=PARSER)
    make(device=connect(server), evaluator=Judge("eye"), parser=PARSER, task_set="general")


def free_port():
    with PhoneServer({}) as server:
        return server.port


def test_adb_is_missing(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("adbutils._utils._get_bin_dir", lambda: str(tmp_path))
    with pytest.raises(DeviceUnavailable, match="adb was not found"):
        AdbPhone(port=free_port())
    monkeypatch.setenv("ADBUTILS_ADB_PATH", str(tmp_path / "adb"))
    with pytest.raises(DeviceUnavailable, match="adb was not found"):
        AdbPhone(port=free_port())


def test_adb_cannot_start_its_server(monkeypatch, tmp_path):
    broken = tmp_path / "adb"
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setenv("ADBUTILS_ADB_PATH", str(broken))
    with pytest.raises(DeviceUnavailable, match=r"start-server` failed.*run it by hand"):
        AdbPhone(port=free_port())


def test_adbutils_is_missing(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "adbutils", None)
    with pytest.raises(DeviceUnavailable, match="package adbutils is missing"):
        AdbPhone()


def test_no_server_on_another_machine():
    with pytest.raises(DeviceUnavailable, match="start it there"):
        AdbPhone(host="127.0.0.2", port=free_port())


def test_something_else_answers():
    class Other(socketserver.BaseRequestHandler):
        def handle(self):
            self.request.sendall(b"SSH-2.0\r\n")

    with socketserver.TCPServer(("127.0.0.1", 0), Other) as other:
        thread = threading.Thread(target=other.serve_forever, args=(0.05,))
        thread.start()
        with pytest.raises(DeviceUnavailable, match="is no adb server"):
            AdbPhone(port=other.server_address[1], timeout=2)
        other.shutdown()
        thread.join()


@pytest.mark.skipif(os.name == "nt", reason="starts and kills a real adb server")
def test_a_real_adb_server_is_started_where_there_is_none_and_not_left_behind():
    port = free_port()
    try:
        with pytest.raises(DeviceUnavailable, match="adb sees no phone"):
            AdbPhone(port=port)
        while adb._listening("127.0.0.1", port):
            time.sleep(0.05)
    finally:
        subprocess.run([adbutils.adb_path(), "-P", str(port), "kill-server"], timeout=10, capture_output=True)


@pytest.mark.parametrize("options", [{"scale": 0}, {"scale": 2}, {"retries": -1}, {"settle": -1}, {"timeout": 0}])
def test_bad_options_are_refused_before_adb_is_asked(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        AdbPhone(**options)

"""The phone server under the real adb binary, adbutils and bare sockets."""

import io
import socket
import subprocess
import threading
import time

import numpy as np
import pytest
from PIL import Image

from agentlab_runner.envs.android.device import TaskSpec
from agentlab_runner.envs.android.devices.adb_server import Fault, FaultPlan, PhoneServer, State, serve
from agentlab_runner.envs.android.devices.adb_services import run_command, task_from_json, task_to_json
from tests.envs.android.button_phone import ButtonPhone

adbutils = pytest.importorskip("adbutils")
SERIAL = "emulator-5554"


@pytest.fixture
def phone():
    return ButtonPhone()


@pytest.fixture
def server(phone):
    with PhoneServer({SERIAL: phone}) as server:
        yield server


@pytest.fixture
def adb(server):
    """Run the real adb binary; gives the finished process."""
    def run(*arguments, text=True):
        command = [adbutils.adb_path(), "-P", str(server.port), *arguments]
        return subprocess.run(command, capture_output=True, text=text, timeout=60, stdin=subprocess.DEVNULL)

    return run


@pytest.fixture
def client(server):
    return adbutils.AdbClient(server.host, server.port, socket_timeout=20)


def test_devices_as_adb_lists_them(adb):
    assert adb("devices").stdout == f"List of devices attached\n{SERIAL}\tdevice\n\n"
    assert "model:SimPhone" in adb("devices", "-l").stdout


def test_shell_gives_output_and_exit_code(adb):
    done = adb("shell", "echo", "hello there")
    assert (done.stdout, done.stderr, done.returncode) == ("hello there\n", "", 0)
    assert adb("-s", SERIAL, "shell", "no-such-command").returncode == 127


def test_input_reaches_the_phone(adb, phone):
    adb("shell", "input", "tap", "10", "20")
    adb("shell", "input text 'green%stea'")
    assert phone.log == [("tap", 10, 20), ("type", "green tea")]


def test_screencap_is_the_screenshot(adb, client, phone):
    png = adb("exec-out", "screencap", "-p", text=False).stdout
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(png))), phone.screenshot())
    assert np.array_equal(np.asarray(client.device(SERIAL).screenshot()), phone.screenshot())


def test_pull_push_and_list(adb, tmp_path):
    assert adb("pull", "/sdcard/notes.txt", str(tmp_path)).returncode == 0
    assert (tmp_path / "notes.txt").read_text() == "buy tea\n"
    content = bytes(range(256)) * 1000
    (tmp_path / "big.bin").write_bytes(content)
    assert adb("push", str(tmp_path / "big.bin"), "/sdcard/big.bin").returncode == 0
    assert adb("pull", "/sdcard/big.bin", str(tmp_path / "back.bin")).returncode == 0
    assert (tmp_path / "back.bin").read_bytes() == content
    assert "photo.png" in adb("ls", "/sdcard").stdout
    missing = adb("pull", "/sdcard/none.txt", str(tmp_path))
    assert missing.returncode != 0
    assert "does not exist" in missing.stderr


def test_adbutils_reads_files_features_and_both_shells(client):
    device = client.device(SERIAL)
    assert device.sync.read_text("/sdcard/notes.txt") == "buy tea\n"
    assert device.sync.push(b"abc", "/sdcard/x") == 3
    assert device.sync.read_bytes("/sdcard/x") == b"abc"
    assert device.get_features() == "shell_v2"
    assert device.get_state() == "device"
    assert device.shell("echo plain") == "plain"
    for version_two in (True, False):
        answer = device.shell2("no-such-command", v2=version_two)
        assert answer.returncode == 127
        assert device.shell2("echo hi", v2=version_two).output == "hi\n"


def test_the_server_cannot_be_killed_by_a_client(adb):
    adb("kill-server")
    assert SERIAL in adb("devices").stdout


@pytest.mark.parametrize(("arguments", "message"), [
    (("-s", "nobody", "shell", "echo"), "device 'nobody' not found"),
    (("shell",), "no interactive shell"),
    (("forward", "tcp:6100", "tcp:7100"), "does not offer"),
])
def test_refusals_reach_the_user(adb, arguments, message):
    done = adb(*arguments)
    assert done.returncode != 0
    assert message in done.stdout + done.stderr


@pytest.mark.parametrize("state", [State.OFFLINE, State.UNAUTHORIZED])
def test_states(adb, server, state):
    server.set_state(SERIAL, state)
    assert f"{SERIAL}\t{state.value}" in adb("devices").stdout
    assert state.value in adb("shell", "echo").stderr
    server.set_state(SERIAL, State.DEVICE)
    assert adb("shell", "echo", "back").stdout == "back\n"


def test_two_phones_need_a_serial_and_none_says_so(adb, server):
    other = ButtonPhone()
    server.attach("127.0.0.1:5555", other)
    assert "more than one" in adb("shell", "echo").stderr
    assert adb("-s", "127.0.0.1:5555", "shell", "input", "tap", "1", "1").returncode == 0
    assert other.log == [("tap", 1, 1)]
    server.detach("127.0.0.1:5555")
    server.detach(SERIAL)
    assert "no devices" in adb("shell", "echo").stderr


def test_wait_for_device_and_tracking(adb, client, server, phone):
    server.detach(SERIAL)
    seen = []

    def watch():
        for event in client.track_devices():
            seen.append((event.serial, event.present))
            if event.present:
                return

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    threading.Timer(0.2, server.attach, (SERIAL, phone)).start()
    assert adb("wait-for-device").returncode == 0
    watcher.join(5)
    assert seen == [(SERIAL, True)]


def test_many_clients_at_once_do_not_mix(client, server, phone):
    server.attach("emulator-5556", other := ButtonPhone())
    answers = {}

    def talk(number):
        device = client.device((SERIAL, "emulator-5556")[number % 2])
        device.shell(f"input tap {number} {number}")
        answers[number] = device.shell(f"echo {number}")

    threads = [threading.Thread(target=talk, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert answers == {number: str(number) for number in range(12)}
    assert sorted(phone.log) == [("tap", n, n) for n in range(0, 12, 2)]
    assert sorted(other.log) == [("tap", n, n) for n in range(1, 12, 2)]


@pytest.mark.parametrize("said", [b"", b"GET / HTTP/1.1\r\n\r\n", b"ffffhost", b"000chost:version", b"0005shell",
                                  b"zzzz", b"0014host:transport:nobody"])
def test_rubbish_is_survived(server, adb, said):
    with socket.create_connection((server.host, server.port), timeout=2) as connection:
        connection.sendall(said)
        connection.shutdown(socket.SHUT_WR)
        answer = connection.recv(100)
    assert answer[:4] in (b"", b"OKAY", b"FAIL")
    assert SERIAL in adb("devices").stdout


def test_tasks_travel(server, client, phone):
    device = client.device(SERIAL)
    task = TaskSpec("shop", "buy it's \"tea\"", 2, (("item", "tea; rm -rf /"), ("n", "1")))
    assert task_from_json(task_to_json(task)) == task
    run = lambda verb, *rest: device.shell2(["agentlab-phone", verb, task_to_json(task), *rest], v2=True)  # noqa: E731
    assert run("reset", "7").returncode == 0
    assert phone.resets == [(task, 7)]
    assert run("success").output == "false\n"
    phone.pressed = True
    assert run("success").output == "true\n"
    assert run("dance").returncode == 2
    assert device.shell2(["agentlab-phone", "success", "[1]"], v2=True).returncode == 1


def test_a_failing_phone_command_is_an_exit_code_not_a_dead_server(phone):
    assert run_command(phone, "agentlab-phone reset 'oops' 1")[1] == 1
    assert run_command(phone, "no-such; echo X4EXIT:$?")[0].endswith(b"X4EXIT:127\n")


def test_faults_happen_once_where_they_are_planned(phone):
    plan = FaultPlan({0: Fault.DROP, 1: Fault.GARBAGE, 2: Fault.SLOW}, delay=0.2)
    with PhoneServer({SERIAL: phone}, faults=plan) as server:
        device = adbutils.AdbClient(server.host, server.port).device(SERIAL)
        for _ in range(2):
            with pytest.raises(adbutils.AdbError):
                device.shell("echo")
        started = time.monotonic()
        assert device.shell("echo slow") == "slow"
        assert time.monotonic() - started > 0.2
        assert device.shell("echo quick") == "quick"


def test_stopping_frees_the_port_and_ends_every_connection(phone):
    server = PhoneServer({SERIAL: phone}).start()
    before = threading.active_count()
    idle = socket.create_connection((server.host, server.port), timeout=2)
    idle.sendall(b"0012host:track-devices")
    assert idle.recv(4) == b"OKAY"
    assert threading.active_count() == before + 1
    server.stop()
    while idle.recv(100):
        pass
    idle.close()
    for _ in range(100):
        if threading.active_count() == before - 1:
            break
        time.sleep(0.01)
    assert threading.active_count() == before - 1
    PhoneServer({SERIAL: phone}, port=server.port).start().stop()


def test_only_loopback_and_only_a_free_port(server):
    with pytest.raises(ValueError, match="no password"):
        PhoneServer({}, host="0.0.0.0")
    with pytest.raises(ValueError, match="adb kill-server"):
        PhoneServer({}, port=server.port)


def test_serve_tells_what_to_type_and_stops():
    said, stop = [], threading.Event()
    stop.set()
    serve(ButtonPhone, phones=2, port=0, report=said.append, stop=stop)
    assert "emulator-5554, emulator-5556" in said[0]
    assert "shell wm size" in said[0]
    with pytest.raises(ValueError, match="at least 1"):
        serve(ButtonPhone, phones=0)

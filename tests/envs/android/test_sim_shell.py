"""The shell knows what adb clients say."""

import io

import numpy as np
import pytest
from PIL import Image

from agentlab_runner.envs.android.devices.adb_services import run_command
from agentlab_runner.envs.android.devices.sim import SimPhone
from agentlab_runner.envs.android.sim import shell
from agentlab_runner.envs.android.sim.state import open_app
from agentlab_runner.envs.android.ui_xml import from_xml


@pytest.fixture
def phone() -> SimPhone:
    phone = SimPhone(popup_rate=0, slow_rate=0)
    phone.reset(None, 0)
    return phone


def test_input_touches_types_and_presses(phone):
    assert phone.run_shell("input tap 680 1945") == ("", 0)
    assert phone.state.page.key == "browser.root"
    phone.shell("input tap 540 710")
    phone.shell("input text 'pizza%snear me'")
    phone.shell("input keyevent KEYCODE_ENTER")
    assert phone.state.page.key == "browser.search:pizza near me"
    phone.shell("input touchscreen swipe 540 1900 540 1400 200")
    assert phone.state.page.scroll == 1
    phone.shell("input keyevent 4 3")
    assert phone.state.page.key == "launcher.home"


def test_the_screen_tells_its_size_and_what_is_in_front(phone):
    assert phone.shell("wm size") == "Physical size: 1080x2280\n"
    assert "orientation=0" in phone.shell("dumpsys display")
    assert "mCurrentFocus=Window{5111a0e u0 org.agentlab.launcher/.HomeActivity}" in phone.shell(
        "dumpsys window windows"
    )
    assert phone.shell("dumpsys window | grep -E mCurrentFocus").count("\n") == 1
    assert "mResumedActivity" in phone.shell("dumpsys activity activities")


def test_a_dump_is_the_tree_by_file_and_by_terminal(phone):
    said = phone.shell("uiautomator dump")
    assert said == "UI hierchary dumped to: /sdcard/window_dump.xml\n"
    assert from_xml(phone.shell("cat /storage/emulated/0/window_dump.xml")) == phone.ui_tree()
    assert from_xml(phone.shell("uiautomator dump /dev/tty")) == phone.ui_tree()
    target = "/data/local/tmp/uidump.xml"
    assert "success" in phone.shell(f"rm -f {target}; uiautomator dump {target} && echo success")
    assert phone.shell("ls /data/local/tmp") == "uidump.xml\n"


def picture(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)))


def test_a_picture_is_said_and_written_to_a_file(phone):
    shown = phone.screenshot()
    for command in ("screencap -p", "screencap '-p' | cat", "screencap -p > /sdcard/b.png; cat /sdcard/b.png"):
        said, code = phone.run_shell(command)
        assert code == 0
        assert np.array_equal(picture(shell.bytes_of(said)), shown)
    assert phone.run_shell("screencap -p /storage/emulated/0/a.png && screencap /sdcard/c.png") == ("", 0)
    assert phone.shell("ls /sdcard") == "a.png\nb.png\nc.png\n"
    assert np.array_equal(picture(run_command(phone, "cat /sdcard/a.png")[0]), shown)
    assert "PNG only: screencap -p [FILE]" in phone.shell("screencap")


def test_files_and_pipes_are_read_alike(phone):
    assert phone.run_shell("echo one > /sdcard/n; echo two >> /sdcard/n") == ("", 0)
    assert phone.shell("cat /sdcard/n | grep o | cat") == "one\ntwo\n"
    assert phone.shell("echo zero | cat - /sdcard/n | wc -l") == "3\n"
    assert phone.shell("grep two /sdcard/n; head -n 1 /sdcard/n") == "two\none\n"
    assert phone.run_shell("grep x /nothing")[1] == 2
    assert phone.shell("wm size; echo a b | wc -w") == "Physical size: 1080x2280\n2\n"
    assert phone.shell("echo gone > /dev/null") == ""
    assert phone.run_shell("echo a >")[1] == 2


def test_quoted_signs_are_words(phone):
    assert phone.shell("echo ';' \"a | b\" 'x > y' '$?' \"$?\" $? it\\'s") == "; a | b x > y $? 0 0 it's\n"
    open_app(phone.state, "notes")
    phone.state.focus = "title"
    phone.shell("input text ';'")
    phone.shell("input text '$?'")
    assert phone.state.page.fields["title"] == ";$?"


def test_exit_codes_travel_as_clients_ask_for_them(phone):
    assert phone.shell("wm size; echo X4EXIT:$?").endswith("X4EXIT:0\n")
    assert phone.shell("cat /nothing; echo X4EXIT:$?").endswith("X4EXIT:1\n")
    assert phone.run_shell("launch_rockets")[1] == 127
    assert phone.run_shell("echo 'open")[1] == 2
    assert phone.run_shell("false && echo no || echo yes") == ("yes\n", 0)
    assert phone.run_shell("true || echo no") == ("", 0)
    assert phone.run_shell("") == ("", 0)
    assert phone.run_shell("dumpsys window | grep absent") == ("", 1)


@pytest.mark.parametrize(
    "command",
    [
        "input tap here there",
        "input swipe 1 2",
        "input",
        "wm",
        "settings get",
        "am",
        "input keyevent 999",
        "monkey",
        "dumpsys x",
        "| |",
        "&&",
    ],
)
def test_bad_commands_answer_and_change_nothing(phone, command):
    before = phone.snapshot()
    phone.run_shell(command)
    assert phone.state == before


def test_settings_are_the_phones_switches(phone):
    phone.shell("settings put global wifi_on 0")
    assert phone.state.settings["wifi"] == "off"
    phone.state.settings["airplane mode"] = "on"
    assert phone.shell("settings get global airplane_mode_on") == "1\n"
    assert phone.shell("settings get system nothing") == "null\n"
    phone.shell("settings put system font_scale 1.3")
    assert phone.shell("settings get system font_scale") == "1.3\n"
    assert "font_scale=1.3" in phone.shell("settings list system")
    assert phone.run_shell("settings get moon wifi_on")[1] != 0


def test_am_and_pm_start_stop_and_list(phone):
    assert phone.run_shell("am start -n org.agentlab.notes/.RootActivity")[1] == 0
    assert phone.state.page.app == "notes"
    phone.shell("am force-stop org.agentlab.clock")
    assert phone.state.page.app == "notes"
    phone.shell("am force-stop org.agentlab.notes")
    assert phone.state.page.app == "launcher"
    phone.shell("am start -a android.intent.action.VIEW -d https://www.target.com")
    assert phone.state.page.key == "browser.home:target"
    phone.shell("monkey -p org.agentlab.music 1")
    assert phone.state.page.app == "music"
    assert phone.run_shell("am start -n com.example/.Main")[1] == 1
    assert "package:org.agentlab.settings\n" in phone.shell("pm list packages -3")
    assert phone.shell("getprop ro.product.model") == "SimPhone\n"


def test_settings_put_by_a_client_never_break_a_screen(phone):
    phone.shell("settings put system screen_brightness 255")
    open_app(phone.state, "settings")
    assert phone.screenshot().any()

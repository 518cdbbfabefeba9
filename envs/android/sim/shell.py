"""The simulated phone's shell: what adb clients use of toybox, input, am, pm, wm, settings, dumpsys and uiautomator.

Commands may be joined by `;`, `&&` and `||`, piped into `cat`, `grep`, `head` or `wc`, and written to a file by `>` and
`>>`; `$?` is the last exit code. Output is text, in which the bytes of a picture stand as `text_of` has them.
"""

import io
import re
from collections.abc import Callable
from itertools import pairwise
from typing import Protocol

from PIL import Image

from agentlab_runner.envs.android.device import Key, PhoneDevice
from agentlab_runner.envs.android.sim import screen
from agentlab_runner.envs.android.sim.apps import APPS, browser
from agentlab_runner.envs.android.sim.shell_words import CODE, Command, pipes
from agentlab_runner.envs.android.sim.state import PhoneState, home, open_app
from agentlab_runner.envs.android.sim.widgets import HEIGHT, WIDTH
from agentlab_runner.envs.android.ui_xml import to_xml

Result = tuple[str, int]
DUMP = "/sdcard/window_dump.xml"
PROPERTIES = {
    "ro.product.model": "SimPhone",
    "ro.product.brand": "agentlab",
    "ro.product.name": "simphone",
    "ro.product.device": "simphone",
    "ro.product.manufacturer": "agentlab",
    "ro.build.version.release": "9",
    "ro.build.version.sdk": "28",
    "ro.product.cpu.abi": "x86_64",
    "ro.serialno": "simphone",
    "ro.kernel.qemu": "1",
    "sys.boot_completed": "1",
    "dev.bootcomplete": "1",
    "init.svc.bootanim": "stopped",
}
SWITCHES = {
    ("global", "airplane_mode_on"): "airplane mode",
    ("global", "wifi_on"): "wifi",
    ("global", "bluetooth_on"): "bluetooth",
    ("global", "mobile_data"): "mobile data",
    ("global", "low_power"): "battery saver",
    ("secure", "ui_night_mode"): "dark mode",
    ("secure", "night_display_activated"): "night light",
    ("system", "accelerometer_rotation"): "auto rotate",
}
"""Android's own names of settings that the simulated phone has, with values 1 and 0."""
PACKAGES = {app.package: app for app in (*APPS.values(), screen.LAUNCHER)}


class Phone(PhoneDevice, Protocol):
    """What the shell acts on."""

    state: PhoneState
    files: dict[str, str]
    """What the shell wrote, by path."""


def text_of(content: bytes) -> str:
    """Bytes as they stand in output and files; `bytes_of` gives them back."""
    return content.decode("utf-8", "surrogateescape")


def bytes_of(text: str) -> bytes:
    """The inverse of `text_of`."""
    return text.encode("utf-8", "surrogateescape")


def run(phone: Phone, command: str) -> Result:
    """Output and exit code, which is 127 for a command the phone does not know, 2 for one that cannot be read."""
    try:
        line = pipes(command)
    except ValueError as error:
        return f"/system/bin/sh: syntax error: {error}\n", 2
    output, code = "", 0
    for pipe in line:
        if (pipe.joint == "&&" and code != 0) or (pipe.joint == "||" and code == 0):
            continue
        said, before = "", code
        for place, part in enumerate(pipe.commands):
            words = [word.replace(CODE, str(before)) for word in part.words]
            said, code = _one(phone, words, said if place else None)
            said = _redirected(phone, part, said)
        output += said
    return output, code


def _one(phone: Phone, words: list[str], read: str | None) -> Result:
    """One command, to which a pipe gives `read`."""
    name = words[0].rsplit("/", 1)[-1] if words else "true"
    try:
        if name in FILTERS:
            return _filter(phone, name, words[1:], read)
        if name in COMMANDS:
            return COMMANDS[name](phone, words[1:])
    except (IndexError, ValueError) as error:
        return f"{words[0]}: bad arguments {' '.join(words[1:])!r}: {error}\n", 1
    return f"/system/bin/sh: {words[0]}: inaccessible or not found\n", 127


def _redirected(phone: Phone, command: Command, said: str) -> str:
    """What is still said once a file has got what is meant for it."""
    if not command.file or command.file in ("/dev/stdout", "/dev/tty"):
        return said
    if command.file != "/dev/null":
        path = path_of(command.file)
        phone.files[path] = (phone.files.get(path, "") if command.append else "") + said
    return ""


FILTERS = ("cat", "grep", "head", "wc")


def _filter(phone: Phone, name: str, args: list[str], read: str | None) -> Result:
    """What reads files or a pipe."""
    flags = [word for word in args if word.startswith("-") and word != "-"]
    rest = [word for word in args if word not in flags]
    if name == "head" and "-n" in flags:
        flags.append(rest.pop(0))
    pattern = rest.pop(0) if name == "grep" else ""
    missing = [path for path in rest if path != "-" and path_of(path) not in phone.files]
    if missing:
        return f"{name}: {missing[0]}: No such file or directory\n", 2 if name == "grep" else 1
    text = "".join(read or "" if path == "-" else phone.files[path_of(path)] for path in rest or ["-"])
    lines = text.splitlines()
    if name == "grep":
        try:
            wanted = re.compile(pattern, re.IGNORECASE if any("i" in f for f in flags) else 0)
        except re.error as error:
            return f"grep: bad pattern {pattern!r}: {error}\n", 2
        inverse = any("v" in f for f in flags)
        lines = [line for line in lines if bool(wanted.search(line)) != inverse]
        return "".join(f"{line}\n" for line in lines), 0 if lines else 1
    if name == "head":
        count = next((int(f.lstrip("-n")) for f in flags if f.lstrip("-n").isdigit()), 10)
        return "".join(f"{line}\n" for line in lines[:count]), 0
    if name == "wc":
        counts = {"l": text.count("\n"), "w": len(text.split()), "c": len(bytes_of(text))}
        asked = [kind for kind in counts if not flags or any(kind in f for f in flags)]
        return " ".join(str(counts[kind]) for kind in asked) + "\n", 0
    return text, 0


def _input(phone: Phone, args: list[str]) -> Result:
    if args[0] == "-d":
        args = args[2:]
    if args[0] in ("touchscreen", "keyboard", "mouse", "touchpad"):
        args = args[1:]
    match args[0]:
        case "tap":
            phone.tap(*(int(float(number)) for number in args[1:3]))
        case "swipe" | "draganddrop":
            x0, y0, x1, y1 = (int(float(number)) for number in args[1:5])
            phone.swipe(x0, y0, x1, y1, int(args[5]) if len(args) > 5 else 300)
        case "text":
            phone.type_text(" ".join(args[1:]).replace("%s", " "))
        case "keyevent":
            for name in [word for word in args[1:] if not word.startswith("--")]:
                _press(phone, name.upper().removeprefix("KEYCODE_"))
        case other:
            return f"Error: Unknown command: {other}\n", 1
    return "", 0


def _press(phone: Phone, name: str) -> None:
    """Keys the phone has no use for are taken without effect, as on a real one."""
    if name.isdigit() and int(name) in set(Key):
        phone.keyevent(Key(int(name)))
    elif name in Key.__members__:
        phone.keyevent(Key[name])


def _wm(phone: Phone, args: list[str]) -> Result:
    match args[0]:
        case "size":
            return f"Physical size: {WIDTH}x{HEIGHT}\n", 0
        case "density":
            return "Physical density: 440\n", 0
    return f"Unknown command: {args[0]}\n", 255


SERVICES: dict[str, tuple[str, ...]] = {
    "window": (
        "WINDOW MANAGER WINDOWS (dumpsys window windows)",
        "  mCurrentFocus=Window{5111a0e u0 %s}",
        "  mFocusedApp=AppWindowToken{6f1 token=Token{7a ActivityRecord{8b u0 %s t1}}}",
    ),
    "display": (
        "DISPLAY MANAGER (dumpsys display)",
        f"  mViewports=[DisplayViewport{{valid=true, orientation=0, deviceWidth={WIDTH}, deviceHeight={HEIGHT}}}]",
    ),
    "activity": (
        "ACTIVITY MANAGER ACTIVITIES (dumpsys activity activities)",
        "  mResumedActivity: ActivityRecord{8b u0 %s t1}",
        "  ACTIVITY %s 8b pid=4242",
    ),
    "input": ("INPUT MANAGER (dumpsys input)", f"  PhysicalWidth: {WIDTH}px", "  SurfaceOrientation: 0"),
    "power": ("POWER MANAGER (dumpsys power)", "  mHoldingDisplaySuspendBlocker=true", "  mWakefulness=Awake"),
    "battery": ("Current Battery Service state:", "  AC powered: true", "  status: 5", "  level: 100", "  scale: 100"),
}
"""Reports of dumpsys, line by line; %s is the activity in front."""


def _dumpsys(phone: Phone, args: list[str]) -> Result:
    if args[:1] == ["-l"]:
        return "".join(f"  {name}\n" for name in SERVICES), 0
    wanted = args[:1] or list(SERVICES)
    if wanted[0] not in SERVICES:
        return f"Can't find service: {wanted[0]}\n", 0
    lines = [line for name in wanted for line in SERVICES[name]]
    return "".join(f"{line}\n".replace("%s", phone.current_activity()) for line in lines), 0


def _getprop(phone: Phone, args: list[str]) -> Result:
    if args:
        return f"{PROPERTIES.get(args[0], '')}\n", 0
    return "".join(f"[{name}]: [{value}]\n" for name, value in PROPERTIES.items()), 0


def _settings(phone: Phone, args: list[str]) -> Result:
    action, space, rest = args[0], args[1], args[2:]
    if space not in ("system", "secure", "global"):
        return f"Invalid namespace '{space}'\n", 255
    store = phone.state.settings
    if action == "list":
        return "".join(
            f"{key.split('/')[1]}={value}\n" for key, value in store.items() if key.startswith(f"{space}/")
        ), 0
    known = SWITCHES.get((space, rest[0]))
    match action:
        case "get" if known:
            return f"{int(store[known] == 'on')}\n", 0
        case "get":
            return f"{store.get(f'{space}/{rest[0]}', 'null')}\n", 0
        case "put" if known:
            store[known] = "on" if rest[1] in ("1", "true", "2") else "off"
        case "put":
            store[f"{space}/{rest[0]}"] = rest[1]
        case "delete":
            gone = store.pop(f"{space}/{rest[0]}", None) is not None
            return f"Deleted {int(gone)} rows\n", 0
        case _:
            return f"Invalid command: {action}\n", 255
    return "", 0


def _am(phone: Phone, args: list[str]) -> Result:
    options = dict(pairwise(args[1:]))
    match args[0]:
        case "start" | "start-activity":
            return _start(phone, options.get("-n", "").split("/")[0], options.get("-a", ""), options.get("-d", ""))
        case "force-stop":
            if phone.state.page.app == getattr(PACKAGES.get(args[-1]), "name", None):
                home(phone.state)
            return "", 0
        case "stack":
            front = phone.current_activity()
            task = f"taskId=1: {front} visible=true topActivity=ComponentInfo{{{front}}}"
            return f"Stack id=1 bounds=[0,0][{WIDTH},{HEIGHT}] displayId=0 userId=0\n  {task}\n", 0
        case "broadcast":
            return "Broadcasting\nBroadcast completed: result=0\n", 0
    return f"Unknown command: {args[0]}\n", 255


def _start(phone: Phone, package: str, action: str, url: str) -> Result:
    if url:
        open_app(phone.state, "browser")
        browser.visit(url, phone.state)
        return f"Starting: Intent {{ act={action} dat={url} }}\n", 0
    name = "settings" if action == "android.settings.SETTINGS" else getattr(PACKAGES.get(package), "name", "")
    if "android.intent.category.HOME" in action or name == "launcher":
        home(phone.state)
    elif name:
        open_app(phone.state, name)
    else:
        return f"Error: Activity class {{{package}}} does not exist.\n", 1
    return f"Starting: Intent {{ cmp={package or action} }}\nStatus: ok\n", 0


def _pm(phone: Phone, args: list[str]) -> Result:
    match args:
        case ["list", "packages", *_]:
            return "".join(f"package:{package}\n" for package in sorted(PACKAGES)), 0
        case ["path", package] if package in PACKAGES:
            return f"package:/system/app/{package}/base.apk\n", 0
        case ["clear", package] if package in PACKAGES:
            return "Success\n", 0
    return "", 1


def _monkey(phone: Phone, args: list[str]) -> Result:
    """`monkey -p PACKAGE 1` is how many scripts start an app."""
    return _start(phone, args[args.index("-p") + 1], "", "")


def _uiautomator(phone: Phone, args: list[str]) -> Result:
    if args[0] != "dump":
        return f"Error: unknown uiautomator command {args[0]}\n", 1
    paths = [word for word in args[1:] if not word.startswith("--")]
    path = path_of(paths[0]) if paths else DUMP
    text = to_xml(phone.ui_tree(), screen.app_of(phone.state).package)
    said = f"UI hierchary dumped to: {path}\n"  # uiautomator's own spelling, which clients look for
    if path == "/dev/tty":
        return text + said, 0
    phone.files[path] = text
    return said, 0


def path_of(path: str) -> str:
    """One name for the same file: the card is mounted at several places."""
    return re.sub(r"^/(storage/emulated/0|mnt/sdcard)/", "/sdcard/", path)


def _screencap(phone: Phone, args: list[str]) -> Result:
    """A PNG, said or written to a file; the raw pixels that a phone has beside it are not offered."""
    names = [word for word in args if not word.startswith("-")]
    if "-p" not in args and not (names and names[-1].endswith(".png")):
        return "screencap: the simulated phone makes PNG only: screencap -p [FILE]\n", 1
    if not names:
        return png(phone), 0
    phone.files[path_of(names[-1])] = png(phone)
    return "", 0


def png(phone: PhoneDevice) -> str:
    """The screenshot, as `text_of` has it."""
    encoded = io.BytesIO()
    Image.fromarray(phone.screenshot()).save(encoded, "PNG", compress_level=1)
    return text_of(encoded.getvalue())


def _ls(phone: Phone, args: list[str]) -> Result:
    path = path_of(next((word for word in args if not word.startswith("-")), "/sdcard")).rstrip("/")
    inside = sorted(name[len(path) + 1 :] for name in phone.files if name.startswith(f"{path}/"))
    if inside or path in ("", "/sdcard", "/data/local/tmp"):
        return "".join(f"{name}\n" for name in inside), 0
    return (f"{path}\n", 0) if path in phone.files else (f"ls: {path}: No such file or directory\n", 1)


def _rm(phone: Phone, args: list[str]) -> Result:
    force = any(word.startswith("-") and "f" in word for word in args)
    gone = [phone.files.pop(path_of(word), None) is not None for word in args if not word.startswith("-")]
    return ("", 0) if force or all(gone) else ("rm: No such file or directory\n", 1)


def _which(phone: Phone, args: list[str]) -> Result:
    return (f"/system/bin/{args[0]}\n", 0) if args[0] in {*COMMANDS, *FILTERS} else ("", 1)


COMMANDS: dict[str, Callable[[Phone, list[str]], Result]] = {
    "input": _input,
    "wm": _wm,
    "dumpsys": _dumpsys,
    "getprop": _getprop,
    "settings": _settings,
    "am": _am,
    "pm": _pm,
    "monkey": _monkey,
    "uiautomator": _uiautomator,
    "screencap": _screencap,
    "ls": _ls,
    "rm": _rm,
    "which": _which,
    "echo": lambda phone, args: (" ".join(args) + "\n", 0),
    "true": lambda phone, args: ("", 0),
    "false": lambda phone, args: ("", 1),
    "sleep": lambda phone, args: ("", 0),
    "mkdir": lambda phone, args: ("", 0),
    "whoami": lambda phone, args: ("shell\n", 0),
    "exit": lambda phone, args: ("", int(args[0]) if args else 0),
}

"""Tasks about the phone itself: opening apps, switches, pickers, and the small apps."""

from random import Random

from agentlab_runner.envs.android.device import TaskSpec
from agentlab_runner.envs.android.hand import Route, Tap
from agentlab_runner.envs.android.sim import catalog
from agentlab_runner.envs.android.sim.apps import APPS
from agentlab_runner.envs.android.sim.state import PhoneState
from agentlab_runner.envs.android.tasks.template import Setup, Template, here, via

PICKERS = {"brightness": "display", "volume": "sound", "wallpaper": "display"}
"""Settings with more than two values, and the section they stand in."""
SIGNS = {"plus": "+", "minus": "-", "times": "x"}


def _opposite(state: PhoneState, task: TaskSpec, rng: Random) -> None:
    state.settings[task["setting"]] = "off" if task["value"] == "on" else "on"


def _two_off(state: PhoneState, task: TaskSpec, rng: Random) -> None:
    state.settings[task["first"]] = state.settings[task["second"]] = "off"


def _toggle(state: PhoneState, setting: str) -> Route:
    section = catalog.SECTION_OF[setting]
    return via(
        "settings", ("settings.root", [Tap(f"section/{section}")]), (f"settings.{section}", [Tap(f"toggle/{setting}")])
    )


def _two(state: PhoneState, task: TaskSpec) -> Route:
    todo = [name for name in (task["first"], task["second"]) if state.settings[name] == "off"]
    return _toggle(state, todo[0] if todo else task["first"])


def _sum(task: TaskSpec) -> str:
    return f"{task['a']}{SIGNS[task['sign']]}{task['b']}"


def _calculate(state: PhoneState, task: TaskSpec) -> Route:
    wanted, typed = _sum(task), state.page.fields.get("sum", "")
    key = "C" if not wanted.startswith(typed) else "=" if typed == wanted else wanted[len(typed)]
    return via("calculator", ("calculator.root", [Tap(f"key/{key}")]))


def _picker(name: str, values: tuple[str, ...], starts: tuple[str, ...], *goals: str) -> Template:
    """Choosing one of several values in the settings."""
    section = PICKERS[name]

    def other(state: PhoneState, task: TaskSpec, rng: Random) -> None:
        state.settings[name] = rng.choice([value for value in values if value != task["value"]])

    def route(state: PhoneState, task: TaskSpec) -> Route:
        pick = Tap(f"{name}/{task['value']}")
        return via("settings", ("settings.root", [Tap(f"section/{section}")]), (f"settings.{section}", [pick]))

    setup: Setup = other
    return Template(
        f"set_{name}",
        2,
        goals,
        {"value": values, "start": starts},
        setup=setup,
        done=lambda s, t: s.settings[name] == t["value"],
        route=route,
        slip="neighbour",
    )


TEMPLATES = (
    Template(
        "open_app",
        1,
        ("Open {app}", "Open the {app} app", "Launch {app}"),
        {"app": tuple(APPS), "start": ("home", "settings", "notes", "browser")},
        done=lambda s, t: here(s, f"{t['app']}.root"),
        route=lambda s, t: via(t["app"]),
        slip="neighbour",
        allowed=lambda p: p["app"] != p["start"],
    ),
    Template(
        "open_section",
        1,
        ("Open the {section} settings", "Go to {section} in the settings", "Show me the {section} settings"),
        {"section": tuple(catalog.SECTIONS), "start": ("home", "settings", "notes")},
        done=lambda s, t: here(s, f"settings.{t['section']}"),
        route=lambda s, t: via("settings", ("settings.root", [Tap(f"section/{t['section']}")])),
        slip="neighbour",
    ),
    Template(
        "play_song",
        1,
        ("Play the song {song}", "Listen to {song}"),
        {"song": tuple(catalog.SONGS), "start": ("home", "music")},
        done=lambda s, t: s.playing == t["song"],
        route=lambda s, t: via("music", ("music.root", [Tap(f"song/{t['song']}")])),
        slip="neighbour",
    ),
    Template(
        "take_photo",
        1,
        ("Take a photo", "Take a picture with the camera"),
        {"start": ("home", "settings", "notes", "camera")},
        done=lambda s, t: s.photos > 0,
        route=lambda s, t: via("camera", ("camera.root", [Tap("shutter")])),
        slip="early",
    ),
    Template(
        "toggle_setting",
        2,
        ("Turn {value} {setting}", "Switch {setting} {value}", "Please turn {setting} {value}"),
        {"setting": tuple(catalog.TOGGLES), "value": ("on", "off"), "start": ("home", "settings", "notes")},
        setup=_opposite,
        done=lambda s, t: s.settings[t["setting"]] == t["value"],
        route=lambda s, t: _toggle(s, t["setting"]),
        slip="neighbour",
    ),
    _picker(
        "brightness",
        catalog.BRIGHTNESS,
        ("home", "settings", "notes"),
        "Set the brightness to {value}",
        "Change the screen brightness to {value}",
    ),
    _picker(
        "volume",
        catalog.VOLUME,
        ("home", "settings", "notes"),
        "Set the volume to {value}",
        "Change the sound volume to {value}",
    ),
    _picker(
        "wallpaper",
        tuple(catalog.WALLPAPERS),
        ("home", "settings"),
        "Change the wallpaper to {value}",
        "Set a {value} wallpaper",
    ),
    Template(
        "two_settings",
        3,
        ("Turn on {first} and {second}", "Switch on both {first} and {second}"),
        {
            "first": ("wifi", "mobile data", "bluetooth", "nfc"),
            "second": ("night light", "vibration", "battery saver", "location", "auto rotate"),
            "start": ("home", "settings"),
        },
        setup=_two_off,
        done=lambda s, t: s.settings[t["first"]] == s.settings[t["second"]] == "on",
        route=_two,
        slip="early",
    ),
    Template(
        "calculate",
        3,
        ("Use the calculator: {a} {sign} {b}", "Calculate {a} {sign} {b}"),
        {"a": tuple("56789"), "sign": tuple(SIGNS), "b": tuple("12345")},
        done=lambda s, t: s.page.app == "calculator" and s.page.fields.get("asked") == _sum(t),
        route=_calculate,
    ),
)

"""What stands over an app: status and navigation bars, keyboard, pop-ups, toasts."""

from functools import lru_cache

from agentlab_runner.envs.android.sim.state import PhoneState, back, home, type_text
from agentlab_runner.envs.android.sim.widgets import (
    HEIGHT,
    KEYBOARD,
    NAV,
    STATUS,
    WIDTH,
    Look,
    Tap,
    Widget,
    button,
    label,
)

KEY_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")


MARKS = {"airplane mode": "plane", "bluetooth": "bluetooth", "do not disturb": "minus", "wifi": "wifi"}
"""What the status bar shows of what is switched on."""


def status(state: PhoneState) -> Widget:
    """The strip at the top: the time, and a mark for what is switched on."""
    return _status((*(icon for name, icon in MARKS.items() if state.settings.get(name) == "on"), "battery"))


@lru_cache(maxsize=16)
def _status(marks: tuple[str, ...]) -> Widget:
    widgets = [label("10:24", (20, 0, 300, STATUS), 44, "#ffffff", bold=True)]
    for i, icon in enumerate(reversed(marks)):
        look = Look(icon=icon, icon_size=56, place="centre", fill="#1b1f26")
        bounds = (994 - 70 * i, 12, 1050 - 70 * i, 68)
        widgets.append(Widget(bounds, look, f"status/{icon}", desc=icon, kind="ImageView"))
    return Widget((0, 0, WIDTH, STATUS), Look(fill="#1b1f26"), "status", children=tuple(widgets), frozen=True)


def navigation(state: PhoneState) -> Widget:
    """The strip at the bottom, with the same BACK and HOME as the keys."""
    return _navigation("#000000" if state.settings.get("dark mode") == "on" else "#ffffff")


@lru_cache(maxsize=2)
def _navigation(fill: str) -> Widget:
    buttons = tuple(
        Widget(
            (left, NAV, left + 240, HEIGHT),
            Look(fill=fill, icon=icon, icon_size=66, icon_color="#8b95a1", place="centre"),
            name,
            desc=name,
            kind="ImageView",
            on_tap=tap,
        )
        for left, name, icon, tap in ((120, "back", "back", back), (420, "home", "disc", home))
    )
    return Widget((0, NAV, WIDTH, HEIGHT), Look(fill=fill), "navigation", solid=True, children=buttons, frozen=True)


@lru_cache(maxsize=16)
def keyboard(submit: Tap) -> Widget:
    """Every key types; the tree shows the whole as one node, as uiautomator does."""
    keys = [
        _key(
            char,
            char,
            (i * 108 + shift + 6, KEYBOARD + 10 + line * 175, i * 108 + shift + 102, KEYBOARD + 165 + line * 175),
            _typing(char),
        )
        for line, (chars, shift) in enumerate(zip(KEY_ROWS, (0, 54, 162), strict=True))
        for i, char in enumerate(chars)
    ]
    low = KEYBOARD + 535
    keys += [
        _key("delete", "", (924, KEYBOARD + 360, 1074, KEYBOARD + 515), erase, "#9aa4b0", "back"),
        _key(",", ",", (168, low, 264, low + 155), _typing(",")),
        _key("space", "", (276, low, 804, low + 155), _typing(" ")),
        _key(".", ".", (816, low, 912, low + 155), _typing(".")),
        _key("enter", "", (924, low, 1074, low + 155), submit, "#1e66d0", "check"),
    ]
    return Widget(
        (0, KEYBOARD, WIDTH, NAV),
        Look(fill="#c3cad3"),
        "keyboard",
        kind="inputmethodservice.KeyboardView",
        solid=True,
        children=tuple(keys),
        frozen=True,
    )


def _typing(char: str) -> Tap:
    return lambda state: type_text(state, char)


def _key(
    name: str, text: str, bounds: tuple[int, int, int, int], tap: Tap, fill: str = "#ffffff", icon: str = ""
) -> Widget:
    look = Look(fill=fill, radius=18, size=60, align="centre", icon=icon, icon_size=80 if icon else 0, place="centre")
    return Widget(bounds, look, f"key/{name}", text, desc=name, kind="Key", on_tap=tap)


def erase(state: PhoneState) -> None:
    """The DEL key."""
    if state.focus:
        state.page.fields[state.focus] = state.page.fields.get(state.focus, "")[:-1]


POPUPS = {
    "restore": ("Restore tabs?", "The browser did not close well", "globe", "#1a9fd9", "Restore", "No thanks"),
    "cookies": ("We use cookies", "To make your visit better", "basket", "#7a5136", "Accept all", "Reject"),
    "ad": ("SUPER SALE", "Up to 70 % off today", "gift", "#d81fb0", "Show me", "Close"),
    "rate": ("Enjoying this app?", "Give us five stars", "star", "#fdb813", "Rate", "Later"),
}


def popup(state: PhoneState) -> list[Widget]:
    """A modal card with two buttons; both make it go away."""
    title, text, icon, fill, yes, no = POPUPS[state.popup]
    return [
        Widget((0, STATUS, WIDTH, NAV), Look(fill="#00000099"), "scrim", solid=True),
        Widget((90, 620, 990, 1660), Look(fill="#ffffff", radius=60, border=fill), "popup"),
        Widget((390, 690, 690, 990), Look(icon=icon, badge=fill, icon_size=300, place="centre"), "popup/icon"),
        label(title, (100, 1030, 980, 1170), 76, bold=True, align="centre"),
        label(text, (100, 1170, 980, 1280), 50, "#6a7480", align="centre"),
        button("popup/no", no, (140, 1400, 520, 1590), "#78838f", _dismiss),
        button("popup/yes", yes, (560, 1400, 940, 1590), fill, _dismiss),
    ]


def _dismiss(state: PhoneState) -> None:
    state.popup = ""


def toast(state: PhoneState) -> list[Widget]:
    return [
        Widget(
            (140, 1780, 940, 1900),
            Look(fill="#2b323c", radius=60, size=44, color="#ffffff", align="centre"),
            "toast",
            state.toast,
            kind="Toast",
        )
    ]

"""Clock: alarms, a timer with presets, a stopwatch."""

from dataclasses import replace
from functools import partial
from math import cos, pi, sin

from agentlab_runner.envs.android.sim.app import App
from agentlab_runner.envs.android.sim.state import Alarm, Page, PhoneState, close_page, opens
from agentlab_runner.envs.android.sim.widgets import (
    WIDTH,
    Look,
    Widget,
    backdrop,
    bar,
    button,
    chip,
    label,
    listing,
    row,
    theme,
)

FILL = "#37307f"
HOUR_FILLS = (
    "#b02a8f",
    "#e53935",
    "#fb8c00",
    "#d9a400",
    "#9ccc3c",
    "#2e9e48",
    "#00a59a",
    "#29b6f6",
    "#1e66d0",
    "#3b3fa8",
    "#8e3cc4",
    "#7a5136",
)
"""Colour of an alarm by its hour, 12 first: told apart where the digits cannot be read."""
PRESETS = (1, 3, 5, 10, 15, 20, 30, 45, 60)
MINUTES = ("00", "15", "30", "45")
TABS = (("root", "alarm", "Alarm"), ("timer", "timer", "Timer"), ("stopwatch", "clock", "Stopwatch"))


def _frame(state: PhoneState, page: Page, title: str, icon: str) -> list[Widget]:
    tabs = []
    for i, (name, picture, text) in enumerate(TABS):
        here = page.name == name
        look = Look(
            fill=FILL if here else "#8d88c4",
            icon=picture,
            icon_size=110,
            place="top",
            size=34,
            color="#ffffff",
            align="centre",
        )
        tabs.append(
            Widget(
                (i * 360, 1960, (i + 1) * 360 - 6, 2160),
                look,
                f"tab/{name}",
                text,
                kind="Tab",
                checked=here,
                on_tap=partial(_tab, name),
            )
        )
    return [backdrop(theme(state).back), *bar(title, FILL, icon), *tabs]


def _tab(name: str, state: PhoneState) -> None:
    state.page.name, state.page.scroll, state.page.fields = name, 0, {}


def alarms(state: PhoneState, page: Page) -> list[Widget]:
    rows = [
        row(
            f"alarm/{i}",
            alarm.time,
            "clock",
            HOUR_FILLS[alarm.hour % 12],
            opens("clock", "alarm", str(i)),
            theme(state),
            sub="Every day",
            trail="chevron",
        )
        for i, alarm in enumerate(state.alarms)
    ]
    switches = [
        Widget(
            (760, item.bounds[1], 920, item.bounds[3]),
            Look(trail="on" if state.alarms[int(item.id[6:])].on else "off"),
            item.id.replace("alarm", "switch"),
            kind="Switch",
            checked=state.alarms[int(item.id[6:])].on,
            desc=f"switch {item.text}",
            on_tap=partial(_switch, int(item.id[6:])),
        )
        for item in listing(page, rows, bottom=1900).children
    ]
    plus = Widget(
        (440, 1730, 640, 1930),
        Look(icon="plus", badge="#e0417f", icon_size=200, place="centre"),
        "add",
        desc="add alarm",
        kind="ImageButton",
        on_tap=opens("clock", "new", fields={"hour": "12", "minute": "00", "half": "AM"}),
    )
    return [*_frame(state, page, "Alarms", "alarm"), listing(page, rows, bottom=1700), *switches, plus]


def _switch(index: int, state: PhoneState) -> None:
    state.alarms[index] = replace(state.alarms[index], on=not state.alarms[index].on)


def new_alarm(state: PhoneState, page: Page) -> list[Widget]:
    look_of = theme(state)
    hour, minute, half = (page.fields.get(name, "") for name in ("hour", "minute", "half"))
    widgets = [
        backdrop(look_of.back),
        *bar("New alarm", "#e0417f", "alarm", [("save", "check", _save)]),
        label(f"{hour}:{minute} {half}", (0, 280, WIDTH, 500), 150, look_of.ink, bold=True, align="centre"),
        Widget((140, 540, 940, 1340), Look(fill=look_of.card, radius=400), "dial"),
    ]
    for value in range(1, 13):
        x, y = round(540 + 310 * sin(value * pi / 6)), round(940 - 310 * cos(value * pi / 6))
        chosen = hour == str(value)
        look = Look(
            fill=HOUR_FILLS[value % 12] if chosen else look_of.line,
            radius=75,
            size=60,
            bold=True,
            align="centre",
            color="#ffffff" if chosen else look_of.ink,
        )
        widgets.append(
            Widget(
                (x - 75, y - 75, x + 75, y + 75),
                look,
                f"hour/{value}",
                str(value),
                kind="RadioButton",
                checked=chosen,
                on_tap=partial(_pick, "hour", str(value)),
            )
        )
    for i, value_ in enumerate(MINUTES):
        widgets.append(
            chip(
                f"minute/{value_}",
                value_,
                (40 + i * 255, 1400, 275 + i * 255, 1580),
                minute == value_,
                "#3b3fa8",
                partial(_pick, "minute", value_),
                look_of,
            )
        )
    for i, value_ in enumerate(("AM", "PM")):
        widgets.append(
            chip(
                f"half/{value_}",
                value_,
                (40 + i * 510, 1640, 530 + i * 510, 1840),
                half == value_,
                "#fb8c00" if value_ == "AM" else "#20262e",
                partial(_pick, "half", value_),
                look_of,
            )
        )
    return widgets


def _pick(name: str, value: str, state: PhoneState) -> None:
    state.page.fields[name] = value


def _save(state: PhoneState) -> None:
    fields = state.page.fields
    alarm = Alarm(int(fields["hour"]), int(fields["minute"]), fields["half"] == "PM")
    state.alarms.append(alarm)
    close_page(state)
    state.toast = f"Alarm set for {alarm.time}"


def one_alarm(state: PhoneState, page: Page) -> list[Widget]:
    index = int(page.args[0])
    if index >= len(state.alarms):
        return [backdrop(theme(state).back), *bar("No such alarm", FILL, "alarm")]
    alarm = state.alarms[index]
    colour = HOUR_FILLS[alarm.hour % 12]
    return [
        backdrop(theme(state).back),
        *bar("Alarm", colour, "alarm", [("delete", "trash", partial(_delete, index))]),
        Widget((290, 420, 790, 920), Look(icon="clock", badge=colour, icon_size=500, place="centre"), "face"),
        label(alarm.time, (0, 960, WIDTH, 1160), 130, theme(state).ink, bold=True, align="centre"),
        button(
            "switch",
            "Turn off" if alarm.on else "Turn on",
            (190, 1260, 890, 1440),
            "#78838f" if alarm.on else "#14b84b",
            partial(_switch, index),
        ),
    ]


def _delete(index: int, state: PhoneState) -> None:
    del state.alarms[index]
    close_page(state)
    state.toast = "Alarm deleted"


def timer(state: PhoneState, page: Page) -> list[Widget]:
    look_of, chosen = theme(state), page.fields.get("minutes", "")
    shown = f"{state.timer or chosen or 0}:00"
    widgets = [
        *_frame(state, page, "Timer", "timer"),
        label(shown, (0, 280, WIDTH, 520), 160, look_of.ink, bold=True, align="centre"),
    ]
    if state.timer:
        return [
            *widgets,
            Widget(
                (240, 560, 840, 1160), Look(icon="timer", badge="#14b84b", icon_size=600, place="centre"), "running"
            ),
            button("stop", "Stop", (290, 1620, 790, 1820), "#e53935", lambda s: setattr(s, "timer", 0), icon="stop"),
        ]
    for i, minutes in enumerate(PRESETS):
        left, top = 40 + (i % 3) * 340, 560 + (i // 3) * 330
        widgets.append(
            chip(
                f"minutes/{minutes}",
                f"{minutes} min",
                (left, top, left + 320, top + 300),
                chosen == str(minutes),
                "#e0417f",
                partial(_pick, "minutes", str(minutes)),
                look_of,
            )
        )
    if chosen:
        widgets.append(button("start", "Start", (290, 1620, 790, 1820), "#14b84b", _start, icon="play"))
    return widgets


def _start(state: PhoneState) -> None:
    state.timer = int(state.page.fields["minutes"])


def stopwatch(state: PhoneState, page: Page) -> list[Widget]:
    run = state.stopwatch
    return [
        *_frame(state, page, "Stopwatch", "clock"),
        Widget(
            (190, 420, 890, 1120),
            Look(icon="clock", badge="#14b84b" if run else "#78838f", icon_size=700, place="centre"),
            "face",
        ),
        label("running" if run else "00:00", (0, 1180, WIDTH, 1360), 110, theme(state).ink, bold=True, align="centre"),
        button(
            "stop" if run else "start",
            "Stop" if run else "Start",
            (290, 1620, 790, 1820),
            "#e53935" if run else "#14b84b",
            lambda s: setattr(s, "stopwatch", not s.stopwatch),
            icon="stop" if run else "play",
        ),
    ]


APP = App(
    "clock",
    "Clock",
    "clock",
    FILL,
    {"root": alarms, "new": new_alarm, "alarm": one_alarm, "timer": timer, "stopwatch": stopwatch},
)

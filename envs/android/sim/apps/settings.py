"""Settings: ten sections of switches, three pickers, and a search over all of them."""

from functools import partial

from agentlab_runner.envs.android.sim import catalog
from agentlab_runner.envs.android.sim.app import App
from agentlab_runner.envs.android.sim.state import Page, PhoneState, opens
from agentlab_runner.envs.android.sim.widgets import (
    Look,
    Widget,
    backdrop,
    bar,
    chip,
    label,
    listing,
    row,
    text_field,
    theme,
)

FILL = "#5c6b7a"


def flip(name: str, state: PhoneState) -> None:
    state.settings[name] = "off" if state.settings.get(name) == "on" else "on"


def choose(name: str, value: str, state: PhoneState) -> None:
    state.settings[name] = value
    state.toast = f"{name} set to {value}"


def root(state: PhoneState, page: Page) -> list[Widget]:
    query, look_of = page.fields.get("find", "").strip().lower(), theme(state)
    if query:
        rows = [switch(name, state) for name in catalog.TOGGLES if query in name]
    else:
        rows = [
            row(
                f"section/{name}",
                name.capitalize(),
                entity.icon,
                entity.fill,
                opens("settings", name),
                look_of,
                sub=", ".join(toggles[:2]),
                trail="chevron",
            )
            for name, (entity, toggles) in catalog.SECTIONS.items()
        ]
    return [
        backdrop(look_of.back),
        *bar("Settings", FILL, "gear"),
        *text_field(state, "find", "Search settings", (30, 280, 1050, 420), icon="search", accent=FILL),
        listing(page, rows, top=440),
    ]


def switch(name: str, state: PhoneState) -> Widget:
    entity = catalog.TOGGLES[name]
    return row(
        f"toggle/{name}",
        name.capitalize(),
        entity.icon,
        entity.fill,
        partial(flip, name),
        theme(state),
        trail=state.settings.get(name, "off"),
        round_=False,
    )


def section(state: PhoneState, page: Page) -> list[Widget]:
    entity, names = catalog.SECTIONS[page.name]
    look_of = theme(state)
    widgets = [backdrop(look_of.back), *bar(page.name.capitalize(), entity.fill, entity.icon)]
    top = 280
    if names:
        height = 220
        widgets.append(
            listing(
                page, [switch(name, state) for name in names], top=top, bottom=top + height * len(names), height=height
            )
        )
        top += height * len(names) + 40
    if page.name == "display":
        widgets += _picker("brightness", entity.fill, catalog.BRIGHTNESS, top, state)
        widgets += _wallpapers(top + 380, state)
    if page.name == "sound":
        widgets += _picker("volume", entity.fill, catalog.VOLUME, top, state)
    if page.name == "about":
        widgets += [
            label(text, (60, 320 + 130 * i, 1020, 440 + 130 * i), color=look_of.ink, size=52)
            for i, text in enumerate(("Agentlab phone", "Android 9", "1080 x 2280", "555-0100"))
        ]
    return widgets


def _picker(name: str, fill: str, values: tuple[str, ...], top: int, state: PhoneState) -> list[Widget]:
    look_of = theme(state)
    return [
        label(name.capitalize(), (60, top, 1020, top + 100), color=look_of.ink, bold=True),
        *(
            chip(
                f"{name}/{value}",
                value.capitalize(),
                (50 + i * 330, top + 110, 370 + i * 330, top + 300),
                state.settings.get(name) == value,
                fill,
                partial(choose, name, value),
                look_of,
            )
            for i, value in enumerate(values)
        ),
    ]


def _wallpapers(top: int, state: PhoneState) -> list[Widget]:
    widgets = [label("Wallpaper", (60, top, 1020, top + 100), color=theme(state).ink, bold=True)]
    for i, (name, (dark, _)) in enumerate(catalog.WALLPAPERS.items()):
        left, high = 50 + (i % 3) * 330, top + 110 + (i // 3) * 200
        chosen = state.settings.get("wallpaper") == name
        look = Look(fill=dark, radius=60, icon="check" if chosen else "", icon_size=120, place="centre")
        widgets.append(
            Widget(
                (left, high, left + 320, high + 180),
                look,
                f"wallpaper/{name}",
                desc=name,
                kind="RadioButton",
                on_tap=partial(choose, "wallpaper", name),
                checked=chosen,
            )
        )
    return widgets


APP = App("settings", "Settings", "gear", FILL, {"root": root, **dict.fromkeys(catalog.SECTIONS, section)})

"""Camera, Gallery and Music: three small apps."""

from functools import partial

from agentlab_runner.envs.android.sim import catalog
from agentlab_runner.envs.android.sim.app import App
from agentlab_runner.envs.android.sim.state import Page, PhoneState, open_page, opens
from agentlab_runner.envs.android.sim.widgets import (
    WIDTH,
    Look,
    Widget,
    backdrop,
    bar,
    label,
    listing,
    row,
    theme,
    tile,
)

PHOTO_FILLS = tuple(dark for dark, _ in catalog.WALLPAPERS.values())


def camera(state: PhoneState, page: Page) -> list[Widget]:
    return [
        backdrop("#0d0f12"),
        *bar("Camera", "#20262e", "camera"),
        Widget((60, 300, 1020, 1640), Look(fill="#7fb4f0,#2f6b46"), "viewfinder"),
        Widget(
            (400, 1760, 680, 2040),
            Look(icon="ring", icon_size=280, icon_color="#ffffff", place="centre"),
            "shutter",
            desc="take photo",
            kind="ImageButton",
            on_tap=_shoot,
        ),
        Widget(
            (100, 1810, 280, 1990),
            Look(icon="picture", badge="#8e3cc4", badge_radius=0.2, icon_size=180, place="centre"),
            "gallery",
            desc="gallery",
            kind="ImageButton",
            on_tap=opens("gallery", "root"),
        ),
    ]


def _shoot(state: PhoneState) -> None:
    state.photos += 1
    state.toast = "Photo taken"


def gallery(state: PhoneState, page: Page) -> list[Widget]:
    widgets = [backdrop(theme(state).back), *bar("Gallery", "#8e3cc4", "picture")]
    if not state.photos:
        return [*widgets, label("No photos yet", (0, 900, WIDTH, 1060), 64, theme(state).mute, align="centre")]
    for i in range(min(state.photos, 15)):
        left, top = 20 + (i % 3) * 350, 290 + (i // 3) * 360
        widgets.append(
            tile(
                f"photo/{i}",
                "",
                (left, top, left + 340, top + 350),
                "picture",
                PHOTO_FILLS[i % 6],
                partial(_view, i),
                size=330,
                radius=0.04,
            )
        )
    return widgets


def _view(index: int, state: PhoneState) -> None:
    open_page(state, "gallery", "photo", str(index))


def photo(state: PhoneState, page: Page) -> list[Widget]:
    fill = PHOTO_FILLS[int(page.args[0]) % 6]
    return [
        backdrop("#0d0f12"),
        *bar("Photo", fill, "picture", [("delete", "trash", _delete)]),
        Widget((60, 420, 1020, 1900), Look(fill=fill, icon="picture", icon_size=800, place="centre"), "photo"),
    ]


def _delete(state: PhoneState) -> None:
    state.photos = max(0, state.photos - 1)
    state.stack.pop()
    state.toast = "Photo deleted"


def music(state: PhoneState, page: Page) -> list[Widget]:
    rows = [
        row(
            f"song/{name}",
            name,
            entity.icon,
            entity.fill,
            partial(_play, name),
            theme(state),
            sub="Playing" if state.playing == name else "3:20",
            trail="pause" if state.playing == name else "play",
            round_=False,
        )
        for name, entity in catalog.SONGS.items()
    ]
    return [backdrop(theme(state).back), *bar("Music", "#e0417f", "music"), listing(page, rows, height=220)]


def _play(name: str, state: PhoneState) -> None:
    state.playing = "" if state.playing == name else name


CAMERA = App("camera", "Camera", "camera", "#20262e", {"root": camera})
GALLERY = App("gallery", "Gallery", "picture", "#8e3cc4", {"root": gallery, "photo": photo})
MUSIC = App("music", "Music", "music", "#e0417f", {"root": music})

"""Draws the contact sheets of docs/android.md: python -m docs.draw_pictures (in the clone)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from agentlab_runner.envs.android import tasks
from agentlab_runner.envs.android.actions import AitwParser
from agentlab_runner.envs.android.devices.sim import SimPhone
from agentlab_runner.envs.android.env import AndroidEnv
from agentlab_runner.envs.android.evaluators import Programmatic
from agentlab_runner.envs.android.scripted_user import ScriptedUser
from agentlab_runner.envs.android.sim.apps import APPS
from agentlab_runner.envs.android.sim.state import open_app, open_page
from agentlab_runner.runners.run.episodes import draw_marks

FOLDER = Path(__file__).parent / "pictures"
Pixels = NDArray[np.uint8]
Tile = tuple[str, Pixels]
WIDTH, COLUMNS, GAP, CAPTION, COLOURS = 180, 7, 10, 20, 128


def sheet(tiles: Sequence[Tile]) -> Image.Image:
    """Captioned screenshots in rows, in few colours so that the file stays small."""
    size = WIDTH, WIDTH * 570 // 270
    width, height = size[0] + GAP, size[1] + CAPTION + GAP
    columns = min(len(tiles), COLUMNS)
    rows = -(-len(tiles) // columns)
    canvas = Image.new("RGB", (columns * width + GAP, rows * height + GAP), "white")
    pen, font = ImageDraw.Draw(canvas), ImageFont.load_default(size=12)
    for number, (caption, pixels) in enumerate(tiles):
        left, top = GAP + number % columns * width, GAP + number // columns * height
        pen.text((left, top), caption, fill="black", font=font)
        shrunk = pixels.shape[1] > size[0]
        filter_ = Image.Resampling.BOX if shrunk else Image.Resampling.NEAREST
        canvas.paste(Image.fromarray(pixels).resize(size, filter_), (left, top + CAPTION))
        pen.rectangle((left - 1, top + CAPTION - 1, left + size[0], top + CAPTION + size[1]), outline="#b0b8c0")
    return canvas.quantize(COLOURS)


def apps() -> list[Tile]:
    """The home screen, every app's first page, and a few pages further in."""
    phone = SimPhone(popup_rate=0, slow_rate=0)
    tiles = [("home", phone.screenshot())]
    for name in APPS:
        phone.reset(None, 3)
        open_app(phone.state, name)
        tiles.append((name, phone.screenshot()))
    for app, page, *args in (("settings", "display"), ("clock", "new"), ("browser", "home", "ebay")):
        phone.reset(None, 3)
        open_page(phone.state, app, page, *args)
        tiles.append((" ".join([app, page, *args]), phone.screenshot()))
    return tiles


def episode(template: str) -> list[Tile]:
    """An expert at work, with what it does drawn on every screen."""
    env = AndroidEnv(SimPhone(popup_rate=0, slow_rate=0), Programmatic(), AitwParser(), "all", sampling="sequential")
    number = [task.template for task in tasks.tasks("all", "train")].index(template)
    observation, _ = env.reset(seed=1, options={"episode": number})
    user, tiles = ScriptedUser(), []
    user.begin(env, 1)
    while True:
        before = observation["image"]
        observation, _, terminated, truncated, info = env.step(user.decide(env))
        tiles.append((_say(info["marks"][0]), draw_marks(before, info["marks"])))
        if terminated or truncated:
            return [*tiles, (info["stop"], observation["image"])]


def views() -> list[Tile]:
    """What stands between an agent and its task, and what the tiny policy sees of a screen."""
    tiles = []
    for caption, popup, slow in (("a pop-up over the page", 1.0, 0.0), ("a page that is slow to load", 0.0, 1.0)):
        phone = SimPhone(popup_rate=popup, slow_rate=slow)
        open_app(phone.state, "contacts")
        tiles.append((caption, phone.screenshot()))
    phone = SimPhone(popup_rate=0, slow_rate=0)
    for app in ("contacts", "settings"):
        phone.reset(None, 3)
        open_app(phone.state, app)
        small = Image.fromarray(phone.screenshot()).resize((96, 96), Image.Resampling.BICUBIC)
        tiles.append((f"{app} at 96 x 96", np.asarray(small)))
    return tiles


def _say(mark: dict[str, str]) -> str:
    return f"{mark['kind']} {mark.get('text', '')}".strip()


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, tiles in (("apps", apps()), ("episode", episode("shop_open_first")), ("views", views())):
        file = FOLDER / f"{name}.png"
        sheet(tiles).save(file, optimize=True)
        print(f"{file.name}: {file.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()

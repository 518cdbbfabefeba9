"""Draws the contact sheet of docs/alfworld.md: python -m docs.draw_household (in the clone)."""

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

import agentlab_runner.envs.alfworld
from agentlab_runner.envs.alfworld.expert import Expert

FILE = Path(__file__).parent / "pictures" / "household.png"
SIDE, GAP, CAPTION, COLUMNS, COLOURS = 200, 8, 18, 5, 128


def episode() -> list[Image.Image]:
    """An expert heating something: the place before each command, with the command above it, and the end."""
    env = agentlab_runner.envs.alfworld.make(
        task_types=["pick_heat_then_place_in_recep"], things=["mug"], receptacles=8, objects=14, observation="both"
    )
    expert = Expert()
    observation, _ = env.reset(seed=5)
    expert.begin(env, 5)
    tiles, ended = [], False
    while not ended:
        picture = observation["image"]
        observation, _, ended, _, info = env.step(expert.decide(env))
        tiles.append(captioned(info["command"], Image.fromarray(picture)))
    return [*tiles, captioned("done", Image.fromarray(observation["image"]))]


def captioned(text: str, picture: Image.Image) -> Image.Image:
    tile = Image.new("RGB", (SIDE + GAP, SIDE + CAPTION + GAP), "white")
    tile.paste(picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS), (0, CAPTION))
    ImageDraw.Draw(tile).text((0, 2), text, fill="black", font=ImageFont.load_default(size=12))
    return tile


def main() -> None:
    tiles = episode()
    rows = -(-len(tiles) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * (SIDE + GAP), rows * (SIDE + CAPTION + GAP)), "white")
    for number, tile in enumerate(tiles):
        sheet.paste(tile, (number % COLUMNS * tile.width, number // COLUMNS * tile.height))
    sheet.quantize(COLOURS).save(FILE, optimize=True)


if __name__ == "__main__":
    main()

"""A shape and a colour for every kind of thing and of furniture."""

from typing import TYPE_CHECKING

from agentlab_runner.envs.alfworld.catalog import Kind

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

Box = tuple[float, float, float, float]
Colour = tuple[int, int, int]
Part = tuple[str, float, float, float, float]
"""A shape (`box`, `oval`, `line`) with left, top, right and bottom in fractions of the icon."""

INK: Colour = (40, 40, 40)
INSIDE: Colour = (224, 208, 184)

_SHAPES: dict[str, tuple[Part, ...]] = {
    "ball": (("oval", 0.15, 0.2, 0.85, 0.9), ("line", 0.5, 0.22, 0.6, 0.05)),
    "egg": (("oval", 0.25, 0.1, 0.75, 0.9),),
    "loaf": (("oval", 0.1, 0.2, 0.9, 0.7), ("box", 0.1, 0.45, 0.9, 0.85)),
    "leaves": (("oval", 0.05, 0.3, 0.6, 0.9), ("oval", 0.4, 0.3, 0.95, 0.9), ("oval", 0.25, 0.1, 0.75, 0.7)),
    "cup": (("box", 0.25, 0.2, 0.75, 0.9),),
    "mug": (("oval", 0.55, 0.35, 0.95, 0.75), ("box", 0.15, 0.2, 0.7, 0.9)),
    "bowl": (("oval", 0.05, 0.3, 0.95, 0.9), ("box", 0.05, 0.25, 0.95, 0.55)),
    "plate": (("oval", 0.02, 0.3, 0.98, 0.8), ("oval", 0.22, 0.4, 0.78, 0.7)),
    "pan": (("oval", 0.02, 0.3, 0.65, 0.85), ("box", 0.6, 0.5, 0.98, 0.62)),
    "pot": (("box", 0.02, 0.42, 0.98, 0.55), ("box", 0.18, 0.3, 0.82, 0.9)),
    "kettle": (("line", 0.75, 0.6, 0.98, 0.3), ("oval", 0.15, 0.3, 0.8, 0.95), ("box", 0.38, 0.12, 0.58, 0.32)),
    "fork": (("box", 0.44, 0.4, 0.56, 0.98), ("box", 0.28, 0.05, 0.36, 0.45), ("box", 0.46, 0.05, 0.54, 0.45),
             ("box", 0.64, 0.05, 0.72, 0.45), ("box", 0.28, 0.38, 0.72, 0.48)),
    "knife": (("box", 0.4, 0.02, 0.62, 0.6), ("box", 0.44, 0.6, 0.58, 0.98)),
    "spoon": (("oval", 0.3, 0.02, 0.7, 0.42), ("box", 0.45, 0.4, 0.55, 0.98)),
    "shaker": (("box", 0.3, 0.35, 0.7, 0.95), ("oval", 0.3, 0.1, 0.7, 0.5)),
    "bottle": (("box", 0.42, 0.02, 0.58, 0.35), ("box", 0.28, 0.32, 0.72, 0.98)),
    "slab": (("box", 0.08, 0.3, 0.92, 0.75),),
    "card": (("box", 0.08, 0.25, 0.92, 0.8), ("line", 0.08, 0.42, 0.92, 0.42)),
    "book": (("box", 0.12, 0.1, 0.88, 0.9), ("line", 0.26, 0.1, 0.26, 0.9)),
    "pen": (("line", 0.15, 0.9, 0.85, 0.1), ("oval", 0.08, 0.82, 0.2, 0.96)),
    "disc": (("oval", 0.05, 0.05, 0.95, 0.95), ("oval", 0.38, 0.38, 0.62, 0.62)),
    "phone": (("box", 0.28, 0.05, 0.72, 0.95), ("oval", 0.44, 0.8, 0.56, 0.92)),
    "key": (("oval", 0.05, 0.3, 0.45, 0.7), ("line", 0.45, 0.5, 0.95, 0.5), ("line", 0.85, 0.5, 0.85, 0.7)),
    "watch": (("box", 0.38, 0.02, 0.62, 0.98), ("oval", 0.2, 0.25, 0.8, 0.75)),
    "clock": (("oval", 0.1, 0.1, 0.9, 0.9), ("line", 0.5, 0.5, 0.5, 0.22), ("line", 0.5, 0.5, 0.7, 0.6)),
    "candle": (("box", 0.36, 0.35, 0.64, 0.98), ("oval", 0.42, 0.08, 0.58, 0.35)),
    "statue": (("oval", 0.35, 0.02, 0.65, 0.32), ("box", 0.3, 0.32, 0.7, 0.8), ("box", 0.15, 0.8, 0.85, 0.98)),
    "vase": (("oval", 0.2, 0.35, 0.8, 0.98), ("box", 0.36, 0.08, 0.64, 0.45)),
    "tissues": (("box", 0.08, 0.45, 0.92, 0.9), ("oval", 0.3, 0.15, 0.7, 0.5)),
    "laptop": (("box", 0.15, 0.1, 0.85, 0.62), ("box", 0.02, 0.66, 0.98, 0.85)),
    "pillow": (("oval", 0.02, 0.15, 0.98, 0.85),),
    "roll": (("box", 0.2, 0.25, 0.8, 0.85), ("oval", 0.2, 0.12, 0.8, 0.4), ("oval", 0.42, 0.2, 0.58, 0.32)),
    "lamp": (("line", 0.5, 0.4, 0.5, 0.9), ("box", 0.25, 0.86, 0.75, 0.96), ("oval", 0.1, 0.02, 0.9, 0.55)),
    "table": (("box", 0.0, 0.2, 1.0, 0.32), ("box", 0.05, 0.32, 0.14, 1.0), ("box", 0.86, 0.32, 0.95, 1.0)),
    "block": (("box", 0.0, 0.1, 1.0, 1.0), ("box", 0.0, 0.02, 1.0, 0.14)),
    "seat": (("box", 0.0, 0.1, 1.0, 0.9), ("box", 0.0, 0.5, 0.14, 1.0), ("box", 0.86, 0.5, 1.0, 1.0)),
    "bed": (("box", 0.0, 0.05, 0.08, 1.0), ("box", 0.0, 0.4, 1.0, 0.9), ("oval", 0.1, 0.25, 0.4, 0.55)),
    "shelves": (("box", 0.0, 0.02, 1.0, 0.1), ("box", 0.0, 0.9, 1.0, 0.98), ("box", 0.0, 0.02, 0.06, 0.98),
                ("box", 0.94, 0.02, 1.0, 0.98)),
    "basin": (("oval", 0.0, 0.15, 1.0, 1.0), ("oval", 0.08, 0.22, 0.92, 0.92), ("box", 0.46, 0.0, 0.54, 0.3)),
    "bin": (("box", 0.1, 0.12, 0.9, 1.0), ("box", 0.02, 0.04, 0.98, 0.14)),
    "burner": (("box", 0.0, 0.1, 1.0, 1.0), ("oval", 0.15, 0.2, 0.85, 0.9)),
    "machine": (("box", 0.05, 0.0, 0.95, 0.3), ("box", 0.05, 0.0, 0.25, 1.0), ("box", 0.05, 0.88, 0.95, 1.0)),
    "bowl_seat": (("box", 0.2, 0.0, 0.8, 0.35), ("oval", 0.05, 0.3, 0.95, 1.0)),
    "bar": (("box", 0.0, 0.12, 1.0, 0.22), ("box", 0.0, 0.05, 0.08, 0.3), ("box", 0.92, 0.05, 1.0, 0.3)),
    "door": (("box", 0.0, 0.0, 1.0, 1.0), ("oval", 0.82, 0.46, 0.92, 0.56)),
}  # fmt: skip

_THINGS: dict[Kind, tuple[str, Colour]] = {
    "apple": ("ball", (214, 40, 40)), "bread": ("loaf", (205, 145, 80)), "egg": ("egg", (250, 240, 215)),
    "lettuce": ("leaves", (95, 185, 70)), "potato": ("egg", (165, 120, 70)), "tomato": ("ball", (250, 95, 60)),
    "butterknife": ("knife", (225, 205, 130)), "fork": ("fork", (170, 175, 185)), "knife": ("knife", (150, 155, 170)),
    "ladle": ("spoon", (110, 115, 130)), "spatula": ("knife", (70, 70, 80)), "spoon": ("spoon", (190, 195, 205)),
    "bowl": ("bowl", (90, 150, 215)), "cup": ("cup", (150, 215, 235)), "mug": ("mug", (235, 130, 40)),
    "plate": ("plate", (245, 245, 250)), "kettle": ("kettle", (125, 140, 160)), "pan": ("pan", (60, 60, 65)),
    "pot": ("pot", (135, 100, 90)), "peppershaker": ("shaker", (60, 55, 60)), "saltshaker": ("shaker", (250, 250, 250)),
    "dishsponge": ("slab", (250, 215, 60)), "soapbottle": ("bottle", (110, 205, 170)),
    "spraybottle": ("bottle", (90, 120, 220)), "cloth": ("slab", (150, 190, 240)), "soapbar": ("slab", (245, 170, 200)),
    "toiletpaper": ("roll", (248, 248, 244)), "book": ("book", (150, 50, 60)), "newspaper": ("book", (205, 205, 200)),
    "pen": ("pen", (30, 60, 180)), "pencil": ("pen", (235, 175, 40)), "cd": ("disc", (205, 215, 240)),
    "cellphone": ("phone", (45, 50, 60)), "creditcard": ("card", (70, 110, 190)), "keychain": ("key", (215, 170, 50)),
    "remotecontrol": ("phone", (120, 125, 130)), "watch": ("watch", (130, 90, 50)),
    "alarmclock": ("clock", (240, 90, 90)), "candle": ("candle", (245, 225, 170)),
    "statue": ("statue", (165, 160, 150)),
    "tissuebox": ("tissues", (170, 140, 210)), "vase": ("vase", (60, 150, 140)), "laptop": ("laptop", (95, 100, 115)),
    "pillow": ("pillow", (225, 205, 235)), "desklamp": ("lamp", (240, 205, 90)), "floorlamp": ("lamp", (220, 170, 60)),
}  # fmt: skip

_FURNITURE: dict[Kind, tuple[str, Colour]] = {
    "armchair": ("seat", (120, 150, 110)), "bathtubbasin": ("basin", (220, 235, 245)),
    "bed": ("bed", (165, 185, 225)),
    "cabinet": ("door", (176, 128, 82)), "coffeemachine": ("machine", (80, 80, 90)),
    "coffeetable": ("table", (140, 95, 60)), "countertop": ("block", (190, 190, 195)),
    "desk": ("table", (165, 120, 75)),
    "diningtable": ("table", (195, 150, 95)), "drawer": ("door", (205, 165, 120)), "dresser": ("block", (150, 105, 75)),
    "fridge": ("door", (225, 232, 240)), "garbagecan": ("bin", (110, 120, 110)),
    "handtowelholder": ("bar", (150, 150, 160)), "microwave": ("door", (95, 95, 105)),
    "safe": ("door", (105, 120, 135)),
    "shelf": ("shelves", (170, 130, 90)), "sidetable": ("table", (120, 80, 60)),
    "sinkbasin": ("basin", (185, 210, 225)),
    "sofa": ("seat", (170, 110, 110)),
    "stoveburner": ("burner", (60, 60, 65)),
    "toilet": ("bowl_seat", (240, 240, 245)),
    "toiletpaperhanger": ("bar", (195, 195, 205)), "tvstand": ("block", (90, 80, 80)),
}  # fmt: skip
_STRANGE = ("slab", (200, 120, 200))
"""Kinds of ALFWorld's own games that no scene made here has."""


def thing_icon(pen: "ImageDraw", kind: Kind, box: Box) -> None:
    """A thing, filling a box in pixels."""
    shape, colour = _THINGS.get(kind, _STRANGE)
    _shape(pen, shape, colour, box)


def receptacle_icon(pen: "ImageDraw", kind: Kind, box: Box, opened: bool) -> None:
    """A piece of furniture; with its door open one sees into it."""
    shape, colour = _FURNITURE.get(kind, ("block", _STRANGE[1]))
    if opened:
        left, top, right, bottom = box
        frame = 0.05 * (right - left)
        _shape(pen, "block", colour, box)
        pen.rectangle((left + frame, top + frame, right - frame, bottom - frame), fill=INSIDE)
        return
    _shape(pen, shape, colour, box)


def _shape(pen: "ImageDraw", shape: str, colour: Colour, box: Box) -> None:
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    line = max(1, round(min(width, height) / 40))
    for kind, x0, y0, x1, y1 in _SHAPES[shape]:
        where = (left + x0 * width, top + y0 * height, left + x1 * width, top + y1 * height)
        if kind == "oval":
            pen.ellipse(where, fill=colour, outline=INK, width=line)
        elif kind == "box":
            pen.rectangle(where, fill=colour, outline=INK, width=line)
        else:
            pen.line(where, fill=INK, width=2 * line)

"""What stands in a house, what may lie where, and what can be done to it: the facts scenes are generated from.

Kinds are ALFRED's (arXiv 1912.01734), in lower case as the games write them.
"""

from dataclasses import dataclass

Kind = str

FOOD = ("apple", "bread", "egg", "lettuce", "potato", "tomato")
CUTLERY = ("butterknife", "fork", "knife", "ladle", "spatula", "spoon")
DISHES = ("bowl", "cup", "mug", "plate")
COOKWARE = ("kettle", "pan", "pot")
SPICES = ("peppershaker", "saltshaker")
CLEANING = ("dishsponge", "soapbottle", "spraybottle")
BATH = ("cloth", "soapbar", "toiletpaper")
READING = ("book", "newspaper", "pen", "pencil")
POCKET = ("cd", "cellphone", "creditcard", "keychain", "remotecontrol", "watch")
DECOR = ("alarmclock", "candle", "statue", "tissuebox", "vase")
SOFT = ("laptop", "pillow")
LAMP = "desklamp"

OPENABLE = frozenset({"cabinet", "drawer", "fridge", "microwave", "safe"})
"""Receptacles that are closed at first."""
HEATABLE = frozenset({"apple", "bread", "cup", "egg", "mug", "plate", "potato", "tomato"})
COOLABLE = frozenset({*FOOD, *DISHES, "pan", "pot"})
CLEANABLE = frozenset({*CUTLERY, *DISHES, *COOKWARE, "cloth", "dishsponge", "soapbar"} | set(FOOD) - {"bread"})
SLICEABLE = frozenset(FOOD)
CUTTING = ("knife", "butterknife")
TOGGLEABLE = frozenset({LAMP, "floorlamp"})
HOLLOW = frozenset({*DISHES, "pan", "pot"})
"""Things the engine calls receptacle objects: examining one says what is in it."""

_LIVING = (*READING, *POCKET, *DECOR, "bowl", "laptop")
_TABLE = (*FOOD, *CUTLERY, *DISHES, *COOKWARE, *SPICES, *CLEANING, *READING, *POCKET, *DECOR, *BATH, "laptop")
HOLDS: dict[Kind, frozenset[Kind]] = {
    kind: frozenset(things)
    for kind, things in {
        "armchair": (*SOFT, *READING, *POCKET, "cloth"),
        "bathtubbasin": BATH,
        "bed": (*SOFT, *POCKET, "book"),
        "cabinet": (*DISHES, *COOKWARE, *SPICES, *CLEANING, *BATH, *DECOR, "ladle"),
        "coffeemachine": ("mug",),
        "coffeetable": (*_LIVING, "plate", "mug"),
        "countertop": _TABLE,
        "desk": (*_LIVING, "mug", "plate", "cup", "soapbottle", LAMP),
        "diningtable": _TABLE,
        "drawer": (*CUTLERY, *SPICES, *CLEANING, *BATH, *READING, *POCKET, "candle", "tissuebox"),
        "dresser": (*_LIVING, "cup", "mug", "plate", LAMP),
        "fridge": (*FOOD, *DISHES, "pan", "pot"),
        "garbagecan": (*FOOD, *BATH, *READING, "dishsponge", "soapbottle", "cd", "tissuebox"),
        "handtowelholder": ("cloth",),
        "microwave": ("apple", "bread", "egg", "potato", "tomato", *DISHES),
        "safe": ("cd", "cellphone", "creditcard", "keychain", "statue", "vase", "watch"),
        "shelf": (*_LIVING, *DISHES, *SPICES, *CLEANING, *BATH, LAMP),
        "sidetable": (*_LIVING, *BATH, "mug", "plate", LAMP),
        "sinkbasin": (*FOOD, *CUTLERY, *DISHES, *COOKWARE, "cloth", "dishsponge", "soapbar"),
        "sofa": (*SOFT, *READING, *POCKET),
        "stoveburner": COOKWARE,
        "toilet": (*BATH, "candle", "tissuebox", "spraybottle", "soapbottle"),
        "toiletpaperhanger": ("toiletpaper",),
        "tvstand": (*_LIVING, LAMP),
    }.items()
}
"""Receptacle -> what may lie in or on it."""


@dataclass(frozen=True, slots=True)
class Room:
    """What a kind of room is furnished with."""

    furniture: dict[Kind, tuple[int, int]]
    """Receptacle -> least and greatest number of them."""
    things: tuple[Kind, ...]
    """What lies about."""


ROOMS: dict[str, Room] = {
    "kitchen": Room(
        {
            "cabinet": (2, 6), "coffeemachine": (1, 1), "countertop": (1, 3), "diningtable": (0, 1), "drawer": (1, 4),
            "fridge": (1, 1), "garbagecan": (1, 1), "microwave": (1, 1), "shelf": (0, 2), "sinkbasin": (1, 1),
            "stoveburner": (1, 4),
        },
        (*FOOD, *CUTLERY, *DISHES, *COOKWARE, *SPICES, "dishsponge", "soapbottle", "book", "creditcard", "vase"),
    ),
    "livingroom": Room(
        {
            "armchair": (1, 2), "coffeetable": (1, 1), "desk": (0, 1), "drawer": (0, 3), "dresser": (0, 1),
            "garbagecan": (1, 1), "shelf": (0, 3), "sidetable": (1, 2), "sofa": (1, 1), "tvstand": (0, 1),
        },
        (*READING, *POCKET, *DECOR, *SOFT, "bowl", "plate"),
    ),
    "bedroom": Room(
        {
            "armchair": (0, 1), "bed": (1, 1), "desk": (1, 1), "drawer": (1, 4), "dresser": (0, 1),
            "garbagecan": (1, 1), "safe": (0, 1), "shelf": (0, 3), "sidetable": (0, 2),
        },
        (*READING, *POCKET, *DECOR, *SOFT, "bowl", "mug", "cloth"),
    ),
    "bathroom": Room(
        {
            "bathtubbasin": (0, 1), "cabinet": (1, 3), "countertop": (1, 1), "drawer": (0, 2), "garbagecan": (1, 1),
            "handtowelholder": (1, 2), "shelf": (0, 1), "sinkbasin": (1, 2), "toilet": (1, 1),
            "toiletpaperhanger": (1, 1),
        },
        (*BATH, "candle", "dishsponge", "soapbottle", "spraybottle", "tissuebox"),
    ),
}  # fmt: skip

"""Food Preparation and Entertainment: what the agent sees, may do and is to reach (TWOSOME, arXiv 2401.14151)."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from agentlab_runner.envs.virtualhome.graph import AGENT, ROOMS, Graph

ROOM_ACTIONS = ("livingroom", "kitchen", "bathroom", "bedroom")
"""Where actions 0 to 3 walk to."""
SPOKEN = {"livingroom": "living room", "coffeetable": "coffee table", "tv": "TV"}
"""Class names as people say them."""
PLURAL = frozenset({"chips", "dishes", "clothes"})
Line = tuple[str, tuple[str, ...]]
"""Verb and classes of a script line."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A home as the agent sees it, with the task's things found in it: nothing holds of what is out of sight."""

    graph: Graph
    ids: Mapping[str, int]
    """Id of each thing the task speaks of, and of each room, by class name."""

    @property
    def room(self) -> str:
        return self.graph.nodes[self.graph.room(AGENT)].class_name

    def sees(self, name: str) -> bool:
        return self.graph.sees(self.ids[name])

    def close(self, name: str) -> bool:
        return self._seen_edge(AGENT, "CLOSE", self.ids[name])

    def holds(self, name: str) -> bool:
        return self.ids[name] in self.graph.held()

    def on(self, name: str, place: str) -> bool:
        return self._seen_edge(self.ids[name], "ON", self.ids[place])

    def inside(self, name: str, place: str) -> bool:
        return self._seen_edge(self.ids[name], "INSIDE", self.ids[place])

    def is_(self, name: str, state: str) -> bool:
        return self.sees(name) and state in self.graph.nodes[self.ids[name]].states

    def faces(self, name: str) -> bool:
        return self._seen_edge(AGENT, "FACING", self.ids[name])

    def sits(self, name: str) -> bool:
        return self._seen_edge(AGENT, "ON", self.ids[name])

    def free_hand(self) -> bool:
        return len(self.graph.held()) < 2

    def _seen_edge(self, subject: int, relation: str, thing: int) -> bool:
        graph = self.graph
        return graph.has(subject, relation, thing) and graph.sees(subject) and graph.sees(thing)


class Task(ABC):
    """A task by its own words; `words` renames its things, so that the same home is another task.

    Raises:
        ValueError: if `words` renames what the task does not speak of.
    """

    name: ClassVar[str]
    things: ClassVar[Mapping[str, str]]
    """Class name of each thing and the room it is looked for in; "" for anywhere."""
    script: ClassVar[Sequence[Line]]
    """What each action after the four rooms does."""
    entries: ClassVar[int]
    """Length of the vector."""

    def __init__(self, words: Mapping[str, str] | None = None, goal: str = "", strict_original: bool = False) -> None:
        unknown = sorted((words or {}).keys() - self.things.keys())
        if unknown:
            raise ValueError(f"{self.name} has no {unknown[0]!r} to rename; it has {', '.join(self.things)}")
        self.words = {thing: SPOKEN.get(thing, thing) for thing in self.things} | dict(words or {})
        self.goal = goal or self.default_goal
        self.strict_original = strict_original

    @property
    @abstractmethod
    def default_goal(self) -> str:
        """What is to be done, as it continues "in order to"."""

    @abstractmethod
    def vector(self, scene: Scene) -> list[int]:
        """The scene in zeros and ones."""

    @abstractmethod
    def admissible(self, scene: Scene) -> list[int]:
        """Actions that make sense here, in order; some of them may still fail."""

    @abstractmethod
    def reached(self, scene: Scene) -> bool:
        """Whether the task is done."""

    @abstractmethod
    def sentences(self, scene: Scene) -> list[str]:
        """What there is to say beside the rooms: things in sight, hands, what is close, states."""

    @property
    def actions_total(self) -> int:
        return len(ROOM_ACTIONS) + len(self.script)

    def find(self, graph: Graph) -> dict[str, int]:
        """Ids of the rooms and things, by class and room; of several the one that faces something.

        Raises:
            ValueError: if the home lacks one.
        """
        found: dict[str, int] = {}
        for name, room in [*((room, "") for room in ROOMS), *self.things.items()]:
            ids = graph.find(name, room) or graph.find(name)
            if not ids:
                raise ValueError(f"this home has no {name}, which {self.name} needs; choose another graph or scene")
            found[name] = max(ids, key=lambda i: (bool(graph.objects(i, "FACING")), -i))
        return found

    def follow(self, graph: Graph, ids: Mapping[str, int]) -> dict[str, int]:
        """The ids, but what is in the hand stands for its class, whatever its id: of several alike it is the one."""
        held = {graph.nodes[i].class_name: i for i in graph.held()}
        return {name: held.get(name, own) if own not in held.values() else own for name, own in ids.items()}

    def line(self, action: int) -> Line:
        """Verb and classes of an action."""
        return ("walk", (ROOM_ACTIONS[action],)) if action < len(ROOM_ACTIONS) else self.script[action - 4]

    def phrase(self, action: int) -> str:
        """The action as an imperative phrase.

        One enters rooms, finds what one may pick up and walks to the rest: verbs tell them apart whatever the things
        are called, and leave the untrained model comparable odds of going on in a room and going out of it.
        """
        verb, names = self.line(action)
        movable = ("grab", names) in self.script
        first, *second = (self.words.get(name, SPOKEN.get(name, name)) for name in names)
        on, into = (f" on the {second[0]}", f" into the {second[0]}") if second else ("", "")
        go = "enter" if action < len(ROOM_ACTIONS) else "go and find" if movable else "walk to"
        return {
            "walk": f"{go} the {first}",
            "grab": f"pick up the {first}",
            "putin": f"put the {first}{into}",
            "putback": f"put the {first}{on}",
            "open": f"open the {first}",
            "close": f"close the {first}",
            "switchon": f"turn on the {first}",
            "switchoff": f"turn off the {first}",
            "sit": f"sit down on the {first}",
            "standup": f"stand up from the {first}",
        }[verb]

    def prompt(self, scene: Scene) -> str:
        """Rooms, the current one, what the task has to say of it, the goal, an unfinished clause."""
        home = "The home has a kitchen, a bathroom, a bedroom and a living room."
        here = f"You are in the {_spoken(scene.room)}."
        return " ".join([home, here, *self.sentences(scene), f"In order to {self.goal}, the next thing to do is to"])

    def others(self, scene: Scene) -> list[int]:
        """Walks to the other three rooms."""
        return [i for i, room in enumerate(ROOM_ACTIONS) if room != scene.room]

    def in_rooms(self, scene: Scene) -> list[int]:
        return [int(scene.room == room) for room in ROOMS]


class FoodPreparation(Task):
    """The pancake goes into the microwave, which is closed on it; six steps at least.

    Done as soon as the agent is in the kitchen and does not see the pancake, so hiding it anywhere there counts.
    """

    name = "food_preparation"
    things = {"pancake": "", "microwave": "kitchen"}  # noqa: RUF012 - a constant of the class
    script = (
        ("walk", ("pancake",)),
        ("walk", ("microwave",)),
        ("grab", ("pancake",)),
        ("putin", ("pancake", "microwave")),
        ("open", ("microwave",)),
        ("close", ("microwave",)),
    )
    entries = 11

    @property
    def default_goal(self) -> str:
        return f"heat the {self.words['pancake']} in the {self.words['microwave']}"

    def vector(self, scene: Scene) -> list[int]:
        return [
            *self.in_rooms(scene),
            *_seen(scene, "pancake"),
            int(scene.holds("pancake")),
            *_seen(scene, "microwave"),
            int(scene.is_("microwave", "OPEN")),
            int(scene.inside("pancake", "microwave")),
        ]

    def admissible(self, scene: Scene) -> list[int]:
        rooms = self.others(scene)
        if scene.room != "kitchen" or not scene.sees("pancake"):
            return rooms
        if scene.holds("pancake"):
            return [*rooms, *((4, 7, 8, 9) if scene.close("microwave") else (4, 5))]
        near = scene.close("pancake"), scene.close("microwave")
        if all(near):
            return [*rooms, *((8, 9) if scene.is_("microwave", "OPEN") else (9,))]
        return [*rooms, *((5, 6) if near[0] else (4, 8, 9) if near[1] else (4, 5))]

    def reached(self, scene: Scene) -> bool:
        return scene.room == "kitchen" and not scene.sees("pancake")

    def sentences(self, scene: Scene) -> list[str]:
        food, oven = self.words["pancake"], self.words["microwave"]
        if scene.room != "kitchen":
            return [f"You carry the {food}."] if scene.holds("pancake") else []
        if not scene.sees("pancake"):
            return [f"The {food} {_are([food])} in the closed {oven}."]
        said = [f"You see the {food} and the {oven}."]
        if scene.holds("pancake"):
            said.append(f"You carry the {food}.")
        elif scene.inside("pancake", "microwave"):
            said.append(f"The {food} {_are([food])} in the {oven}.")
        near = [self.words[name] for name in self.things if scene.close(name) and not scene.holds(name)]
        said += [f"The {' and the '.join(near)} {_are(near)} within reach."] if near else []
        return [*said, f"The {oven} is {'open' if scene.is_('microwave', 'OPEN') else 'closed'}."]


class Entertainment(Task):
    """Chips and milk before the television, which is on, from the sofa; eleven steps at least."""

    name = "entertainment"
    things = {  # noqa: RUF012 - a constant of the class
        "chips": "",
        "milk": "",
        "coffeetable": "livingroom",
        "tv": "livingroom",
        "sofa": "livingroom",
    }
    script = (
        *(("walk", (name,)) for name in ("chips", "milk", "coffeetable", "tv", "sofa")),
        *(("grab", (name,)) for name in ("chips", "milk")),
        *(("putback", (name, "coffeetable")) for name in ("chips", "milk")),
        ("switchon", ("tv",)),
        ("switchoff", ("tv",)),
        ("sit", ("sofa",)),
        ("standup", ("sofa",)),
    )
    entries = 21

    @property
    def default_goal(self) -> str:
        words = self.words
        return f"enjoy the {words['chips']} and the {words['milk']} while watching {words['tv']}"

    def vector(self, scene: Scene) -> list[int]:
        snacks = [
            value
            for name in ("chips", "milk")
            for value in (*_seen(scene, name), int(scene.holds(name)), int(scene.on(name, "coffeetable")))
        ]
        return [
            *self.in_rooms(scene),
            *snacks,
            *_seen(scene, "tv"),
            int(scene.faces("tv")),
            int(scene.is_("tv", "ON")),
            *_seen(scene, "sofa"),
            int(scene.sits("sofa")),
            *_seen(scene, "coffeetable"),
        ]

    def admissible(self, scene: Scene) -> list[int]:
        rooms = self.others(scene)
        if scene.room == "kitchen":
            return [*rooms, *self._in_kitchen(scene)]
        if scene.room != "livingroom":
            return rooms
        if scene.close("sofa"):
            if scene.sits("sofa"):
                return rooms
            return [*rooms, *((6, 7, 15, 16) if scene.is_("tv", "ON") else (6, 7))]
        if scene.close("tv"):
            able = self.strict_original or scene.free_hand()  # the release offers what two full hands cannot do
            return [*rooms, 6, 8, *((13, 14) if able and not scene.is_("tv", "ON") else ())]
        if not scene.close("coffeetable"):
            return [*rooms, 6, 7, 8]
        if not (scene.holds("chips") or scene.holds("milk")):
            return rooms
        puts = [
            action
            for action, name, other in ((11, "chips", "milk"), (12, "milk", "chips"))
            if scene.holds(name) and not scene.on(other, "coffeetable")
        ]
        return [*rooms, 7, 8, *puts]

    def _in_kitchen(self, scene: Scene) -> list[int]:
        """Walk to what is seen, pick up what is close."""
        walks: list[int] = []
        grabs: list[int] = []
        for walk, grab, name in ((4, 9, "chips"), (5, 10, "milk")):
            if scene.holds(name) or not scene.sees(name):
                continue
            (grabs if scene.close(name) else walks).append(grab if scene.close(name) else walk)
        if self.strict_original and len(walks) == 1 and not (scene.sees("chips") and scene.sees("milk")):
            walks = [9 - walks[0]]  # where only the one is in sight, the release offers to walk to the other
        return sorted([*walks, *grabs])

    def reached(self, scene: Scene) -> bool:
        served = all(scene.close(name) or scene.on(name, "coffeetable") for name in ("chips", "milk"))
        watching = scene.faces("tv") and scene.is_("tv", "ON") and scene.sits("sofa")
        return scene.room == "livingroom" and watching and served

    def sentences(self, scene: Scene) -> list[str]:
        words = self.words
        held = [words[name] for name in ("chips", "milk") if scene.holds(name)]
        seen = [words[name] for name in self.things if scene.sees(name) and not scene.holds(name)]
        near = [words[name] for name in self.things if scene.close(name) and not scene.holds(name)]
        on_table = [words[name] for name in ("chips", "milk") if scene.on(name, "coffeetable") and scene.sees(name)]
        said = [f"You see the {_list(seen)}."] if seen else []
        said += [f"You carry the {_list(held)}{' and have no free hand' if len(held) == 2 else ''}."] if held else []
        said += [f"Within reach {_are(near)} the {_list(near)}."] if near else []
        said += [f"On the {words['coffeetable']} {_are(on_table)} the {_list(on_table)}."] if on_table else []
        if scene.sees("tv"):
            said.append(f"The {words['tv']} is {'on' if scene.is_('tv', 'ON') else 'off'}.")
        if scene.sits("sofa"):
            said.append(f"You sit on the {words['sofa']}.")
        return said


def scene_of(task: Task, graph: Graph) -> Scene:
    """The task's view of a home."""
    return Scene(graph, task.find(graph))


def as_array(numbers: Sequence[int]) -> NDArray[np.float32]:
    return np.array(numbers, dtype=np.float32)


TASKS: dict[str, type[Task]] = {task.name: task for task in (FoodPreparation, Entertainment)}
UNSEEN: dict[str, tuple[str, dict[str, str], str]] = {
    "cheese": ("food_preparation", {"pancake": "cheese"}, ""),
    "hamburger": ("food_preparation", {"pancake": "hamburger"}, ""),
    "apple_pie": ("food_preparation", {"pancake": "apple pie"}, ""),
    "pizza": ("food_preparation", {"pancake": "pizza"}, ""),
    "washing_plate": (
        "food_preparation",
        {"pancake": "dishes", "microwave": "dishwasher"},
        "wash the dishes in the dishwasher",
    ),
    "laundry": (
        "food_preparation",
        {"pancake": "clothes", "microwave": "washing machine"},
        "wash the clothes in the washing machine",
    ),
}
"""Tasks a policy was not trained on: the same home under other words, and another goal where the first would be odd."""


def task_named(name: str, strict_original: bool = False) -> Task:
    """A task by its name, trained ones and unseen ones.

    Raises:
        ValueError: if there is none.
    """
    if name in TASKS:
        return TASKS[name](strict_original=strict_original)
    if name not in UNSEEN:
        raise ValueError(f"unknown task {name!r}; choose one of {', '.join((*TASKS, *UNSEEN))}")
    base, words, goal = UNSEEN[name]
    return TASKS[base](words, goal, strict_original)


def _seen(scene: Scene, name: str) -> tuple[int, int]:
    """In sight, and close."""
    return int(scene.sees(name)), int(scene.close(name))


def _spoken(name: str) -> str:
    return SPOKEN.get(name, name)


def _are(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 and names[0] not in PLURAL else "are"


def _list(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', the '.join(names[:-1])} and the {names[-1]}"

"""The authors' games, as `alfworld-download` brings them, read into worlds that either engine can play.

Their problems are played with the domain and grammar of the installed package, whichever version of the data they come
from: mixing versions is what makes ALFWorld answer `Nothing happens.` to everything.
"""

import json
import os
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any

from agentlab_runner.envs.alfworld.scenes import Sampling, Split, of_type
from agentlab_runner.envs.alfworld.world import Goal, Receptacle, State, TaskType, Thing, World, names

FOLDERS: dict[Split, str] = {"train": "train", "test_seen": "valid_seen", "test": "valid_unseen"}
_ABILITIES = {
    "pickupable": "pickupable",
    "cleanable": "cleanable",
    "heatable": "heatable",
    "coolable": "coolable",
    "toggleable": "toggleable",
    "sliceable": "sliceable",
    "isreceptacleobject": "hollow",
}
_TASK = re.compile(r"Your task is to: (.*?)\.\\?\"")
_TOKEN = re.compile(r"[()]|[^\s()]+")


class Games:
    """Draws from the games of one split.

    Args:
        folder: `json_2.1.1` or its like; `~` and variables such as `$ALFWORLD_DATA` are filled in.
        split: `train`, `test_seen` (the authors' valid_seen) or `test` (valid_unseen).
        task_types: which of the six; all if empty.
        sampling: `random` draws the task type first; `sequential` goes through all games, types taking turns.

    Games with movable receptacles or sliced things, and those marked unsolvable, are left out, as the authors do.

    Raises:
        ValueError: there are no such games.
    """

    def __init__(
        self, folder: str, split: Split = "train", task_types: Sequence[str] = (), sampling: Sampling = "random"
    ) -> None:
        self.sampling = sampling
        root = Path(os.path.expandvars(folder)).expanduser() / FOLDERS[split]
        self._by_task: dict[TaskType, list[Path]] = {}
        for file in sorted(root.rglob("game.tw-pddl")):
            task = _task_type(file)
            if task is not None and task in (task_types or TaskType):
                self._by_task.setdefault(task, []).append(file)
        if not self._by_task:
            raise ValueError(
                f"{root} holds no ALFWorld games{' of these task types' if task_types else ''}; run alfworld-download "
                "(it needs the internet) and give its json_2.1.1 folder as data, or data=null for scenes made here"
            )

    def make(self, seed: int, episode: int | None = None, task: str | None = None) -> World:
        """The world of an episode, of the type `task` if it is given; an unsolvable game makes way for the next one.

        Raises:
            ValueError: there is none of this type.
        """
        rng = Random(f"game {seed}")
        groups = list(self._by_task.values()) if task is None else of_type(self._by_task, task)
        if self.sampling == "sequential" and episode is not None:
            turn, kind = divmod(episode, len(groups))
            group = groups[kind]
        else:
            group = rng.choice(groups)
            turn = rng.randrange(len(group))
        for later in range(len(group)):
            world = read_game(group[(turn + later) % len(group)])
            if world is not None:
                return world
        raise ValueError(f"every game like {group[0]} is marked unsolvable; download the data again")


def _task_type(file: Path) -> TaskType | None:
    """By the folder's name, `TASK-THING-MOVABLE-RECEPTACLE-SCENE/TRIAL/game.tw-pddl`; None if it is not played."""
    if "movable" in str(file) or "Sliced" in str(file):
        return None
    name = file.parent.parent.name.split("-")[0]
    return TaskType(name) if name in list(TaskType) else None


@lru_cache(maxsize=512)
def read_game(file: Path) -> World | None:
    """The world of a `game.tw-pddl` with its `traj_data.json`; None if it is marked unsolvable.

    Raises:
        ValueError: the file is damaged.
    """
    try:
        game = json.loads(file.read_text(encoding="utf-8"))
        asked = json.loads(file.with_name("traj_data.json").read_text(encoding="utf-8"))
        if not game["solvable"]:
            return None
        task, wanted = TaskType(asked["task_type"]), asked["pddl_params"]
        target = wanted["toggle_target" if task is TaskType.LOOK else "parent_target"]
        told = _TASK.search(game["grammar"])
        words = told[1] if told else f"{task.value}: {wanted['object_target']}, {target}"
        return read_problem(game["pddl_problem"], Goal(task, wanted["object_target"].lower(), target.lower(), words))
    except (OSError, KeyError, IndexError, ValueError) as fault:
        raise ValueError(
            f"{file} cannot be read as an ALFWorld game ({fault}); run alfworld-download --force to fetch it again"
        ) from fault


def read_problem(text: str, goal: Goal) -> World:
    """The world a PDDL problem of ALFWorld's domain describes; it keeps the text for the PDDL engine."""
    types, facts = _sections(text)
    name = names([*types["receptacle"], *types["object"]])
    place, rtype = (dict(facts[predicate]) for predicate in ("receptacleatlocation", "receptacletype"))
    openable = {receptacle for (receptacle,) in facts["openable"]}
    receptacles = tuple(
        Receptacle(id_, name[id_], rtype[id_].removesuffix("type"), place[id_], id_ in openable)
        for id_ in sorted(types["receptacle"])
        if id_ in place
    )
    otype = dict(facts["objecttype"])
    can: defaultdict[str, set[str]] = defaultdict(set)
    for predicate, ability in _ABILITIES.items():
        for (thing,) in facts[predicate]:
            can[thing].add(ability)
    inner: defaultdict[str, list[str]] = defaultdict(list)
    for thing, outer in sorted(facts["inreceptacleobject"]):
        inner[outer].append(name[thing])
    things = tuple(
        Thing(id_, name[id_], otype[id_].removesuffix("type"), frozenset(can[id_]), tuple(inner[id_]))
        for id_ in sorted(types["object"])
        if id_ in otype
    )
    contents: dict[str, list[str]] = {receptacle.id: [] for receptacle in receptacles}
    for thing, receptacle in sorted(facts["inreceptacle"]):
        contents[receptacle].append(thing)
    start = State(
        place=dict(facts["atlocation"])[types["agent"][0]],
        contents=contents,
        spots=dict(sorted(facts["objectatlocation"])),
        opened={receptacle for (receptacle,) in facts["opened"]},
        sliced={thing for (thing,) in facts["issliced"]},
    )
    fits = frozenset((r.removesuffix("type"), o.removesuffix("type")) for r, o in facts["cancontain"])
    return World(receptacles, things, fits, start, goal, problem=text)


def _sections(text: str) -> tuple[defaultdict[str, list[str]], defaultdict[str, list[Any]]]:
    """Objects by type and, as tuples, the arguments of the initial facts by predicate; all in lower case."""
    tree = next(_trees(iter(_TOKEN.findall(re.sub(r";.*", "", text).lower()))))
    types: defaultdict[str, list[str]] = defaultdict(list)
    facts: defaultdict[str, list[Any]] = defaultdict(list)
    for section in tree:
        if section[0] == ":objects":
            group: list[str] = []
            words = iter(section[1:])
            for word in words:
                if word == "-":
                    types[next(words)] += group
                    group = []
                else:
                    group.append(word)
        elif section[0] == ":init":
            for fact in section[1:]:
                if all(isinstance(word, str) for word in fact):
                    facts[fact[0]].append(tuple(fact[1:]))
    return types, facts


def _trees(tokens: Iterator[str]) -> Iterator[Any]:
    """Nested lists of the parentheses."""
    for token in tokens:
        if token == "(":
            yield list(_trees(tokens))
        elif token == ")":
            return
        else:
            yield token

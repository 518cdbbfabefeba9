"""The kitchen once more, slowly and from its rules alone: things that move about on a drawn floor plan.

Nothing of `envs.overcooked` is imported. Facts: the rules of the tasks `Overcooked-LLMA-v3` and `-v4`.
"""

import queue
from dataclasses import dataclass, field

PLANS = {
    "A": ["#######", "#.....#", "#.....#", "#.....#", "#.....#", "#.....#", "#######"],
    "B": ["#######", "#..#..#", "#..#..#", "#..#..#", "#..#..#", "#..#..#", "#######"],
    "C": ["#######", "#..#..#", "#..#..#", "#..#..#", "#..#..#", "#.....#", "#######"],
}
FIRST = {"tomato": (0, 5), "lettuce": (1, 6), "onion": (2, 6), "plate": (6, 5)}
SALAD = {"foods": ["tomato"], "boards": [(1, 0)], "order": {"tomato"}}
MIXED = {"foods": ["tomato", "lettuce", "onion"], "boards": [(1, 0), (2, 0)], "order": {"lettuce", "tomato"}}
ORDERS = [
    {"tomato"},
    {"lettuce"},
    {"onion"},
    {"lettuce", "tomato"},
    {"onion", "tomato"},
    {"lettuce", "onion"},
    {"lettuce", "onion", "tomato"},
]
HATCH = (3, 0)
WAYS = {"right": (0, 1), "down": (1, 0), "left": (0, -1), "up": (-1, 0)}


@dataclass
class Thing:
    """A food or the plate."""

    name: str
    at: tuple[int, int]
    strokes: int = 0
    inside: list["Thing"] = field(default_factory=list)

    @property
    def food(self) -> bool:
        return self.name != "plate"

    @property
    def cut(self) -> bool:
        return self.food and self.strokes == 3

    def go(self, cell: tuple[int, int]) -> None:
        self.at = cell
        for food in self.inside:
            food.at = cell


class Entry:
    """A cell that waits to be looked at; equal ones count as less."""

    def __init__(self, total: int, walked: int, cell: tuple[int, int], way: str) -> None:
        self.total, self.walked, self.cell, self.way = total, walked, cell, way

    def __lt__(self, other: "Entry") -> bool:
        return not other.total < self.total


class SlowKitchen:
    """One episode; `macro` gives a record a primitive step: (what is seen, reward, whether the order was served)."""

    def __init__(self, task: str, room: str, radius: int, order: set[str] | None = None) -> None:
        facts = SALAD if task == "tomato_salad" else MIXED
        self.plan, self.radius, self.boards = PLANS[room], radius, facts["boards"]
        self.order = order or facts["order"]
        self.things = {name: Thing(name, FIRST[name]) for name in [*facts["foods"], "plate"]}
        self.belief = {name: thing.at for name, thing in self.things.items()}
        self.cook = (1, 4) if room == "A" else (1, 2)
        self.hand: Thing | None = None
        self.served = False

    # what is seen

    def near(self, cell: tuple[int, int]) -> bool:
        return self.radius == 0 or all(abs(a - b) <= self.radius for a, b in zip(cell, self.cook, strict=True))

    def view(self) -> list[int]:
        row: list[int] = []
        for thing in self.things.values():
            seen = self.near(thing.at)
            row += [*thing.at] if seen else [0, 0]
            if thing.food:
                row += [thing.strokes if seen else 0]
        for cell in [*self.boards, HATCH]:
            row += [*cell] if self.near(cell) else [0, 0]
        return [*row, *self.cook, *(int(order == self.order) for order in ORDERS)]

    def remember(self) -> None:
        for name, thing in self.things.items():
            if self.near(thing.at):
                self.belief[name] = thing.at
            elif self.near(self.belief[name]):
                self.belief[name] = FIRST[name]

    # primitive steps

    def lying_at(self, cell: tuple[int, int]) -> Thing | None:
        """The plate before its contents, which lie where it lies."""
        there = [t for t in self.things.values() if t.at == cell and t is not self.hand]
        return next((t for t in there if not t.food), there[0] if there else None)

    def primitive(self, way: str) -> float:
        """Moves, takes, chops, puts or serves; the reward beside the price of a step."""
        gain = 0.0
        if way in WAYS:
            goal = (self.cook[0] + WAYS[way][0], self.cook[1] + WAYS[way][1])
            if self.plan[goal[0]][goal[1]] == ".":
                self.cook = goal
                if self.hand:
                    self.hand.go(goal)
            elif goal == HATCH:
                gain = self.serve() if self.hand else 0.0
            elif self.hand is None:
                gain = self.empty_handed(goal)
            else:
                self.with_something(goal)
        self.remember()
        return gain

    def take(self, thing: Thing) -> None:
        self.hand = thing
        thing.go(self.cook)

    def empty_handed(self, goal: tuple[int, int]) -> float:
        thing = self.lying_at(goal)
        if thing is None:
            return 0.0
        if goal in self.boards and thing.food and not thing.cut:
            thing.strokes += 1
            return 0.2 if thing.cut and thing.name in self.order else 0.0
        self.take(thing)
        return 0.0

    def with_something(self, goal: tuple[int, int]) -> None:
        mine, thing = self.hand, self.lying_at(goal)
        assert mine is not None
        if thing is None:
            mine.go(goal)
            self.hand = None
        elif mine.name == "plate" and thing.cut:
            self.fill(mine, thing)
        elif thing.name == "plate" and mine.cut:
            self.hand = None
            self.fill(thing, mine)
            if goal in self.boards:
                self.take(thing)

    @staticmethod
    def fill(plate: Thing, food: Thing) -> None:
        plate.inside.append(food)
        plate.go(plate.at)

    def serve(self) -> float:
        mine = self.hand
        assert mine is not None
        self.hand = None
        if mine.name == "plate" and {food.name for food in mine.inside} == self.order:
            mine.go(HATCH)
            self.served = True
            return 1.0
        back = [mine, *mine.inside]
        mine.inside = []
        for thing in back:
            thing.at, thing.strokes = FIRST[thing.name], 0
        return -0.1

    # macro actions

    def way_to(self, goal: tuple[int, int]) -> str:
        """The first move of the path that the release's search finds, "" if it finds none."""
        far = lambda cell: abs(cell[0] - goal[0]) + abs(cell[1] - goal[1])  # noqa: E731
        line: queue.PriorityQueue[Entry] = queue.PriorityQueue()
        line.put(Entry(far(self.cook), 0, self.cook, ""))
        known = {self.cook}
        while not line.empty():
            entry = line.get()
            for way in ("right", "left", "down", "up"):
                cell = (entry.cell[0] + WAYS[way][0], entry.cell[1] + WAYS[way][1])
                if cell == goal:
                    return entry.way or way
                if self.plan[cell[0]][cell[1]] == "." and cell not in known:
                    known.add(cell)
                    line.put(Entry(entry.walked + 1 + far(cell), entry.walked + 1, cell, entry.way or way))
        return ""

    def macro(self, name: str):
        """Carry a macro action out."""
        over = False
        strokes = 0
        while not over:
            if name == "chop":
                way = self.chop_way()
                strokes += 1
                over = way == "stay" or strokes == 3
            else:
                way, over = self.next_way(name)
            gain = self.primitive(way)
            over = over or (name != "chop" and self.reached(name))
            yield self.view(), gain - 0.001, self.served

    def chop_way(self) -> str:
        for way, (dx, dy) in WAYS.items():
            cell = (self.cook[0] + dx, self.cook[1] + dy)
            thing = self.lying_at(cell) if cell in self.boards else None
            if thing and thing.food and not thing.cut:
                return way
        return "stay"

    def goal_of(self, name: str) -> tuple[int, int]:
        verb, _, rest = name.partition(" ")
        if verb == "get":
            return self.belief[rest]
        return HATCH if verb == "deliver" else self.boards[int(rest) - 1]

    def beside(self, goal: tuple[int, int]) -> bool:
        return abs(goal[0] - self.cook[0]) + abs(goal[1] - self.cook[1]) == 1

    def next_way(self, name: str) -> tuple[str, bool]:
        """Before a step: where to go, and whether that is the end."""
        goal = self.goal_of(name)
        thing = self.things.get(name.removeprefix("get ")) if name.startswith("get ") else None
        plate = self.things["plate"]
        if thing and thing.food and thing in plate.inside and self.near(plate.at):
            return "stay", True
        if goal == self.cook:
            return "stay", True
        way = self.way_to(goal)
        if not way:
            return "stay", True
        if not self.beside(goal):
            return way, False
        if thing is None:
            return ("stay" if name.startswith("board") and self.hand is None else way), True
        if thing.at != goal:
            return "stay", True
        if thing is plate and self.hand and self.hand.food:
            return (way, False) if self.hand.cut else ("stay", True)
        raw = thing.food and goal in self.boards and not thing.cut
        return ("stay" if raw else way), True

    def reached(self, name: str) -> bool:
        """After a step: whether nothing is left to do."""
        goal = self.goal_of(name)
        if not name.startswith("get "):
            return self.hand is None and self.beside(goal)
        thing = self.things[name.removeprefix("get ")]
        if thing.at != goal:
            return True
        return self.beside(goal) and goal in self.boards and thing.food and not thing.cut

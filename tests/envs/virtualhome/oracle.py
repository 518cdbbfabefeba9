"""A household once more, without a graph: a person, where things stand, and the rules of each verb written out.

Nothing of `envs.virtualhome` is imported. Facts: the tasks `VirtualHome-v1` and `-v2`; `release` adds their slips.
"""

from dataclasses import dataclass, field

ROOMS = ["livingroom", "kitchen", "bathroom", "bedroom"]
FOOD = [*(("walk", room) for room in ROOMS), ("walk", "pancake"), ("walk", "microwave"), ("grab", "pancake")]
FOOD += [("putin", "pancake", "microwave"), ("open", "microwave"), ("close", "microwave")]
FUN = [*(("walk", room) for room in ROOMS)]
FUN += [("walk", thing) for thing in ("chips", "milk", "coffeetable", "tv", "sofa")]
FUN += [("grab", "chips"), ("grab", "milk"), ("putback", "chips", "coffeetable"), ("putback", "milk", "coffeetable")]
FUN += [("switchon", "tv"), ("switchoff", "tv"), ("sit", "sofa"), ("standup",)]
HOME = {
    "pancake": "stove",
    "stove": "kitchen",
    "microwave": "counter",
    "counter": "kitchen",
    "chips": "table",
    "table": "kitchen",
    "milk": "counter",
    "coffeetable": "livingroom",
    "tv": "stand",
    "stand": "livingroom",
    "sofa": "livingroom",
}


@dataclass
class SlowHome:
    """One episode of a task; `act` gives (what is seen, reward, whether it could be done)."""

    task: str
    release: bool = False
    room: str = "kitchen"
    under: dict[str, str] = field(default_factory=lambda: dict(HOME))
    """What each thing stands on or in; "hand" for what is held."""
    near: set[str] = field(default_factory=set)
    back: dict[str, str] = field(default_factory=dict)
    """The room the release takes a held thing to be in."""
    microwave_open: bool = False
    tv_on: bool = False
    sitting: bool = False
    seat_taken: bool = False
    facing: bool = False

    @property
    def script(self) -> list[tuple[str, ...]]:
        return FOOD if self.task == "food_preparation" else FUN

    def held(self) -> list[str]:
        return [thing for thing, place in self.under.items() if place == "hand"]

    def room_of(self, thing: str) -> str:
        while thing not in (*ROOMS, "hand"):
            thing = self.under[thing]
        return self.room if thing == "hand" else thing

    def sees(self, thing: str) -> bool:
        if thing in ROOMS or self.under[thing] == "hand":
            return True
        shut_in = self.under[thing] == "microwave" and not self.microwave_open
        return self.room_of(thing) == self.room and not shut_in

    def close(self, thing: str) -> bool:
        return self.sees(thing) and thing in self.near

    def reach(self, thing: str) -> bool:
        """Close enough to do something with it: the release also counts what lies on a close thing."""
        on = self.under[thing] if self.under[thing] != "microwave" else ""
        return thing in self.near or (self.release and on in self.near)

    def act(self, number: int) -> tuple[list[int], float, bool]:
        verb, *things = self.script[number]
        done = all(self.sees(thing) for thing in things) and getattr(self, f"do_{verb}")(*things)
        return self.view(), float(self.done()), done

    # verbs

    def do_walk(self, goal: str) -> bool:
        if self.release and self.sitting:
            return False
        if goal in ROOMS:
            to, beside = goal, set()
        elif self.under[goal] == "hand":
            to, beside = (self.back.get(goal, self.room) if self.release else self.room), {goal}
        else:
            to, beside = self.room_of(goal), {goal}
            if self.under[goal] not in ROOMS:
                beside.add(self.under[goal])
            if not self.release or goal == "microwave":
                beside |= {thing for thing, place in self.under.items() if place == goal and self.sees(thing)}
        self.back = dict.fromkeys(self.held(), self.room)
        self.room, self.near = to, beside | set(self.held())
        self.sitting = self.facing = False
        self.seat_taken = self.seat_taken and self.release
        return True

    def do_grab(self, thing: str) -> bool:
        if self.under[thing] == "hand" or len(self.held()) == 2 or not self.reach(thing):
            return False
        self.under[thing] = "hand"
        self.near.add(thing)
        return True

    def do_putback(self, thing: str, place: str) -> bool:
        if self.under[thing] != "hand" or not self.reach(place):
            return False
        self.under[thing] = place
        self.back.pop(thing, None)
        return True

    def do_putin(self, thing: str, place: str) -> bool:
        return self.microwave_open and self.do_putback(thing, place)

    def do_open(self, _: str) -> bool:
        if self.microwave_open or not self.reach("microwave"):
            return False
        self.microwave_open = True
        return True

    def do_close(self, _: str) -> bool:
        if not self.microwave_open or not self.reach("microwave"):
            return False
        self.microwave_open = False
        return True

    def switch(self, on: bool) -> bool:
        if self.tv_on == on or not self.reach("tv") or len(self.held()) == 2:
            return False
        self.tv_on = on
        return True

    def do_switchon(self, _: str) -> bool:
        return self.switch(True)

    def do_switchoff(self, _: str) -> bool:
        return self.switch(False)

    def do_sit(self, _: str) -> bool:
        if self.sitting or not self.reach("sofa"):
            return False
        self.sitting = self.seat_taken = self.facing = True
        return True

    def do_standup(self) -> bool:
        if not self.sitting:
            return False
        self.sitting = False
        return True

    # what is seen

    def at_home(self) -> list[int]:
        return [int(self.room == room) for room in ("kitchen", "bathroom", "bedroom", "livingroom")]

    def flags(self, thing: str) -> list[int]:
        return [int(self.sees(thing)), int(self.close(thing))]

    def view(self) -> list[int]:
        if self.task == "food_preparation":
            inside = self.sees("pancake") and self.under["pancake"] == "microwave"
            lid = self.sees("microwave") and self.microwave_open
            pancake = [*self.flags("pancake"), int(self.under["pancake"] == "hand")]
            return [*self.at_home(), *pancake, *self.flags("microwave"), int(lid), int(inside)]
        row = self.at_home()
        for thing in ("chips", "milk"):
            on_table = self.sees(thing) and self.under[thing] == "coffeetable"
            row += [*self.flags(thing), int(self.under[thing] == "hand"), int(on_table)]
        here = self.room == "livingroom"
        row += [*self.flags("tv"), int(here and self.facing), int(here and self.tv_on)]
        return [*row, *self.flags("sofa"), int(here and self.seat_taken), *self.flags("coffeetable")]

    def done(self) -> bool:
        if self.task == "food_preparation":
            return self.room == "kitchen" and not self.sees("pancake")
        served = all(self.close(thing) or self.under[thing] == "coffeetable" for thing in ("chips", "milk"))
        return self.room == "livingroom" and self.facing and self.tv_on and self.seat_taken and served

    def offered(self) -> list[int]:
        """The actions that make sense, by the tables of the tasks."""
        rooms = [i for i, room in enumerate(ROOMS) if room != self.room]
        if self.task == "food_preparation":
            return rooms + (self.offered_food() if self.room == "kitchen" and self.sees("pancake") else [])
        if self.room == "kitchen":
            return rooms + self.offered_snacks()
        return rooms + (self.offered_living() if self.room == "livingroom" else [])

    def offered_food(self) -> list[int]:
        pancake, microwave = self.close("pancake"), self.close("microwave")
        if self.under["pancake"] == "hand":
            return [4, 7, 8, 9] if microwave else [4, 5]
        if pancake and microwave:
            return [8, 9] if self.microwave_open else [9]
        return [5, 6] if pancake else [4, 8, 9] if microwave else [4, 5]

    def offered_snacks(self) -> list[int]:
        seen = {thing: self.sees(thing) for thing in ("chips", "milk")}
        free = [thing for thing in seen if seen[thing] and self.under[thing] != "hand"]
        walks = [thing for thing in free if not self.close(thing)]
        numbers = {"chips": 4, "milk": 5}
        if self.release and walks and not all(seen.values()):
            numbers = {"chips": 5, "milk": 4}
        grabs = [9 if thing == "chips" else 10 for thing in free if self.close(thing)]
        return sorted([numbers[thing] for thing in walks] + grabs)

    def offered_living(self) -> list[int]:
        hands = self.held()
        if self.close("sofa"):
            return [] if self.seat_taken else [6, 7, 15, 16] if self.tv_on else [6, 7]
        if self.close("tv"):
            return [6, 8] if self.tv_on or (len(hands) == 2 and not self.release) else [6, 8, 13, 14]
        if not self.close("coffeetable"):
            return [6, 7, 8]
        if not hands:
            return []
        put = {"chips": 11, "milk": 12}
        other = {"chips": "milk", "milk": "chips"}
        return [7, 8, *sorted(put[thing] for thing in hands if self.under[other[thing]] != "coffeetable")]

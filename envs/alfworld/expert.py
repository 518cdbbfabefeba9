"""Someone who knows how the tasks are done: searches, fetches, treats and places, with a measured carelessness."""

from random import Random
from typing import Any

from agentlab_runner.envs.alfworld.twin import Twin
from agentlab_runner.envs.alfworld.world import TREATMENT, Receptacle, State, TaskType, Thing, World

_VERB = {TaskType.CLEAN: "clean", TaskType.HEAT: "heat", TaskType.COOL: "cool"}


class Expert:
    """Demonstrates household tasks; satisfies `runners.experiment.Demonstrator`.

    It knows only what it has seen: it opens and looks into receptacles in which the thing may be, in the order of their
    names, remembers what lies where, and recovers from any mistake.

    Args:
        slip: chance in [0, 1] that the command which would finish the task is replaced by another admissible one. It
            then recovers and tries again, so its success falls with the horizon.
        wander: the same chance at every other step.

    Raises:
        ValueError: for a chance outside [0, 1].
    """

    def __init__(self, slip: float = 0.0, wander: float = 0.0) -> None:
        for name, rate in (("slip", slip), ("wander", wander)):
            if not 0 <= rate <= 1:
                raise ValueError(f"{name} is {rate}, expected a probability between 0 and 1")
        self.slip, self.wander = slip, wander
        self._rng = Random(0)
        self._known: set[str] = set()

    def begin(self, env: Any, seed: int) -> None:
        """A fresh episode: nothing has been seen yet."""
        self._rng = Random(f"expert {seed}")
        self._known = set()

    def decide(self, env: Any) -> str:
        """The utterance, in the form of the environment's parser."""
        house = env.unwrapped
        world, state, commands = house.engine.world, house.engine.state, house.turn.commands
        self._remember(world, state)
        command, thought = next_move(world, state, self._known)
        rate = self.slip if self.slip != self.wander and _finishes(world, state, command) else self.wander
        if self._rng.random() < rate:
            others = [other for other in commands if other != command]
            command = others[int(self._rng.random() * len(others))]
        return str(house.parser.render(command, thought))

    def _remember(self, world: World, state: State) -> None:
        self._known |= {here.id for here in world.at(state.place) if _open(here, state)}


class Planner:
    """Demonstrates by the plans of the PDDL engine's own planner, which knows where everything is (engine=pddl)."""

    def begin(self, env: Any, seed: int) -> None:
        """Plans are made anew at every step."""

    def decide(self, env: Any) -> str:
        """The utterance, in the form of the environment's parser.

        Raises:
            ValueError: the engine has no planner, or the planner finds no way.
        """
        house = env.unwrapped
        plan = house.engine.plan()
        if not plan:
            raise ValueError(
                "the planner finds no way to win; take other games, or agentlab_runner.envs.alfworld.expert.Expert"
            )
        return str(house.parser.render(plan[0]))


def next_move(world: World, state: State, known: set[str]) -> tuple[str, str]:
    """The next command towards the goal, and the thought behind it.

    Args:
        known: ids of the receptacles whose contents may be used.
    """
    goal = world.goal
    things = {thing.id: thing for thing in world.things}
    held = things.get(state.held or "")
    if held is not None and held.kind == goal.thing:
        return _bring(world, state, held, known, things)
    if held is not None:
        return _put_down(world, state, held)
    settled = _settled(world, state)
    target = goal.thing
    found = _seen(world, state, target, known, things, settled)
    if found is None:
        return _search(world, state, target, known)
    thing, where = found
    return _reach(where, state, f"take {thing.name} from {where.name}", f"take the {target}")


def _bring(
    world: World, state: State, held: Thing, known: set[str], things: dict[str, Thing]
) -> tuple[str, str]:
    goal = world.goal
    if goal.task is TaskType.LOOK:
        found = _seen(world, state, goal.target, known, things, frozenset())
        if found is None:
            return _search(world, state, goal.target, known)
        lamp, where = found
        thought = f"use the {goal.target}"
        return (f"use {lamp.name}", thought) if where.place == state.place else (f"go to {where.name}", thought)
    treated = {TaskType.CLEAN: state.clean, TaskType.HEAT: state.hot, TaskType.COOL: state.cool}.get(goal.task)
    if treated is not None and held.id not in treated:
        appliance = next(r for r in world.receptacles if r.kind == TREATMENT[goal.task])
        verb = _VERB[goal.task]
        thought = f"{verb} the {held.kind}"
        if appliance.place != state.place:
            return f"go to {appliance.name}", thought
        return f"{verb} {held.name} with {appliance.name}", thought
    return _reach(_destination(world, state), state, f"move {held.name} to {{}}", f"put it in the {goal.target}")


def _destination(world: World, state: State) -> Receptacle:
    """The target that already has most of the things asked for; of equals the nearest."""
    kind = {thing.id for thing in world.things if thing.kind == world.goal.thing}
    targets = [receptacle for receptacle in world.receptacles if receptacle.kind == world.goal.target]
    return max(targets, key=lambda r: (len(kind.intersection(state.contents[r.id])), r.place == state.place))


def _settled(world: World, state: State) -> frozenset[str]:
    """Things that are where they belong and so are not to be taken."""
    goal = world.goal
    if goal.task is not TaskType.PICK_TWO:
        return frozenset()
    return frozenset(state.contents[_destination(world, state).id])


def _seen(
    world: World, state: State, kind: str, known: set[str], things: dict[str, Thing], settled: frozenset[str]
) -> tuple[Thing, Receptacle] | None:
    """A thing of a kind whose place is known, the nearest first."""
    found = [
        (things[id_], receptacle)
        for receptacle in world.receptacles
        if receptacle.id in known
        for id_ in state.contents[receptacle.id]
        if things[id_].kind == kind and id_ not in settled
    ]
    return min(found, key=lambda pair: pair[1].place != state.place, default=None)


def _search(world: World, state: State, kind: str, known: set[str]) -> tuple[str, str]:
    """Look into the next receptacle that may hold a kind of thing; then into any."""
    unknown = [receptacle for receptacle in world.receptacles if receptacle.id not in known]
    likely = [receptacle for receptacle in unknown if (receptacle.kind, kind) in world.fits] or unknown
    first = min(likely, key=lambda receptacle: receptacle.place != state.place)
    return _reach(first, state, f"examine {first.name}", f"find a {kind}")


def _put_down(world: World, state: State, held: Thing) -> tuple[str, str]:
    """Get rid of a thing that is not wanted."""
    fitting = [receptacle for receptacle in world.receptacles if (receptacle.kind, held.kind) in world.fits]
    where = min(fitting, key=lambda receptacle: (receptacle.place != state.place, not _open(receptacle, state)))
    return _reach(where, state, f"move {held.name} to {{}}", f"put the {held.kind} away")


def _reach(where: Receptacle, state: State, command: str, thought: str) -> tuple[str, str]:
    """Go there and open it before the command; `{}` in the command is the receptacle's name."""
    if where.place != state.place:
        return f"go to {where.name}", thought
    if not _open(where, state):
        return f"open {where.name}", thought
    return command.format(where.name), thought


def _open(receptacle: Receptacle, state: State) -> bool:
    return not receptacle.openable or receptacle.id in state.opened


def _finishes(world: World, state: State, command: str) -> bool:
    """Whether a command wins, tried on a twin of the world as it is now."""
    return Twin().resume(world, state).step(command).won

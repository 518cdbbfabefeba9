"""The household on the original engine: TextWorld with ALFWorld's domain and grammar (extra `alfworld`)."""

from collections import defaultdict
from importlib import import_module
from pathlib import Path
from typing import Any

from agentlab_runner.envs.alfworld.engine import Turn
from agentlab_runner.envs.alfworld.world import Goal, State, TaskType, World

AGENT = "agent1"
_NAMED_IN_DOMAIN = {"rtype": ("sinkbasin", "microwave", "fridge"), "otype": ("knife", "butterknife")}
"""Kinds the domain's actions speak of; a problem must declare them even if the room has none."""
_STATES = {
    "opened": "opened",
    "isclean": "clean",
    "ishot": "hot",
    "iscool": "cool",
    "istoggled": "toggled",
    "issliced": "sliced",
}


def problem(world: World) -> str:
    """The world as a problem of ALFWorld's PDDL domain: the one it was read from, or one written here."""
    if world.problem:
        return world.problem
    start = world.start
    places = sorted({start.place, *(receptacle.place for receptacle in world.receptacles)})
    kinds = {
        "rtype": {*_NAMED_IN_DOMAIN["rtype"], *(receptacle.kind for receptacle in world.receptacles)},
        "otype": {*_NAMED_IN_DOMAIN["otype"], *(thing.kind for thing in world.things)},
    }
    kinds["rtype"] |= {receptacle for receptacle, _ in world.fits} | {world.goal.target} - kinds["otype"]
    kinds["otype"] |= {thing for _, thing in world.fits} | {world.goal.thing}
    objects = [
        f"{AGENT} - agent",
        f"{' '.join(places)} - location",
        f"{' '.join(receptacle.id for receptacle in world.receptacles)} - receptacle",
        f"{' '.join(thing.id for thing in world.things)} - object",
        *(f"{' '.join(f'{kind}Type' for kind in sorted(group))} - {type_}" for type_, group in kinds.items()),
    ]
    facts = [f"(atLocation {AGENT} {start.place})"]
    for receptacle in world.receptacles:
        facts.append(f"(receptacleAtLocation {receptacle.id} {receptacle.place})")
        facts.append(f"(receptacleType {receptacle.id} {receptacle.kind}Type)")
        if receptacle.openable:
            facts.append(f"(openable {receptacle.id})")
        facts += [f"(inReceptacle {thing} {receptacle.id})" for thing in start.contents[receptacle.id]]
    facts += [f"(opened {receptacle})" for receptacle in sorted(start.opened)]
    for thing in world.things:
        facts.append(f"(objectType {thing.id} {thing.kind}Type)")
        facts += [f"({'isReceptacleObject' if can == 'hollow' else can} {thing.id})" for can in sorted(thing.can)]
    facts += [f"(objectAtLocation {thing} {place})" for thing, place in sorted(start.spots.items())]
    facts += [f"(canContain {receptacle}Type {thing}Type)" for receptacle, thing in sorted(world.fits)]
    lines = "\n  ".join(facts)
    return (
        "(define (problem household)\n (:domain alfred)\n"
        f" (:objects\n  {chr(10).join(objects)}\n )\n (:init\n  (= (total-cost) 0)\n  {lines}\n )\n"
        f" (:goal {_goal(world.goal)})\n (:metric minimize (total-cost))\n)\n"
    )


def _goal(goal: Goal) -> str:
    def placed(thing: str) -> str:
        return f"(inReceptacle {thing} ?r) (objectType {thing} {goal.thing}Type) (receptacleType ?r {goal.target}Type)"

    match goal.task:
        case TaskType.LOOK:
            lamp = (
                f"(objectType ?t {goal.target}Type) (toggleable ?t) (isToggled ?t) (inReceptacle ?t ?r) "
                "(receptacleAtLocation ?r ?l) (atLocation ?a ?l)"
            )
            seen = f"(exists (?t - object ?r - receptacle ?a - agent ?l - location) (and {lamp}))"
            held = f"(exists (?o - object ?a - agent) (and (objectType ?o {goal.thing}Type) (holds ?a ?o)))"
            return f"(and {seen} {held})"
        case TaskType.PICK_TWO:
            both = f"(not (= ?o ?p)) {placed('?o')} {placed('?p')}"
            return f"(exists (?r - receptacle ?o - object ?p - object) (and {both}))"
    treated = {
        TaskType.PICK: "",
        TaskType.CLEAN: " (cleanable ?o) (isClean ?o)",
        TaskType.HEAT: " (heatable ?o) (isHot ?o)",
        TaskType.COOL: " (coolable ?o) (isCool ?o)",
    }[goal.task]
    return f"(exists (?r - receptacle ?o - object) (and {placed('?o')}{treated}))"


def game(world: World) -> dict[str, Any]:
    """The world as the contents of a `.tw-pddl` file, with the domain and grammar the package ships."""
    info = _package("alfworld.info")
    grammar = Path(info.ALFRED_TWL2_PATH).read_text(encoding="utf-8")
    return {
        "pddl_domain": Path(info.ALFRED_PDDL_PATH).read_text(encoding="utf-8"),
        "grammar": grammar.replace("UNKNOWN GOAL", world.goal.text),
        "pddl_problem": problem(world),
        "solvable": True,
        "walkthrough": [],
    }


class PddlEngine:
    """Plays worlds on TextWorld; satisfies `envs.alfworld.engine.Engine`.

    Raises:
        ValueError: the packages of the extra are not installed.
    """

    def __init__(self) -> None:
        textworld, demangler = _package("textworld"), _package("alfworld.agents.environment.alfred_tw_env")
        infos = textworld.EnvInfos(won=True, admissible_commands=True)
        self._env = demangler.AlfredDemangler(_package("textworld.envs").PddlEnv(infos))
        self._told: Any = None

    def start(self, world: World) -> Turn:
        self.world = world
        self._env.load(game(world))
        self._told = self._env.reset()
        return self._turn()

    def step(self, command: str) -> Turn:
        self._told, _, _ = self._env.step(command)
        return self._turn()

    def plan(self) -> list[str]:
        inner = self._env.unwrapped
        return list(inner._pddl_state.replan(inner._entity_infos))

    @property
    def state(self) -> State:
        """Read off the engine's facts."""
        facts: defaultdict[str, list[Any]] = defaultdict(list)
        for fact in self._told["_facts"]:
            facts[fact.name].append(tuple(variable.name for variable in fact.arguments))
        contents: dict[str, list[str]] = {receptacle.id: [] for receptacle in self.world.receptacles}
        for thing, receptacle in sorted(facts["inreceptacle"]):
            contents[receptacle].append(thing)
        state = State(
            place=next(place for _, place in facts["atlocation"]),
            contents=contents,
            spots=dict(sorted(facts["objectatlocation"])),
            held=next((thing for _, thing in facts["holds"]), None),
        )
        for predicate, attribute in _STATES.items():
            setattr(state, attribute, {arguments[0] for arguments in facts[predicate]})
        state.left = {(thing, receptacle) for thing, receptacle in facts["not_inreceptacle"]}
        return state

    def close(self) -> None:
        self._env.close()

    def _turn(self) -> Turn:
        told = self._told
        return Turn(str(told.feedback), tuple(told.admissible_commands), bool(told.won))


def _package(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as missing:
        raise ValueError(
            f"engine=pddl needs the package {name.split('.')[0]}, which cannot be imported ({missing}); "
            "install it, or use engine=twin"
        ) from missing

"""The household's rules in the twin: known answers, and the engine's own recorded."""

import json

import pytest

import agentlab_runner.envs.alfworld
from agentlab_runner.envs.alfworld.commands import CommandParser
from agentlab_runner.envs.alfworld.scenes import Scenes
from agentlab_runner.envs.alfworld.twin import Twin
from agentlab_runner.envs.alfworld.world import Goal, Receptacle, State, TaskType, Thing, World, conditions, names
from tests.envs.alfworld.recorded import FILE, RECORDED, told


def test_recorded_walks_of_the_engine_are_met_step_by_step():
    walks = json.loads(FILE.read_text())
    env = agentlab_runner.envs.alfworld.make(**RECORDED)
    for walk in walks:
        start = env.reset(seed=walk["episode"], options={"episode": walk["episode"]})
        assert told(env, start) == walk["first"]
        for said, expected in walk["steps"]:
            assert told(env, env.step(said)) == expected, said
    assert sum(len(walk["steps"]) for walk in walks) > 200


def kitchen(goal: Goal, **start) -> World:
    """A fridge with an apple, a microwave, a basin, a table with a knife and two mugs, a lamp on a shelf."""
    kinds = ("diningtable", "fridge", "microwave", "shelf", "sinkbasin")
    receptacles = tuple(
        Receptacle(kind, f"{kind} 1", kind, f"place {kind}", kind in ("fridge", "microwave")) for kind in kinds
    )
    can = {
        "apple": "pickupable heatable coolable cleanable sliceable",
        "knife": "pickupable cleanable",
        "lamp": "toggleable",
        "mug a": "pickupable heatable coolable cleanable hollow",
        "mug b": "pickupable heatable coolable cleanable hollow",
    }
    called = {"apple": "apple 1", "knife": "knife 1", "lamp": "desklamp 1", "mug a": "mug 2", "mug b": "mug 1"}
    things = tuple(
        Thing(id_, called[id_], called[id_].split(" ")[0], frozenset(words.split())) for id_, words in can.items()
    )
    contents = {
        "diningtable": ["knife", "mug a", "mug b"], "fridge": ["apple"], "microwave": [], "shelf": ["lamp"],
        "sinkbasin": [],
    }  # fmt: skip
    spots = {thing: f"place {where}" for where, group in contents.items() for thing in group}
    fits = frozenset((kind, thing.kind) for kind in kinds for thing in things)
    return World(receptacles, things, fits, State("middle", contents, spots, **start), goal)


def play(world: World, *commands: str) -> list[str]:
    twin = Twin()
    twin.start(world)
    return [twin.step(command).text for command in commands]


ANY = Goal(TaskType.PICK, "apple", "shelf", "put an apple in shelf")


def test_it_says_what_the_engine_says():
    assert Twin().start(kitchen(ANY)).text == (
        "-= Welcome to TextWorld, ALFRED! =-\n\nYou are in the middle of a room. Looking quickly around you, you see "
        "a diningtable 1, a fridge 1, a microwave 1, a shelf 1, and a sinkbasin 1.\n\n"
        "Your task is to: put an apple in shelf."
    )
    assert play(kitchen(ANY), "look", "inventory", "go to fridge 1", "open fridge 1", "take apple 1 from fridge 1",
                "heat apple 1 with fridge 1", "cool apple 1 with fridge 1", "examine apple 1", "go to shelf 1") == [
        "You are in the middle of a room. Looking quickly around you, you see nothing.",
        "You are not carrying anything.",
        "You arrive at fridge 1. The fridge 1 is closed.",
        "You open the fridge 1. The fridge 1 is open. In it, you see a apple 1.",
        "You pick up the apple 1 from the fridge 1.",
        "Nothing happens.",
        "You cool the apple 1 using the fridge 1.",
        "This is a cold apple 1.",
        "You arrive at shelf 1. On the shelf 1, you see a desklamp 1.",
    ]  # fmt: skip


def test_food_is_sliced_through_a_closed_door_and_examining_tells_all_that_was_done_to_it():
    told = play(kitchen(ANY), "go to diningtable 1", "take knife 1 from diningtable 1", "go to fridge 1",
                "slice apple 1 with knife 1", "open fridge 1", "move knife 1 to fridge 1", "take apple 1 from fridge 1",
                "examine apple 1", "cool apple 1 with fridge 1", "examine apple 1", "go to microwave 1",
                "heat apple 1 with microwave 1", "examine apple 1", "go to sinkbasin 1",
                "clean apple 1 with sinkbasin 1", "examine apple 1")  # fmt: skip
    assert told[3] == "You sliced the apple 1 with the knife 1."
    assert [text for text in told if text.startswith("This is")] == [
        "This is a sliced apple 1.",
        "This is a cool sliced apple 1.",
        "This is a hot sliced apple 1.",
        "This is a hot and clean sliced apple 1.",
    ]


@pytest.mark.parametrize(
    ("task", "thing", "commands", "progress"),
    [
        (TaskType.PICK, "apple", "go to fridge 1; open fridge 1; take apple 1 from fridge 1; go to shelf 1; "
         "move apple 1 to shelf 1", "0 0 0 0 1"),
        (TaskType.CLEAN, "knife", "go to diningtable 1; take knife 1 from diningtable 1; go to sinkbasin 1; "
         "clean knife 1 with sinkbasin 1; go to shelf 1; move knife 1 to shelf 1", "0 0 0 1 1 3"),
        (TaskType.HEAT, "mug", "go to diningtable 1; take mug 1 from diningtable 1; go to microwave 1; "
         "heat mug 1 with microwave 1; go to shelf 1; move mug 1 to shelf 1", "0 0 0 1 1 3"),
        (TaskType.COOL, "mug", "go to diningtable 1; take mug 2 from diningtable 1; go to shelf 1; "
         "move mug 2 to shelf 1; take mug 2 from shelf 1; go to fridge 1; cool mug 2 with fridge 1; "
         "go to shelf 1; move mug 2 to shelf 1",
         "0 0 0 1 0 0 1 1 3"),
        (TaskType.PICK_TWO, "mug", "go to diningtable 1; take mug 1 from diningtable 1; go to shelf 1; "
         "move mug 1 to shelf 1; go to diningtable 1; take mug 2 from diningtable 1; go to shelf 1; "
         "move mug 2 to shelf 1",
         "0 0 0 1 1 1 1 2"),
        (TaskType.LOOK, "mug", "go to shelf 1; use desklamp 1; go to diningtable 1; take mug 1 from diningtable 1; "
         "go to shelf 1", "0 1 0 1 2"),
    ],
)  # fmt: skip
def test_every_task_is_solved_and_its_conditions_come_true_in_turn(task, thing, commands, progress):
    world = kitchen(Goal(task, thing, "desklamp" if task is TaskType.LOOK else "shelf", "solve it"))
    twin = Twin()
    twin.start(world)
    met = []
    for command in commands.split("; "):
        turn = twin.step(command)
        met.append(conditions(world, twin.state)[0])
        assert turn.won == (met[-1] == conditions(world, twin.state)[1])
    assert met == [int(number) for number in progress.split()]
    assert turn.won


def test_heating_undoes_cooling_and_a_cold_mug_is_no_hot_one():
    world = kitchen(Goal(TaskType.HEAT, "mug", "fridge", "put a hot mug in fridge"))
    twin = Twin()
    twin.start(world)
    for command in ("go to diningtable 1", "take mug 1 from diningtable 1", "go to microwave 1",
                    "heat mug 1 with microwave 1", "go to fridge 1", "open fridge 1", "cool mug 1 with fridge 1",
                    "move mug 1 to fridge 1"):  # fmt: skip
        turn = twin.step(command)
    assert not turn.won
    assert conditions(world, twin.state) == (1, 3)


def test_what_cannot_be_done_changes_nothing():
    twin = Twin()
    first = twin.start(kitchen(ANY))
    before = twin.state.copy()
    for command in ("open fridge 1", "take apple 1 from fridge 1", "go to fridge 10", "", "go to", "drop table"):
        assert twin.step(command).text == "Nothing happens."
        assert twin.state == before
    assert twin.step("  look  ").commands == first.commands


def test_names_count_down_in_the_order_of_ids_and_basins_get_their_suffix():
    assert names(["mug_bar_2", "mug_bar_1", "sink_bar_1_bar_sinkbasin", "sink_bar_1"]) == {
        "mug_bar_1": "mug 2",
        "mug_bar_2": "mug 1",
        "sink_bar_1": "sink 1",
        "sink_bar_1_bar_sinkbasin": "sinkbasin 1",
    }


def test_every_command_of_a_game_is_in_the_parsers_grammar():
    parser = CommandParser()
    twin = Twin()
    scenes = Scenes()
    for seed in range(30):
        for command in twin.start(scenes.make(seed)).commands:
            assert parser.parse(command) == command

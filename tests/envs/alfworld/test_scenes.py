"""Scenes: reproducible, solvable, and never shared between training and test."""

import json

import pytest

from agentlab_runner.envs.alfworld.catalog import HOLDS, ROOMS
from agentlab_runner.envs.alfworld.games import Games, read_game, read_problem
from agentlab_runner.envs.alfworld.pddl import problem
from agentlab_runner.envs.alfworld.scenes import Scenes, combinations, furniture, held_out, layouts
from agentlab_runner.envs.alfworld.world import TaskType, conditions


def test_tasks_of_training_and_test_are_disjoint_and_every_word_is_trained_on():
    train, test = (set(Scenes(split).combinations) for split in ("train", "test"))
    assert train.isdisjoint(test)
    assert set(Scenes("test_seen").combinations) >= test
    for word in ("thing", "target"):
        assert {getattr(c, word) for c in test} <= {getattr(c, word) for c in train}
    for task in TaskType:
        asked, kept = (sum(c.task is task for c in group) for group in (combinations(), test))
        assert 0.1 < kept / asked <= 0.25, task


def test_rooms_of_training_and_test_are_disjoint():
    assert set(layouts("train")).isdisjoint(layouts("test"))
    assert set(layouts("train")) == set(layouts("test_seen"))
    assert len(layouts("train")) == 96
    train = {tuple(sorted(furniture(at))) for at in layouts("train")}
    test = {tuple(sorted(furniture(at))) for at in layouts("test")}
    assert len(train & test) <= 1, "two numbers may give the same furniture, but hardly ever"


@pytest.mark.parametrize("size", [{}, {"receptacles": 4, "objects": 3}])
@pytest.mark.parametrize("split", ["train", "test_seen", "test"])
def test_every_scene_is_complete_and_not_solved_at_the_start(split, size):
    scenes = Scenes(split, sampling="sequential", **size)
    for episode in range(120):
        world = scenes.make(episode, episode)
        goal, kinds = world.goal, [receptacle.kind for receptacle in world.receptacles]
        wanted = [thing for thing in world.things if thing.kind == goal.thing]
        assert len(wanted) >= 1 + (goal.task is TaskType.PICK_TWO)
        assert goal.target in [*kinds, *(thing.kind for thing in world.things)]
        met, asked = conditions(world, world.start)
        assert met < asked
        assert len(world.things) <= size.get("objects", 12)
        assert len(kinds) <= size.get("receptacles", 99)
        for receptacle in world.receptacles:
            for thing in world.things:
                if thing.id in world.start.contents[receptacle.id]:
                    assert thing.kind in HOLDS[receptacle.kind]
                    assert world.start.spots[thing.id] == receptacle.place


def test_a_seed_gives_one_scene_and_another_seed_another():
    scenes = Scenes()
    assert scenes.make(7) == Scenes().make(7)
    assert scenes.make(7) != scenes.make(8)


def test_sequential_takes_types_in_turn_and_covers_every_task():
    scenes = Scenes("test", sampling="sequential")
    first = [scenes.make(0, episode).goal.task for episode in range(6)]
    assert sorted(first) == sorted(TaskType)
    looks = [c for c in scenes.combinations if c.task is TaskType.LOOK]
    seen = {scenes.make(0, 6 * turn + first.index(TaskType.LOOK)).goal.thing for turn in range(len(looks))}
    assert seen == {c.thing for c in looks}


def test_choices_narrow_what_is_asked():
    scenes = Scenes(task_types=["pick_heat_then_place_in_recep"], things=["mug", "egg"], rooms=["kitchen"])
    goals = [scenes.make(seed).goal for seed in range(40)]
    assert {goal.task for goal in goals} == {TaskType.HEAT}
    assert {goal.thing for goal in goals} == {"mug", "egg"}


@pytest.mark.parametrize(("kwargs", "sentence"), [
    ({"split": "valid"}, "split: unknown 'valid'; choose from train, test_seen, test"),
    ({"task_types": ["pick"]}, "task_types: unknown 'pick'; choose from pick_and_place_simple"),
    ({"rooms": ["garage"]}, "rooms: unknown 'garage'; choose from kitchen"),
    ({"things": ["axe"]}, "things: unknown 'axe'; choose from"),
    ({"sampling": "all"}, "sampling: unknown 'all'"),
    ({"receptacles": 2}, "receptacles is 2; a task may need 3"),
    ({"objects": 2}, "objects is 2; a task may need 3"),
    ({"task_types": ["look_at_obj_in_light"], "rooms": ["bathroom"]}, "no task of the split train is left"),
])  # fmt: skip
def test_bad_choices_are_answered_with_what_to_do(kwargs, sentence):
    with pytest.raises(ValueError, match=sentence):
        Scenes(**kwargs)


def test_catalogue_is_consistent():
    for room in ROOMS.values():
        assert set(room.furniture) <= set(HOLDS)
        for thing in room.things:
            assert any(thing in HOLDS[kind] for kind in room.furniture), thing
    assert held_out() < set(combinations())


def test_a_problem_is_read_back_as_the_world_it_was_written_from():
    scenes = Scenes()
    for seed in range(20):
        world = scenes.make(seed)
        read = read_problem(problem(world), world.goal)
        assert (read.receptacles, read.things, read.fits, read.start) == (
            world.receptacles, world.things, world.fits, world.start
        )  # fmt: skip


def test_downloaded_games_are_found_by_type_and_solved_alike(downloaded):
    games = Games(str(downloaded), sampling="sequential")
    worlds = [games.make(0, episode) for episode in range(12)]
    assert sorted(world.goal.task for world in worlds) == sorted(2 * list(TaskType))
    assert all(not world.goal.text.endswith(".") for world in worlds)
    only = Games(str(downloaded), task_types=["pick_two_obj_and_place"])
    assert only.make(3).goal.task is TaskType.PICK_TWO
    assert only.make(3) == only.make(3)


def test_missing_games_name_the_command_that_fetches_them(tmp_path, downloaded):
    with pytest.raises(ValueError, match="alfworld-download"):
        Games(str(tmp_path / "nothing"))
    with pytest.raises(ValueError, match=r"valid_unseen holds no ALFWorld games; run alfworld-download"):
        Games(str(downloaded), "test")


def test_unsolvable_games_make_way_and_damaged_ones_are_named(downloaded):
    files = sorted(downloaded.rglob("pick_and_place_simple*/*/game.tw-pddl"))
    content = json.loads(files[0].read_text())
    files[0].write_text(json.dumps(content | {"solvable": False}))
    games = Games(str(downloaded), task_types=["pick_and_place_simple"], sampling="sequential")
    assert games.make(0, 0) == games.make(0, 1)
    files[1].write_text("{")
    read_game.cache_clear()
    with pytest.raises(ValueError, match=r"cannot be read as an ALFWorld game .*alfworld-download"):
        games.make(0, 1)

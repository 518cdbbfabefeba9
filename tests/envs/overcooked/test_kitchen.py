"""The rules, one by one, and the traces of the original."""

import pytest

from agentlab_runner.envs.overcooked.env import OvercookedEnv, make_kitchen
from agentlab_runner.envs.overcooked.kitchen import CHOPS, Kitchen, State
from agentlab_runner.envs.overcooked.macros import first_step, play

TRACES = [
    ("tomato_salad", [0, 2, 4, 0, 1, 3], [2, 5, 3, 1, 10, 7], 0.92052),
    ("tomato_salad", [0, 2, 4, 1, 0, 3], [2, 5, 3, 9, 9, 3], 0.89563),
    ("tomato_lettuce_salad", [0, 4, 7, 1, 5, 7, 3, 0, 1, 6], [2, 5, 3, 5, 6, 3, 8, 9, 2, 2], 0.94766),
]


def kitchen(task: str = "tomato_lettuce_salad", radius: int = 0) -> Kitchen:
    return make_kitchen(task, "A", radius)


def put(state: State, own: Kitchen, **places) -> State:
    """The state with items at other cells."""
    moved = [places.get(name, place) for name, place in zip(own.layout.items, state.places, strict=True)]
    return state._replace(places=tuple(moved))


def chopped(state: State, own: Kitchen, *foods: str) -> State:
    strokes = [CHOPS if food in foods else n for food, n in zip(own.layout.foods, state.chops, strict=True)]
    return state._replace(chops=tuple(strokes))


def last(own: Kitchen, state: State, macro: str) -> tuple[State, list[str]]:
    """Where a macro ends, and the kinds of its events."""
    kinds = []
    for after, event in play(own, state, macro):
        state = after
        kinds.append(event.kind)
    return state, kinds


@pytest.mark.parametrize(("task", "actions", "steps", "episode_return"), TRACES)
def test_the_originals_traces(task, actions, steps, episode_return):
    env = OvercookedEnv(task)
    env.reset(seed=0)
    infos = []
    for action in actions:
        _, _, terminated, truncated, info = env.step(action)
        infos.append(info)
    assert [info["steps"] for info in infos] == steps
    assert (terminated, truncated, info["success"], info["stop"]) == (True, False, True, "success")
    assert info["episode_steps"] == sum(steps)
    assert info["episode_return"] == pytest.approx(episode_return, abs=5e-6)


def test_what_is_seen_and_paid_along_a_trace():
    """Tomato (cell, strokes), plate, board, delivery, agent; zeros out of sight. Worked out by hand from the rules."""
    env = OvercookedEnv("tomato_salad")
    env.reset()
    _, actions, steps, _ = TRACES[0]
    seen = [
        [1, 5, 0, 0, 0, 0, 0, 0, 0, 1, 5],  # took the tomato
        [1, 0, 0, 0, 0, 1, 0, 3, 0, 1, 1],  # put it on the board
        [1, 0, 3, 0, 0, 1, 0, 3, 0, 1, 1],  # chopped it
        [1, 1, 3, 0, 0, 1, 0, 3, 0, 1, 1],  # took it up
        [5, 5, 3, 5, 5, 0, 0, 0, 0, 5, 5],  # put it into the bowl and took that
    ]
    gains = [0, 0, 0.2, 0, 0, 1]  # at each macro's last primitive step
    for action, k, numbers, gain in zip(actions, steps, [*seen, None], gains, strict=True):
        observation, reward, *_ = env.step(action)
        assert reward == pytest.approx(gain * 0.99 ** (k - 1) - 0.001 * sum(0.99**i for i in range(k)), abs=1e-9)
        assert numbers is None or observation["vector"].tolist() == [*numbers, 1, 0, 0, 0, 0, 0, 0]


def test_what_the_cook_sees_at_first():
    env = OvercookedEnv("tomato_salad")
    observation, _ = env.reset(seed=3)
    assert observation["vector"].tolist() == [0, 5, 0, 0, 0, 0, 0, 0, 0, 1, 4, 1, 0, 0, 0, 0, 0, 0]
    everything, _ = OvercookedEnv("tomato_salad", radius=0).reset()
    assert everything["vector"].tolist() == [0, 5, 0, 6, 5, 1, 0, 3, 0, 1, 4, 1, 0, 0, 0, 0, 0, 0]
    other, _ = OvercookedEnv("tomato_lettuce_salad").reset()
    assert len(other["vector"]) == 26
    assert other["vector"].tolist()[17:19] == [1, 4]
    assert other["vector"].tolist()[19:] == [0, 0, 0, 1, 0, 0, 0]


def test_things_are_put_down_picked_up_and_served():
    own = kitchen()
    state, _ = last(own, own.start(), "get tomato")
    assert state.held == "tomato"
    up, _ = own.step(state, "up")  # back onto the counter it came from
    assert (up.held, own.place(up, "tomato")) == ("", (0, 5))
    walked, _ = own.step(state, "down")
    assert own.place(walked, "tomato") == walked.agent == (2, 5)
    beside, _ = own.step(walked, "right")  # where the onion lies: nothing happens
    assert beside == walked


def test_a_food_is_chopped_by_three_strokes_and_only_then_taken():
    own = kitchen()
    state = put(own.start(), own, tomato=(1, 0))._replace(agent=(1, 1))
    kinds = []
    for _ in range(CHOPS):
        assert not own.is_chopped(state, "tomato")
        state, event = own.step(state, "left")
        kinds.append(event)
    assert [(event.kind, event.food) for event in kinds] == [("", ""), ("", ""), ("chopped", "tomato")]
    state, _ = own.step(state, "left")
    assert state.held == "tomato"


def test_chopping_what_nobody_ordered_earns_nothing():
    env = OvercookedEnv("tomato_lettuce_salad", radius=0, rewards=[1, 0, 0, 0])
    env.reset()
    rewards = [env.step(action)[1] for action in (2, 4, 7)]  # the onion to the first board
    assert rewards == [0, 0, 0]
    env.reset()
    assert sum(env.step(action)[1] for action in (1, 4, 7)) == pytest.approx(0.99**2)  # at the third stroke


@pytest.mark.parametrize("cell", [(1, 0), (2, 6)])
def test_chopped_food_and_bowl_meet_on_boards_and_counters(cell):
    own = kitchen()
    beside = (cell[0], 1 if cell[1] == 0 else 5)
    towards = "left" if cell[1] == 0 else "right"
    base = put(chopped(own.start(), own, "tomato"), own, onion=(0, 1))
    carrying_bowl = put(base, own, tomato=cell, plate=beside)._replace(agent=beside, held="plate")
    state, _ = own.step(carrying_bowl, towards)
    assert (state.held, state.plated, own.place(state, "tomato")) == ("plate", {"tomato"}, beside)
    carrying_food = put(base, own, tomato=beside, plate=cell)._replace(agent=beside, held="tomato")
    state, _ = own.step(carrying_food, towards)
    assert state.plated == {"tomato"}
    on_board = cell == (1, 0)
    assert state.held == ("plate" if on_board else "")  # from a board the bowl is taken up, on a counter it stays
    assert own.place(state, "plate") == (beside if on_board else cell)


def test_raw_food_does_not_go_into_the_bowl():
    own = kitchen()
    state = put(own.start(), own, tomato=(1, 1), plate=(1, 0))._replace(agent=(1, 1), held="tomato")
    state, _ = own.step(state, "stay")  # looks around
    assert own.step(state, "left")[0] == state


def test_a_wrong_dish_goes_back_to_where_everything_came_from_unchopped():
    own = kitchen()
    state = put(chopped(own.start(), own, "tomato"), own, tomato=(3, 1), plate=(3, 1))
    state = state._replace(agent=(3, 1), held="plate", plated=frozenset({"tomato"}))
    after, event = own.step(state, "left")
    assert event.kind == "wrong"
    assert (after.held, after.plated, after.places) == ("", frozenset(), own.layout.starts)
    assert after.chops == (0, 0, 0)
    right = state._replace(plated=frozenset({"tomato", "lettuce"}))
    assert own.step(chopped(right, own, "tomato", "lettuce"), "left")[1].kind == "delivered"


def test_what_returns_finds_its_place_taken():
    own = kitchen()
    state = put(own.start(), own, tomato=(3, 1), onion=(0, 5))._replace(agent=(3, 1), held="tomato")
    after, _ = own.step(state, "left")
    places = after.places
    assert len(set(places)) == len(places)
    assert own.layout.is_counter(own.place(after, "tomato"))


def test_memory_holds_what_was_seen_and_gives_up_what_is_missing():
    own = kitchen("tomato_salad", radius=2)
    away = put(own.start(), own, tomato=(6, 1), plate=(0, 1))
    near, _ = own.step(away._replace(agent=(1, 4)), "stay")
    assert own.remembered(near, "tomato") == (0, 5)  # not there, so believed at its start, which is here
    seen, _ = own.step(away._replace(agent=(5, 1)), "stay")
    assert own.remembered(seen, "tomato") == (6, 1)
    assert own.remembered(seen, "plate") == (6, 5)
    missed, _ = own.step(put(seen, own, tomato=(0, 1)), "stay")
    assert own.remembered(missed, "tomato") == (0, 5)  # gone from where it was seen
    elsewhere, _ = own.step(put(seen, own, tomato=(0, 1))._replace(agent=(5, 5)), "stay")
    assert own.remembered(elsewhere, "tomato") == (6, 1)  # nothing seen that says otherwise


def test_macros_that_cannot_be_carried_out_stay_for_a_step():
    own = kitchen()
    start = own.start()
    beside_board = start._replace(agent=(1, 1))
    assert last(own, beside_board, "board 1") == (beside_board, [""])  # empty hands do not chop or take
    assert last(own, start, "chop") == (start, [""])
    raw = put(start, own, tomato=(1, 0))._replace(agent=(1, 1), memory=put(start, own, tomato=(1, 0)).places)
    assert last(own, raw, "get tomato")[0].held == ""
    carrying = put(start, own, tomato=(5, 5))._replace(agent=(5, 5), held="tomato")
    assert last(own, carrying, "get plate")[0].held == "tomato"  # raw food is not put down for the bowl


def test_the_bowl_is_filled_and_taken_in_one_macro():
    own = kitchen()
    carrying = put(chopped(own.start(), own, "tomato"), own, tomato=(5, 5))._replace(agent=(5, 5), held="tomato")
    state, kinds = last(own, carrying, "get plate")
    assert (len(kinds), state.held, state.plated) == (2, "plate", {"tomato"})


def test_in_a_parted_room_the_other_side_is_out_of_reach():
    parted, gap = make_kitchen("tomato_salad", "B", 0), make_kitchen("tomato_salad", "C", 0)
    assert first_step(parted, (1, 2), (0, 5)) == ""
    assert first_step(gap, (1, 2), (0, 5)) == "down"
    assert len(list(play(parted, parted.start(), "get tomato"))) == 1

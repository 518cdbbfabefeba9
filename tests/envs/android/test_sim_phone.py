"""How the simulated phone behaves under touch, text and keys."""

import random
import time

import numpy as np
import pytest

from agentlab_runner.envs.android import tasks
from agentlab_runner.envs.android.device import Key
from agentlab_runner.envs.android.devices.sim import SimPhone
from agentlab_runner.envs.android.sim import screen
from agentlab_runner.envs.android.sim.state import Message, open_app, open_page


@pytest.fixture
def phone() -> SimPhone:
    phone = SimPhone(popup_rate=0, slow_rate=0)
    phone.reset(None, 3)
    return phone


def touch(phone: SimPhone, name: str) -> None:
    phone.tap(*next(widget for widget in screen.visible(phone.widgets()) if widget.id == name).centre)


def test_an_icon_opens_its_app_and_back_and_home_leave_it(phone):
    touch(phone, "app/settings")
    touch(phone, "section/display")
    assert phone.state.page.key == "settings.display"
    assert phone.current_activity() == "org.agentlab.settings/.DisplayActivity"
    phone.keyevent(Key.BACK)
    assert phone.state.page.key == "settings.root"
    touch(phone, "section/display")
    phone.keyevent(Key.HOME)
    assert [page.key for page in phone.state.stack] == ["launcher.home"]
    phone.keyevent(Key.BACK)
    assert phone.state.page.key == "launcher.home"


def test_back_closes_the_keyboard_before_the_page(phone):
    open_page(phone.state, "contacts", "new", focus="name")
    phone.keyevent(Key.BACK)
    assert (phone.state.page.key, phone.state.focus) == ("contacts.new", "")
    phone.keyevent(Key.BACK)
    assert phone.state.page.key == "launcher.home"


def test_typing_without_focus_has_no_effect(phone):
    open_app(phone.state, "browser")
    before = phone.snapshot()
    phone.type_text("lamp")
    phone.keyevent(Key.ENTER)
    assert phone.state == before
    touch(phone, "query")
    phone.type_text("lamp")
    assert phone.state.page.fields == {"query": "lamp"}


def test_typed_text_is_appended_and_erased(phone):
    open_page(phone.state, "contacts", "new", focus="name")
    phone.type_text("Al\n\x00")
    phone.type_text("ice")
    phone.keyevent(Key.DEL)
    assert phone.state.page.fields["name"] == "Al ic"
    phone.type_text("\nx\ny")
    assert phone.state.page.fields["name"] == "Al ic x y"
    touch(phone, "name/clear")
    assert "name" not in phone.state.page.fields
    assert phone.state.focus == "name"


def test_a_field_takes_long_text_and_refuses_aloud_what_it_cannot_hold(phone):
    open_page(phone.state, "notes", "new", focus="body")
    phone.type_text("x" * 4000)
    assert phone.state.page.fields["body"] == "x" * 4000
    assert not phone.state.toast
    phone.type_text("y" * 100)
    assert phone.state.page.fields["body"] == "x" * 4000
    assert any("a field holds 4096 characters" in widget.text for widget in phone.widgets())
    assert phone.screenshot().any()


def test_keys_of_the_keyboard_type(phone):
    open_page(phone.state, "browser", "home", "ebay")
    touch(phone, "find")
    for key in ("t", "v", "x"):
        touch(phone, f"key/{key}")
    touch(phone, "key/delete")
    touch(phone, "key/enter")
    assert phone.state.page.key == "browser.results:ebay|tv"


def test_enter_submits_address_search_and_shop_search(phone):
    for typed, page in (
        ("bestbuy.com", "browser.home:bestbuy"),
        ("https://www.eBay.com/", "browser.home:ebay"),
        ("news.com", "browser.site:news.com"),
        ("Cheap  flights", "browser.search:cheap flights"),
    ):
        open_app(phone.state, "browser")
        touch(phone, "address")
        phone.type_text(typed)
        phone.keyevent(Key.ENTER)
        assert phone.state.page.key == page


def test_a_swipe_moves_a_list_by_whole_rows_and_stops_at_its_ends(phone):
    open_app(phone.state, "settings")
    before = phone.screenshot()
    phone.swipe(540, 1600, 540, 1200)
    assert phone.state.page.scroll == 2
    assert (phone.screenshot() != before).any()
    phone.swipe(540, 1600, 540, 400)
    assert phone.state.page.scroll == 2
    touch(phone, "section/about")
    phone.keyevent(Key.BACK)
    assert phone.state.page.scroll == 2
    phone.swipe(540, 600, 540, 2000)
    assert phone.state.page.scroll == 0


def test_a_short_swipe_is_a_tap_and_one_beside_a_list_does_nothing(phone):
    before = phone.snapshot()
    phone.swipe(540, 1800, 540, 600)
    assert phone.state == before
    x, y = next(widget for widget in phone.widgets() if widget.id == "app/notes").centre
    phone.swipe(x, y, x + 10, y - 10)
    assert phone.state.page.key == "notes.root"


@pytest.mark.parametrize(("x", "y"), [(-5, 100), (1080, 100), (540, 2280), (10**9, -(10**9))])
def test_touches_outside_the_screen_are_moved_to_its_edge_with_a_warning(phone, x, y):
    with pytest.warns(UserWarning, match="outside the 1080 x 2280 screen"):
        phone.tap(x, y)
    with pytest.warns(UserWarning, match="outside"):
        phone.swipe(540, 500, x, y)


def test_a_pop_up_takes_every_touch_until_it_is_answered(phone):
    phone = SimPhone(popup_rate=1, slow_rate=0)
    phone.reset(None, 0)
    touch(phone, "app/browser")
    assert phone.state.popup == "restore"
    phone.tap(540, 710)
    phone.type_text("lamp")
    phone.swipe(540, 1600, 540, 1200)
    assert phone.state.popup == "restore"
    touch(phone, "popup/no")
    assert phone.state.popup == ""
    touch(phone, "site/target")
    assert phone.state.popup == "cookies"
    phone.keyevent(Key.BACK)
    assert (phone.state.popup, phone.state.page.key) == ("", "browser.home:target")


def test_a_slow_page_is_white_until_looked_at_again_or_touched():
    phone = SimPhone(popup_rate=0, slow_rate=1)
    phone.reset(None, 0)
    touch(phone, "app/settings")
    assert phone.ui_tree().children == ()
    assert (phone.screenshot() == 255).all()
    assert not (phone.screenshot() == 255).all()
    touch(phone, "section/network")
    lost = phone.snapshot()
    phone.tap(540, 380)
    assert phone.state.loading == 0
    assert phone.state.settings == lost.settings
    assert phone.ui_tree().children


def test_pop_ups_and_slow_pages_come_at_their_rates():
    phone = SimPhone(popup_rate=0.3, slow_rate=0.1)
    popups = slow = 0
    for seed in range(1000):
        phone.reset(None, seed)
        touch(phone, "app/notes")
        popups += bool(phone.state.popup)
        slow += bool(phone.state.loading)
    assert 250 < popups < 350
    assert 65 < slow < 135


def test_a_toast_shows_for_one_step(phone):
    open_page(phone.state, "contacts", "new", focus="name")
    phone.type_text("Zoe")
    touch(phone, "save")
    assert phone.state.toast == "Zoe saved"
    assert any(node.text == "Zoe saved" for node in phone.ui_tree().children)
    phone.tap(540, 40)
    assert phone.state.toast == ""


def test_apps_remember_what_was_done(phone):
    person = phone.state.contacts[0].name
    open_page(phone.state, "messages", "thread", person)
    touch(phone, "draft")
    phone.type_text("see you soon")
    touch(phone, "send")
    assert phone.state.threads[person][-1] == Message("see you soon", mine=True)
    open_app(phone.state, "calculator")
    for key in ("7", "x", "6", "="):
        touch(phone, f"key/{key}")
    assert phone.state.page.fields["sum"] == "42"
    open_app(phone.state, "settings")
    touch(phone, "find")
    phone.type_text("blue")
    touch(phone, "toggle/bluetooth")
    assert phone.state.settings["bluetooth"] in ("on", "off")


def test_the_calculator_never_divides_by_zero(phone):
    open_app(phone.state, "calculator")
    for key in ("8", "/", "0", "="):
        touch(phone, f"key/{key}")
    assert phone.state.page.fields["sum"] == "error"


def wander(phone: SimPhone, rng: random.Random, steps: int) -> None:
    """Random actions, most of them on something that can be tapped."""
    words = ("lamp", "ebay.com", "a b", "", "é", "<&>\"'", "x" * 300)
    for _ in range(steps):
        match rng.choice(("touch", "touch", "touch", "tap", "swipe", "type", "key", "look")):
            case "touch":
                targets = [widget for widget in screen.visible(phone.widgets()) if widget.on_tap]
                if targets:
                    phone.tap(*rng.choice(targets).centre)
            case "tap":
                phone.tap(rng.randrange(1080), rng.randrange(2280))
            case "swipe":
                phone.swipe(rng.randrange(1080), rng.randrange(2280), rng.randrange(1080), rng.randrange(2280))
            case "type":
                phone.type_text(rng.choice(words))
            case "key":
                phone.keyevent(rng.choice(list(Key)))
            case "look":
                phone.screenshot()
                phone.ui_tree()


@pytest.mark.parametrize("seed", range(12))
def test_random_actions_never_crash_and_are_repeatable(seed):
    ends = []
    for _ in range(2):
        phone = SimPhone(popup_rate=0.2, slow_rate=0.1)
        rng = random.Random(seed)
        task = tasks.sample(rng, "all", "train")
        phone.reset(task, seed)
        wander(phone, rng, 150)
        ends.append((phone.snapshot(), phone.screenshot()))
    assert ends[0][0] == ends[1][0]
    assert (ends[0][1] == ends[1][1]).all()


def test_a_snapshot_brings_everything_back(phone):
    rng = random.Random(0)
    wander(phone, rng, 60)
    saved, picture = phone.snapshot(), phone.screenshot()
    kept = saved.copy()
    state = rng.getstate()
    wander(phone, rng, 60)
    future = phone.snapshot()
    assert saved == kept  # what happens later does not reach into a snapshot
    phone.restore(saved)
    assert (phone.screenshot() == picture).all()
    phone.restore(saved)
    rng.setstate(state)
    wander(phone, rng, 60)
    assert phone.snapshot() == future


def test_the_seed_decides_what_is_on_the_phone(phone):
    first = phone.snapshot()
    phone.reset(None, 3)
    assert phone.state == first
    phone.reset(None, 4)
    assert phone.state.contacts != first.contacts


@pytest.mark.parametrize("options", [{"scale": 0}, {"scale": 1.5}, {"popup_rate": -0.1}, {"slow_rate": 2}])
def test_options_out_of_range_are_refused_by_name(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        SimPhone(**options)


def test_a_picture_is_what_the_state_says(phone):
    first = phone.screenshot()
    touch(phone, "app/notes")
    phone.keyevent(Key.HOME)
    assert np.array_equal(phone.screenshot(), first)


@pytest.mark.slow
def test_three_hundred_steps_a_second_with_pictures():
    phone, rng = SimPhone(), random.Random(0)
    start = time.process_time()  # of this process: other work on the machine does not count
    for step in range(3000):
        if step % 15 == 0:
            phone.reset(tasks.sample(rng, "all", "train"), step)
        targets = [widget for widget in screen.visible(phone.widgets()) if widget.on_tap]
        if targets and rng.random() < 0.8:
            phone.tap(*rng.choice(targets).centre)
        else:
            phone.type_text(f"word {step}")
        phone.screenshot()
    assert 3000 / (time.process_time() - start) > 300

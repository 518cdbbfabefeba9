"""Pixels, taps and UI tree come from the same widgets: they must agree, and entities must differ at 96 x 96."""

from itertools import combinations

import numpy as np
import pytest
from PIL import Image

from agentlab_runner.envs.android.device import Key, UiNode
from agentlab_runner.envs.android.devices.sim import SimPhone
from agentlab_runner.envs.android.sim import catalog, screen
from agentlab_runner.envs.android.sim.apps import APPS
from agentlab_runner.envs.android.sim.state import Contact, Note, open_app, open_page


def places(phone: SimPhone) -> dict[str, tuple[str, str, tuple[str, ...]]]:
    """A phone page of every kind."""
    person, note = phone.state.contacts[2].name, phone.state.notes[0].title
    pages = [(name, "root", ()) for name in APPS] + [("settings", name, ()) for name in catalog.SECTIONS]
    pages += [("clock", "new", ()), ("clock", "alarm", ("0",)), ("clock", "timer", ()), ("clock", "stopwatch", ())]
    pages += [("contacts", name, (person,)) for name in ("person", "delete", "call")] + [("contacts", "new", ())]
    pages += [
        ("notes", "new", ()),
        ("notes", "note", (note,)),
        ("messages", "new", ()),
        ("messages", "thread", (person,)),
    ]
    pages += [("browser", "search", ("best buy",)), ("browser", "site", ("news.com",))]
    pages += [("browser", "home", (shop,)) for shop in catalog.SHOPS]
    pages += [("browser", "results", ("ebay", "laptop")), ("browser", "results", ("ebay", "gold bars"))]
    pages += [
        ("browser", "product", ("newegg", "lamp", "1")),
        ("browser", "cart", ("costco",)),
        ("gallery", "photo", ("0",)),
    ]
    return {f"{app}.{name}:{'|'.join(args)}": (app, name, args) for app, name, args in pages}


def calm(seed: int = 3, **options: float) -> SimPhone:
    phone = SimPhone(**{"popup_rate": 0, "slow_rate": 0} | options)
    phone.reset(None, seed)
    return phone


PLACES = places(calm())


def at(place: str, **options: float) -> SimPhone:
    phone = calm(**options)
    app, name, args = PLACES[place]
    fields = {"hour": "12", "minute": "00", "half": "AM"} if (app, name) == ("clock", "new") else None
    open_page(phone.state, app, name, *args, fields=fields)
    return phone


def nodes(node: UiNode) -> list[UiNode]:
    return [node, *(below for child in node.children for below in nodes(child))]


@pytest.mark.parametrize("focused", [False, True])
@pytest.mark.parametrize("place", PLACES)
def test_tapping_the_centre_of_a_clickable_node_does_what_its_widget_declares(place, focused):
    phone = at(place)
    fields = [node for node in nodes(phone.ui_tree()) if node.class_name.endswith("EditText")]
    if focused:
        if not fields:
            return
        left, top, right, bottom = fields[-1].bounds
        phone.tap((left + right) // 2, (top + bottom) // 2)
    start = phone.snapshot()
    prefix = f"{screen.app_of(start).package}:id/"
    declared = {widget.id: widget for widget in screen.flat(phone.widgets()) if widget.on_tap}
    clickable = [node for node in nodes(phone.ui_tree()) if node.clickable]
    assert {"back", "home"} <= {node.resource_id.removeprefix(prefix) for node in clickable}
    for node in clickable:
        left, top, right, bottom = node.bounds
        phone.restore(start)
        phone.tap((left + right) // 2, (top + bottom) // 2)
        expected = start.copy()
        declared[node.resource_id.removeprefix(prefix)].on_tap(expected)
        assert phone.state == expected, node.resource_id


@pytest.mark.parametrize("place", PLACES)
def test_ids_are_unique_and_every_node_lies_on_the_screen(place):
    phone = at(place)
    ids = [widget.id for widget in screen.flat(phone.widgets()) if widget.on_tap]
    assert len(ids) == len(set(ids))
    for node in nodes(phone.ui_tree()):
        left, top, right, bottom = node.bounds
        assert 0 <= left < right <= 1080
        assert 0 <= top < bottom <= 2280


@pytest.mark.parametrize("place", PLACES)
def test_every_clickable_node_can_be_seen(place):
    """Where the tree says that something can be tapped, the pixels show something: its area is not of one colour."""
    phone = at(place)
    picture = phone.screenshot().astype(int)
    for node in nodes(phone.ui_tree()):
        if node.clickable:
            left, top, right, bottom = (round(edge * phone.scale) for edge in node.bounds)
            area = picture[top:bottom, left:right].reshape(-1, 3)
            assert area.std(axis=0).max() > 2, node.resource_id


def test_a_tap_changes_the_pixels_of_the_switch_it_flips():
    phone = at("settings.network:")
    before = phone.screenshot()
    node = next(node for node in nodes(phone.ui_tree()) if node.resource_id.endswith("toggle/wifi"))
    left, top, right, bottom = node.bounds
    phone.tap((left + right) // 2, (top + bottom) // 2)
    changed = np.argwhere((phone.screenshot() != before).any(axis=2))
    inside = changed[(changed[:, 0] >= top * phone.scale - 1) & (changed[:, 0] <= bottom * phone.scale + 1)]
    assert len(inside) > 50
    assert (
        next(node for node in nodes(phone.ui_tree()) if node.resource_id.endswith("toggle/wifi")).checked
        is not node.checked
    )


def test_an_open_keyboard_hides_what_lies_under_it():
    phone = at("contacts.new:")
    phone.tap(500, 460)
    tree = nodes(phone.ui_tree())
    assert any("KeyboardView" in node.class_name for node in tree)
    assert [node.resource_id.split("/")[-1] for node in tree if node.focused] == ["name"]
    under = [node for node in tree if node.clickable and node.bounds[1] >= 1460 and node.bounds[3] <= 2160]
    assert under == []


def test_a_pop_up_leaves_only_itself_to_tap():
    phone = at("browser.home:target")
    phone.state.popup = "cookies"
    clickable = {node.resource_id.split(":id/")[-1] for node in nodes(phone.ui_tree()) if node.clickable}
    assert clickable == {"popup/yes", "popup/no", "back", "home"}


def small(phone: SimPhone) -> np.ndarray:
    """What a tiny model sees: float [96, 96, 3]."""
    return np.asarray(Image.fromarray(phone.screenshot()).resize((96, 96), Image.Resampling.BILINEAR), float)


def patch(phone: SimPhone, node: UiNode) -> np.ndarray:
    """The left end of a row, or the whole of a tile, squeezed to [8, 8, 3]."""
    left, top, right, bottom = node.bounds
    if right - left > 600:
        right = left + 220
    box = (round(left / 1080 * 96), round(top / 2280 * 96), round(right / 1080 * 96), round(bottom / 2280 * 96))
    crop = Image.fromarray(small(phone).astype(np.uint8)).crop(box)
    return np.asarray(crop.resize((8, 8), Image.Resampling.BILINEAR), float)


@pytest.mark.parametrize(
    ("place", "group"),
    [
        ("launcher", "app/"),
        ("browser.root:", "site/"),
        ("settings.root:", "section/"),
        ("contacts.root:", "contact/"),
        ("notes.root:", "note/"),
        ("messages.root:", "thread/"),
        ("music.root:", "song/"),
        ("clock.root:", "alarm/"),
        *((f"settings.{name}:", "toggle/") for name, (_, toggles) in catalog.SECTIONS.items() if toggles),
    ],
)
def test_neighbours_differ_when_the_screen_is_squashed_to_96_pixels(place, group):
    phone = calm() if place == "launcher" else at(place)
    found = {
        node.resource_id: patch(phone, node) for node in nodes(phone.ui_tree()) if f":id/{group}" in node.resource_id
    }
    assert len(found) > 1
    for (one, first), (other, second) in combinations(found.items(), 2):
        assert np.abs(first - second).mean() > 8, f"{one} looks like {other}"


def looks(kind: str) -> dict[str, np.ndarray]:
    """Every member of a kind at the same place on the squashed screen."""
    found = {}
    names = {"people": catalog.PEOPLE, "notes": catalog.NOTES, "items": catalog.ITEMS}[kind]
    for name in names:
        phone = calm()
        if kind == "people":
            phone.state.contacts = [Contact(name, "555-0100")]
            open_app(phone.state, "contacts")
        elif kind == "notes":
            phone.state.notes = [Note(name, "")]
            open_app(phone.state, "notes")
        else:
            open_page(phone.state, "browser", "results", "costco", name)
        node = next(
            node
            for node in nodes(phone.ui_tree())
            if node.resource_id.endswith((f"contact/{name}", f"note/{name}", "result/0"))
        )
        found[name] = patch(phone, node)
    return found


@pytest.mark.parametrize("kind", ["people", "notes", "items"])
def test_all_people_notes_and_goods_can_be_told_apart_at_96_pixels(kind):
    for (one, first), (other, second) in combinations(looks(kind).items(), 2):
        assert np.abs(first - second).mean() > 5, f"{one} looks like {other}"


def test_pages_of_different_kinds_differ_when_squashed():
    seen = {place: small(at(place)) for place in PLACES if "wifi" not in place}
    for (one, first), (other, second) in combinations(seen.items(), 2):
        assert np.abs(first - second).mean() > 0.5, f"{one} looks like {other}"


def test_text_in_a_field_shows_when_squashed():
    phone = at("browser.home:walmart")
    phone.tap(500, 545)
    before = small(phone)
    phone.type_text("lamp")
    assert np.abs(small(phone) - before).max() > 60


def test_dark_mode_darkens_every_app():
    for name in ("settings", "contacts", "messages", "browser"):
        phone = calm()
        open_app(phone.state, name)
        light = phone.screenshot().mean()
        phone.state.settings["dark mode"] = "on"
        assert phone.screenshot().mean() < light - 40


@pytest.mark.parametrize("scale", [0.1, 0.25, 1.0])
def test_the_picture_keeps_the_screen_aspect_at_every_scale(scale):
    phone = SimPhone(scale=scale, popup_rate=0, slow_rate=0)
    picture = phone.screenshot()
    assert picture.shape == (round(2280 * scale), round(1080 * scale), 3)
    assert picture.dtype == np.uint8
    picture[:] = 0  # a copy: the next picture is not damaged
    assert phone.screenshot().any()


def test_the_home_key_leaves_every_page():
    for place in PLACES:
        phone = at(place)
        phone.keyevent(Key.HOME)
        assert phone.state.page.key == "launcher.home"

"""General phone tasks: settings, clock, people, notes, messages, the web."""

from random import Random

from envs.android.device import TaskSpec
from envs.android.hand import Check, Fill, Route, Submit, Tap
from envs.android.sim import catalog
from envs.android.sim.apps import APPS, clock
from envs.android.sim.apps.contacts import find
from envs.android.sim.state import Alarm, Contact, Message, Note, PhoneState
from envs.android.tasks.template import Template

PEOPLE, NOTES, APP_NAMES = tuple(catalog.PEOPLE), tuple(catalog.NOTES), tuple(APPS)
HOURS = tuple(str(hour) for hour in range(1, 13))
LAUNCHER = "launcher.home"


def _via(app: str, *links: tuple[str, list]) -> Route:
    """From the home screen into an app, then on."""
    return ((LAUNCHER, [Tap(f"app/{app}")]), *links)


# --- what a phone must hold before the task can be done

def _know(state: PhoneState, name: str, phone: str = "") -> None:
    """Have a contact of this name, in place of another so that the list stays one screen long."""
    if find(state, name) is None:
        state.contacts = sorted([*state.contacts[1:], Contact(name, phone or catalog.PHONES[0])], key=lambda c: c.name)


def _know_person(state: PhoneState, task: TaskSpec, rng: Random) -> None:
    _know(state, task["person"], rng.choice(catalog.PHONES))


def _forget_person(state: PhoneState, task: TaskSpec, rng: Random) -> None:
    state.contacts = [c for c in state.contacts if c.name != task["person"]]


def _have_thread(state: PhoneState, task: TaskSpec, rng: Random) -> None:
    _know_person(state, task, rng)
    names = list(state.threads)
    if task["person"] not in names:
        names[rng.randrange(len(names))] = task["person"]
    state.threads = {name: state.threads.get(name, (Message("hello", mine=False),)) for name in names}


def _no_thread(state: PhoneState, task: TaskSpec, rng: Random) -> None:
    _know_person(state, task, rng)
    state.threads.pop(task["person"], None)


def _have_note(state: PhoneState, task: TaskSpec, rng: Random) -> None:
    title = task["note"]
    if title not in [note.title for note in state.notes]:
        state.notes[rng.randrange(len(state.notes))] = Note(title, catalog.NOTES[title][1])


def _have_alarm(state: PhoneState, task: TaskSpec, rng: Random) -> None:
    """An alarm on the full hour in the morning, and none other with that hour."""
    hour = int(task["hour"])
    others = [alarm for alarm in state.alarms if alarm.hour != hour][:3]
    on = task["value"] == "off" if "value" in dict(task.params) else True
    state.alarms = sorted([*others, Alarm(hour, 0, on=on)], key=lambda alarm: (alarm.hour, alarm.minute))


def _no_alarm(state: PhoneState, task: TaskSpec, rng: Random) -> None:
    state.alarms = [alarm for alarm in state.alarms if alarm.hour != int(task["hour"])]


def _opposite(state: PhoneState, task: TaskSpec, rng: Random) -> None:
    state.settings[task["setting"]] = "off" if task["value"] == "on" else "on"


def _other(name: str, values: tuple[str, ...]):
    def setup(state: PhoneState, task: TaskSpec, rng: Random) -> None:
        state.settings[name] = rng.choice([value for value in values if value != task["value"]])
    return setup


def _two_off(state: PhoneState, task: TaskSpec, rng: Random) -> None:
    state.settings[task["first"]] = state.settings[task["second"]] = "off"


# --- how it is done

def _toggle(state: PhoneState, setting: str) -> Route:
    section = catalog.SECTION_OF[setting]
    return _via("settings", ("settings.root", [Tap(f"section/{section}")]), (f"settings.{section}", [Tap(f"toggle/{setting}")]))


def _pick(section: str, name: str):
    return lambda state, task: _via("settings", ("settings.root", [Tap(f"section/{section}")]), (f"settings.{section}", [Tap(f"{name}/{task['value']}")]))


def _contact(task: TaskSpec, *acts: Tap) -> Route:
    return _via("contacts", ("contacts.root", [Tap(f"contact/{task['person']}")]), (f"contacts.person:{task['person']}", list(acts)))


def _alarm_row(state: PhoneState, task: TaskSpec) -> int:
    return next((i for i, alarm in enumerate(state.alarms) if alarm.hour == int(task["hour"])), 0)


def _timer(state: PhoneState, task: TaskSpec) -> Route:
    acts = [Tap("stop")] if state.timer else [Check(f"minutes/{task['minutes']}"), Tap("start")]
    return _via("clock", ("clock.root", [Tap("tab/timer")]), ("clock.stopwatch", [Tap("tab/timer")]), ("clock.timer", acts))


def _set_alarm(state: PhoneState, task: TaskSpec) -> Route:
    picks = [Check(f"hour/{task['hour']}"), Check(f"minute/{task['minute']}"), Check(f"half/{task['half']}"), Tap("save")]
    return _via("clock", ("clock.root", [Tap("add")]), ("clock.timer", [Tap("tab/root")]), ("clock.stopwatch", [Tap("tab/root")]), ("clock.new", picks))


def _write(task: TaskSpec) -> list:
    return [Fill("draft", task["text"]), Tap("send")]


def _sum(state: PhoneState, task: TaskSpec) -> Route:
    wanted, typed = f"{task['a']}{SIGNS[task['sign']]}{task['b']}", state.page.fields.get("sum", "")
    key = "C" if not wanted.startswith(typed) else "=" if typed == wanted else wanted[len(typed)]
    return _via("calculator", ("calculator.root", [Tap(f"key/{key}")]))


def _two(state: PhoneState, task: TaskSpec) -> Route:
    return _toggle(state, next((name for name in (task["first"], task["second"]) if state.settings[name] == "off"), task["first"]))


SIGNS = {"plus": "+", "minus": "-", "times": "x"}


def _sent(state: PhoneState, task: TaskSpec) -> bool:
    return Message(task["text"], mine=True) in state.threads.get(task["person"], ())


def _here(state: PhoneState, key: str) -> bool:
    return state.page.key == key


EASY = (
    Template("open_app", 1, ("Open {app}", "Open the {app} app", "Launch {app}"), {"app": APP_NAMES, "start": ("home", "settings", "notes", "browser")},
             done=lambda s, t: _here(s, f"{t['app']}.root"), route=lambda s, t: _via(t["app"]), slip="neighbour", allowed=lambda p: p["app"] != p["start"]),
    Template("open_section", 1, ("Open the {section} settings", "Go to {section} in the settings", "Show me the {section} settings"),
             {"section": tuple(catalog.SECTIONS), "start": ("home", "settings", "notes")},
             done=lambda s, t: _here(s, f"settings.{t['section']}"), route=lambda s, t: _via("settings", ("settings.root", [Tap(f"section/{t['section']}")])), slip="neighbour"),
    Template("open_contact", 1, ("Show the contact {person}", "Open {person} in contacts", "Look up {person} in my contacts"), {"person": PEOPLE, "start": ("home", "contacts")},
             setup=_know_person, done=lambda s, t: _here(s, f"contacts.person:{t['person']}"), route=lambda s, t: _contact(t), slip="neighbour"),
    Template("open_note", 1, ("Open the note {note}", "Show my {note} note"), {"note": NOTES, "start": ("home", "notes")},
             setup=_have_note, done=lambda s, t: _here(s, f"notes.note:{t['note']}"), route=lambda s, t: _via("notes", ("notes.root", [Tap(f"note/{t['note']}")])), slip="neighbour"),
    Template("open_thread", 1, ("Read the messages from {person}", "Open my messages with {person}"), {"person": PEOPLE, "start": ("home", "messages")},
             setup=_have_thread, done=lambda s, t: _here(s, f"messages.thread:{t['person']}"),
             route=lambda s, t: _via("messages", ("messages.root", [Tap(f"thread/{t['person']}")])), slip="neighbour"),
    Template("play_song", 1, ("Play the song {song}", "Listen to {song}"), {"song": tuple(catalog.SONGS), "start": ("home", "music")},
             done=lambda s, t: s.playing == t["song"], route=lambda s, t: _via("music", ("music.root", [Tap(f"song/{t['song']}")])), slip="neighbour"),
    Template("switch_alarm", 1, ("Turn {value} the {hour}:00 AM alarm", "Switch the alarm at {hour}:00 AM {value}"), {"hour": HOURS, "value": ("on", "off")},
             setup=_have_alarm, done=lambda s, t: any(a.hour == int(t["hour"]) and a.on == (t["value"] == "on") for a in s.alarms),
             route=lambda s, t: _via("clock", ("clock.root", [Tap(f"switch/{_alarm_row(s, t)}")]), *((f"clock.{name}", [Tap("tab/root")]) for name in ("timer", "stopwatch"))), slip="neighbour"),
    Template("take_photo", 1, ("Take a photo", "Take a picture with the camera"), {"start": ("home", "settings", "notes", "camera")},
             done=lambda s, t: s.photos > 0, route=lambda s, t: _via("camera", ("camera.root", [Tap("shutter")])), slip="early"),
)

MEDIUM = (
    Template("toggle_setting", 2, ("Turn {value} {setting}", "Switch {setting} {value}", "Please turn {setting} {value}"), {"setting": tuple(catalog.TOGGLES), "value": ("on", "off")},
             setup=_opposite, done=lambda s, t: s.settings[t["setting"]] == t["value"], route=lambda s, t: _toggle(s, t["setting"]), slip="neighbour"),
    Template("set_brightness", 2, ("Set the brightness to {value}", "Change the screen brightness to {value}"), {"value": catalog.BRIGHTNESS, "start": ("home", "settings", "notes")},
             setup=_other("brightness", catalog.BRIGHTNESS), done=lambda s, t: s.settings["brightness"] == t["value"], route=_pick("display", "brightness"), slip="neighbour"),
    Template("set_volume", 2, ("Set the volume to {value}", "Change the sound volume to {value}"), {"value": catalog.VOLUME, "start": ("home", "settings", "notes")},
             setup=_other("volume", catalog.VOLUME), done=lambda s, t: s.settings["volume"] == t["value"], route=_pick("sound", "volume"), slip="neighbour"),
    Template("set_wallpaper", 2, ("Change the wallpaper to {value}", "Set a {value} wallpaper"), {"value": tuple(catalog.WALLPAPERS), "start": ("home", "settings")},
             setup=_other("wallpaper", tuple(catalog.WALLPAPERS)), done=lambda s, t: s.settings["wallpaper"] == t["value"], route=_pick("display", "wallpaper"), slip="neighbour"),
    Template("start_timer", 2, ("Start a timer for {minutes} minutes", "Set a {minutes} minute timer"), {"minutes": tuple(map(str, clock.PRESETS)), "start": ("home", "clock")},
             done=lambda s, t: s.timer == int(t["minutes"]), route=_timer),
    Template("start_stopwatch", 2, ("Start the stopwatch", "Start the stopwatch in the clock app"), {"start": ("home", "clock", "settings", "notes")},
             done=lambda s, t: s.stopwatch,
             route=lambda s, t: _via("clock", *((f"clock.{name}", [Tap("tab/stopwatch")]) for name in ("root", "timer")), ("clock.stopwatch", [Tap("start")]))),
    Template("delete_note", 2, ("Delete the note {note}", "Remove my {note} note"), {"note": NOTES, "start": ("home", "notes")},
             setup=_have_note, done=lambda s, t: all(n.title != t["note"] for n in s.notes),
             route=lambda s, t: _via("notes", ("notes.root", [Tap(f"note/{t['note']}")]), (f"notes.note:{t['note']}", [Tap("delete")]))),
    Template("delete_alarm", 2, ("Delete the {hour}:00 AM alarm", "Remove the alarm at {hour}:00 AM"), {"hour": HOURS, "start": ("home", "clock")},
             setup=_have_alarm, done=lambda s, t: all(a.hour != int(t["hour"]) for a in s.alarms),
             route=lambda s, t: _via("clock", ("clock.root", [Tap(f"alarm/{_alarm_row(s, t)}")]), (f"clock.alarm:{_alarm_row(s, t)}", [Tap("delete")]),
                                     *((f"clock.{name}", [Tap("tab/root")]) for name in ("timer", "stopwatch")))),
    Template("call_contact", 2, ("Call {person}", "Make a phone call to {person}"), {"person": PEOPLE, "start": ("home", "contacts")},
             setup=_know_person, done=lambda s, t: s.call == t["person"], route=lambda s, t: _contact(t, Tap("call"))),
    Template("visit_site", 2, ("Go to {site}", "Open {site} in the browser"), {"site": tuple(catalog.SITES), "start": ("home", "browser", "settings")},
             done=lambda s, t: _here(s, f"browser.site:{t['site']}"),
             route=lambda s, t: _via("browser", ("browser.root", [Fill("address", t["site"]), Submit("address")]))),
    Template("search_web", 2, ("Search the web for {query}", "Look up {query} in the browser", "Search for {query}"), {"query": catalog.QUERIES, "start": ("home", "browser", "notes")},
             held_out=("query",), done=lambda s, t: _here(s, f"browser.search:{t['query']}"),
             route=lambda s, t: _via("browser", ("browser.root", [Fill("query", t["query"]), Submit("query")]))),
    Template("write_note", 2, ("Write a note: {text}", "Make a new note that says {text}", "Take a note to {text}"), {"text": catalog.MEMOS, "start": ("home", "notes", "settings")},
             held_out=("text",), done=lambda s, t: any(n.body.strip().lower() == t["text"] for n in s.notes),
             route=lambda s, t: _via("notes", ("notes.root", [Tap("add")]), ("notes.new", [Fill("body", t["text"]), Tap("save")]))),
)

HARD = (
    Template("send_message", 3, ("Send {person} the message: {text}", "Text {person}: {text}", "Write {text} to {person}"), {"person": PEOPLE, "text": catalog.SENTENCES},
             held_out=("text",), setup=_have_thread, done=_sent,
             route=lambda s, t: _via("messages", ("messages.root", [Tap(f"thread/{t['person']}")]), (f"messages.thread:{t['person']}", _write(t)))),
    Template("new_message", 3, ("Start a new conversation with {person} and say {text}", "Send a first message to {person}: {text}"), {"person": PEOPLE, "text": catalog.SENTENCES},
             held_out=("text",), setup=_no_thread, done=_sent,
             route=lambda s, t: _via("messages", ("messages.root", [Tap("new")]), ("messages.new", [Tap(f"to/{t['person']}")]), (f"messages.thread:{t['person']}", _write(t)))),
    Template("set_alarm", 3, ("Set an alarm for {hour}:{minute} {half}", "Wake me up at {hour}:{minute} {half}", "Add an alarm at {hour}:{minute} {half}"),
             {"hour": HOURS, "minute": clock.MINUTES, "half": ("AM", "PM")}, setup=_no_alarm,
             done=lambda s, t: Alarm(int(t["hour"]), int(t["minute"]), t["half"] == "PM") in s.alarms, route=_set_alarm),
    Template("add_contact", 3, ("Add {person} to my contacts with the number {phone}", "Create a contact {person}, phone {phone}"), {"person": PEOPLE, "phone": catalog.PHONES},
             setup=_forget_person, done=lambda s, t: Contact(t["person"], t["phone"]) in s.contacts,
             route=lambda s, t: _via("contacts", ("contacts.root", [Tap("add")]), ("contacts.new", [Fill("name", t["person"]), Fill("phone", t["phone"]), Tap("save")]))),
    Template("change_number", 3, ("Change the number of {person} to {phone}", "Update {person}'s phone number to {phone}"), {"person": PEOPLE, "phone": catalog.PHONES},
             setup=lambda s, t, rng: (_forget_person(s, t, rng), _know(s, t["person"], rng.choice([p for p in catalog.PHONES if p != t["phone"]])))[0],
             done=lambda s, t: Contact(t["person"], t["phone"]) in s.contacts,
             route=lambda s, t: (*_contact(t, Tap("edit")), (f"contacts.edit:{t['person']}", [Fill("name", t["person"]), Fill("phone", t["phone"]), Tap("save")]))),
    Template("delete_contact", 3, ("Delete the contact {person}", "Remove {person} from my contacts"), {"person": PEOPLE, "start": ("home", "contacts")},
             setup=_know_person, done=lambda s, t: find(s, t["person"]) is None,
             route=lambda s, t: (*_contact(t, Tap("delete")), (f"contacts.delete:{t['person']}", [Tap("confirm")])), slip="neighbour"),
    Template("rewrite_note", 3, ("Replace the text of the note {note} by {text}", "Make my {note} note say {text}"), {"note": NOTES, "text": catalog.MEMOS},
             held_out=("text",), setup=_have_note, done=lambda s, t: Note(t["note"], t["text"]) in s.notes,
             route=lambda s, t: _via("notes", ("notes.root", [Tap(f"note/{t['note']}")]), (f"notes.note:{t['note']}", [Fill("body", t["text"]), Tap("save")]))),
    Template("calculate", 3, ("Use the calculator: {a} {sign} {b}", "Calculate {a} {sign} {b}"), {"a": tuple("56789"), "sign": tuple(SIGNS), "b": tuple("12345")},
             done=lambda s, t: s.page.app == "calculator" and s.page.fields.get("asked") == f"{t['a']}{SIGNS[t['sign']]}{t['b']}", route=_sum),
    Template("two_settings", 3, ("Turn on {first} and {second}", "Switch on both {first} and {second}"),
             {"first": ("wifi", "mobile data", "bluetooth", "nfc"), "second": ("night light", "vibration", "battery saver", "location", "auto rotate")},
             setup=_two_off, done=lambda s, t: s.settings[t["first"]] == s.settings[t["second"]] == "on", route=_two, slip="early"),
)

TEMPLATES = EASY + MEDIUM + HARD

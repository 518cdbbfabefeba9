"""Tasks about time, notes and the web."""

from random import Random

from agentlab_runner.envs.android.device import TaskSpec
from agentlab_runner.envs.android.hand import Act, Check, Fill, Link, Route, Submit, Tap
from agentlab_runner.envs.android.sim import catalog
from agentlab_runner.envs.android.sim.apps import clock
from agentlab_runner.envs.android.sim.state import Alarm, Note, PhoneState
from agentlab_runner.envs.android.tasks.template import Template, here, via

NOTES = tuple(catalog.NOTES)
HOURS = tuple(str(hour) for hour in range(1, 13))


def _have_note(state: PhoneState, task: TaskSpec, rng: Random) -> None:
    title = task["note"]
    if title not in [note.title for note in state.notes]:
        state.notes[rng.randrange(len(state.notes))] = Note(title, catalog.NOTES[title][1])


def _have_alarm(state: PhoneState, task: TaskSpec, rng: Random) -> None:
    """An alarm on the full hour in the morning, and none other with that hour."""
    hour, wanted = int(task["hour"]), dict(task.params).get("value", "off")
    others = [alarm for alarm in state.alarms if alarm.hour != hour]
    state.alarms = sorted([*others, Alarm(hour, 0, on=wanted == "off")], key=lambda alarm: (alarm.hour, alarm.minute))


def _no_alarm(state: PhoneState, task: TaskSpec, rng: Random) -> None:
    state.alarms = [alarm for alarm in state.alarms if alarm.hour != int(task["hour"])]


def _alarm_row(state: PhoneState, task: TaskSpec) -> int:
    return next((i for i, alarm in enumerate(state.alarms) if alarm.hour == int(task["hour"])), 0)


def _clock(tab: str, acts: list[Act]) -> list[Link]:
    """What to do on one of the clock's tabs, and how to get to it from the others."""
    others = {"root", "timer", "stopwatch"} - {tab}
    return [(f"clock.{tab}", acts), *((f"clock.{name}", [Tap(f"tab/{tab}")]) for name in sorted(others))]


def _delete_alarm(state: PhoneState, task: TaskSpec) -> Route:
    index = _alarm_row(state, task)
    return via("clock", *_clock("root", [Tap(f"alarm/{index}")]), (f"clock.alarm:{index}", [Tap("delete")]))


def _timer(state: PhoneState, task: TaskSpec) -> Route:
    acts: list[Act] = [Tap("stop")] if state.timer else [Check(f"minutes/{task['minutes']}"), Tap("start")]
    return via("clock", *_clock("timer", acts))


def _set_alarm(state: PhoneState, task: TaskSpec) -> Route:
    picks = [Check(f"{name}/{task[name]}") for name in ("hour", "minute", "half")]
    return via("clock", *_clock("root", [Tap("add")]), ("clock.new", [*picks, Tap("save")]))


def _note(task: TaskSpec, *acts: Act) -> Route:
    return via("notes", ("notes.root", [Tap(f"note/{task['note']}")]), (f"notes.note:{task['note']}", acts))


TEMPLATES = (
    Template(
        "open_note",
        1,
        ("Open the note {note}", "Show my {note} note"),
        {"note": NOTES, "start": ("home", "notes")},
        setup=_have_note,
        done=lambda s, t: here(s, f"notes.note:{t['note']}"),
        route=lambda s, t: _note(t),
        slip="neighbour",
    ),
    Template(
        "switch_alarm",
        1,
        ("Turn {value} the {hour}:00 AM alarm", "Switch the alarm at {hour}:00 AM {value}"),
        {"hour": HOURS, "value": ("on", "off")},
        setup=_have_alarm,
        done=lambda s, t: any(a.hour == int(t["hour"]) and a.on == (t["value"] == "on") for a in s.alarms),
        route=lambda s, t: via("clock", *_clock("root", [Tap(f"switch/{_alarm_row(s, t)}")])),
        slip="neighbour",
    ),
    Template(
        "start_timer",
        2,
        ("Start a timer for {minutes} minutes", "Set a {minutes} minute timer"),
        {"minutes": tuple(map(str, clock.PRESETS)), "start": ("home", "clock")},
        done=lambda s, t: s.timer == int(t["minutes"]),
        route=_timer,
    ),
    Template(
        "start_stopwatch",
        2,
        ("Start the stopwatch", "Start the stopwatch in the clock app"),
        {"start": ("home", "clock", "settings", "notes")},
        done=lambda s, t: s.stopwatch,
        route=lambda s, t: via("clock", *_clock("stopwatch", [Tap("start")])),
    ),
    Template(
        "delete_note",
        2,
        ("Delete the note {note}", "Remove my {note} note"),
        {"note": NOTES, "start": ("home", "notes")},
        setup=_have_note,
        done=lambda s, t: all(n.title != t["note"] for n in s.notes),
        route=lambda s, t: _note(t, Tap("delete")),
    ),
    Template(
        "delete_alarm",
        2,
        ("Delete the {hour}:00 AM alarm", "Remove the alarm at {hour}:00 AM"),
        {"hour": HOURS, "start": ("home", "clock")},
        setup=_have_alarm,
        done=lambda s, t: all(a.hour != int(t["hour"]) for a in s.alarms),
        route=_delete_alarm,
    ),
    Template(
        "visit_site",
        2,
        ("Go to {site}", "Open {site} in the browser"),
        {"site": tuple(catalog.SITES), "start": ("home", "browser", "settings")},
        done=lambda s, t: here(s, f"browser.site:{t['site']}"),
        route=lambda s, t: via("browser", ("browser.root", [Fill("address", t["site"]), Submit("address")])),
    ),
    Template(
        "search_web",
        2,
        ("Search the web for {query}", "Look up {query} in the browser", "Search for {query}"),
        {"query": catalog.QUERIES, "start": ("home", "browser", "notes")},
        held_out=("query",),
        done=lambda s, t: here(s, f"browser.search:{t['query']}"),
        route=lambda s, t: via("browser", ("browser.root", [Fill("query", t["query"]), Submit("query")])),
    ),
    Template(
        "write_note",
        2,
        ("Write a note: {text}", "Make a new note that says {text}", "Take a note to {text}"),
        {"text": catalog.MEMOS, "start": ("home", "notes", "settings")},
        held_out=("text",),
        done=lambda s, t: any(n.body.strip().lower() == t["text"] for n in s.notes),
        route=lambda s, t: via(
            "notes", ("notes.root", [Tap("add")]), ("notes.new", [Fill("body", t["text"]), Tap("save")])
        ),
    ),
    Template(
        "set_alarm",
        3,
        (
            "Set an alarm for {hour}:{minute} {half}",
            "Wake me up at {hour}:{minute} {half}",
            "Add an alarm at {hour}:{minute} {half}",
        ),
        {"hour": HOURS, "minute": clock.MINUTES, "half": ("AM", "PM")},
        setup=_no_alarm,
        done=lambda s, t: Alarm(int(t["hour"]), int(t["minute"]), t["half"] == "PM") in s.alarms,
        route=_set_alarm,
    ),
    Template(
        "rewrite_note",
        3,
        ("Replace the text of the note {note} by {text}", "Make my {note} note say {text}"),
        {"note": NOTES, "text": catalog.MEMOS},
        held_out=("text",),
        setup=_have_note,
        done=lambda s, t: Note(t["note"], t["text"]) in s.notes,
        route=lambda s, t: _note(t, Fill("body", t["text"]), Tap("save")),
    ),
)

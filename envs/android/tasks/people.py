"""Tasks about people: contacts, calls and messages."""

from random import Random

from agentlab_runner.envs.android.device import TaskSpec
from agentlab_runner.envs.android.hand import Act, Fill, Route, Tap
from agentlab_runner.envs.android.sim import catalog
from agentlab_runner.envs.android.sim.apps.contacts import find
from agentlab_runner.envs.android.sim.state import Contact, Message, PhoneState
from agentlab_runner.envs.android.tasks.template import Template, here, via

PEOPLE = tuple(catalog.PEOPLE)


def _know(state: PhoneState, name: str, phone: str) -> None:
    """Have a contact of this name, in place of another so that the list stays one screen long."""
    if find(state, name) is None:
        state.contacts = sorted([*state.contacts[1:], Contact(name, phone)], key=lambda contact: contact.name)


def _know_person(state: PhoneState, task: TaskSpec, rng: Random) -> None:
    _know(state, task["person"], rng.choice(catalog.PHONES))


def _forget_person(state: PhoneState, task: TaskSpec, rng: Random) -> None:
    state.contacts = [contact for contact in state.contacts if contact.name != task["person"]]


def _other_number(state: PhoneState, task: TaskSpec, rng: Random) -> None:
    _forget_person(state, task, rng)
    _know(state, task["person"], rng.choice([phone for phone in catalog.PHONES if phone != task["phone"]]))


def _have_thread(state: PhoneState, task: TaskSpec, rng: Random) -> None:
    _know_person(state, task, rng)
    names = list(state.threads)
    if task["person"] not in names:
        names[rng.randrange(len(names))] = task["person"]
    state.threads = {name: state.threads.get(name, (Message("hello", mine=False),)) for name in names}


def _no_thread(state: PhoneState, task: TaskSpec, rng: Random) -> None:
    _know_person(state, task, rng)
    state.threads.pop(task["person"], None)


def _contact(task: TaskSpec, *acts: Act) -> Route:
    return via(
        "contacts",
        ("contacts.root", [Tap(f"contact/{task['person']}")]),
        (f"contacts.person:{task['person']}", acts),
    )


def _write(task: TaskSpec) -> list[Act]:
    return [Fill("draft", task["text"]), Tap("send")]


def _sent(state: PhoneState, task: TaskSpec) -> bool:
    return Message(task["text"], mine=True) in state.threads.get(task["person"], ())


TEMPLATES = (
    Template(
        "open_contact",
        1,
        ("Show the contact {person}", "Open {person} in contacts", "Look up {person} in my contacts"),
        {"person": PEOPLE, "start": ("home", "contacts")},
        setup=_know_person,
        done=lambda s, t: here(s, f"contacts.person:{t['person']}"),
        route=lambda s, t: _contact(t),
        slip="neighbour",
    ),
    Template(
        "open_thread",
        1,
        ("Read the messages from {person}", "Open my messages with {person}"),
        {"person": PEOPLE, "start": ("home", "messages")},
        setup=_have_thread,
        done=lambda s, t: here(s, f"messages.thread:{t['person']}"),
        route=lambda s, t: via("messages", ("messages.root", [Tap(f"thread/{t['person']}")])),
        slip="neighbour",
    ),
    Template(
        "call_contact",
        2,
        ("Call {person}", "Make a phone call to {person}"),
        {"person": PEOPLE, "start": ("home", "contacts")},
        setup=_know_person,
        done=lambda s, t: s.call == t["person"],
        route=lambda s, t: _contact(t, Tap("call")),
    ),
    Template(
        "send_message",
        3,
        ("Send {person} the message: {text}", "Text {person}: {text}", "Write {text} to {person}"),
        {"person": PEOPLE, "text": catalog.SENTENCES},
        held_out=("text",),
        setup=_have_thread,
        done=_sent,
        route=lambda s, t: via(
            "messages", ("messages.root", [Tap(f"thread/{t['person']}")]), (f"messages.thread:{t['person']}", _write(t))
        ),
    ),
    Template(
        "new_message",
        3,
        ("Start a new conversation with {person} and say {text}", "Send a first message to {person}: {text}"),
        {"person": PEOPLE, "text": catalog.SENTENCES},
        held_out=("text",),
        setup=_no_thread,
        done=_sent,
        route=lambda s, t: via(
            "messages",
            ("messages.root", [Tap("new")]),
            ("messages.new", [Tap(f"to/{t['person']}")]),
            (f"messages.thread:{t['person']}", _write(t)),
        ),
    ),
    Template(
        "add_contact",
        3,
        ("Add {person} to my contacts with the number {phone}", "Create a contact {person}, phone {phone}"),
        {"person": PEOPLE, "phone": catalog.PHONES},
        setup=_forget_person,
        done=lambda s, t: Contact(t["person"], t["phone"]) in s.contacts,
        route=lambda s, t: via(
            "contacts",
            ("contacts.root", [Tap("add")]),
            ("contacts.new", [Fill("name", t["person"]), Fill("phone", t["phone"]), Tap("save")]),
        ),
    ),
    Template(
        "change_number",
        3,
        ("Change the number of {person} to {phone}", "Update {person}'s phone number to {phone}"),
        {"person": PEOPLE, "phone": catalog.PHONES},
        setup=_other_number,
        done=lambda s, t: Contact(t["person"], t["phone"]) in s.contacts,
        route=lambda s, t: (
            *_contact(t, Tap("edit")),
            (f"contacts.edit:{t['person']}", [Fill("name", t["person"]), Fill("phone", t["phone"]), Tap("save")]),
        ),
    ),
    Template(
        "delete_contact",
        3,
        ("Delete the contact {person}", "Remove {person} from my contacts"),
        {"person": PEOPLE, "start": ("home", "contacts")},
        setup=_know_person,
        done=lambda s, t: find(s, t["person"]) is None,
        route=lambda s, t: (*_contact(t, Tap("delete")), (f"contacts.delete:{t['person']}", [Tap("confirm")])),
        slip="neighbour",
    ),
)

"""What was answered is kept: after a kill, in a replay, in a folder that someone else wrote."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import tracemalloc

import pytest

from agentlab_runner.agents.llm.chat.adopt import as_chat
from agentlab_runner.agents.llm.chat.budget import CapReached, Spent
from agentlab_runner.agents.llm.chat.calls import CallLog
from agentlab_runner.agents.llm.chat.kept import Kept
from agentlab_runner.agents.llm.chat.recorded import NotRecorded, Recorded
from agentlab_runner.agents.llm.chat.types import Message, Reply
from agentlab_runner.runners.errors import RunFailed, UserError
from agentlab_runner.runners.files.pictures import read_picture
from agentlab_runner.runners.frames import frame_name
from tests.agents.llm.chat.conftest import KEY, ask, endpoint, picture, user
from tests.agents.llm.chat.fault_server import Answer, completion, refusal, serving


class Echo:
    """A chat model that is no more than the protocol asks for."""

    name, sees = "echo", True

    def __init__(self):
        self.asked = []

    def reply(self, conversations, *, max_tokens, deterministic, stop=(), choices=None, draws=None):
        self.asked += conversations
        return [Reply(f"{talk[-1].text}!", 3, 1, 0.5, 0.25, "stop", model="echo-1") for talk in conversations]


def test_a_hit_costs_nothing_and_equal_requests_are_asked_once(tmp_path):
    echo = Echo()
    kept = Kept(echo, tmp_path / "calls")
    options = {"max_tokens": 4, "deterministic": False}
    first, twin, other = kept.reply([user("a"), user("a"), user("b")], **options)
    assert (first.text, first.cost, first.cached, first.requests) == ("a!", 0.25, False, 1)
    assert (twin.text, twin.cost, twin.cached, twin.requests) == ("a!", 0, True, 0)
    assert len(echo.asked) == 2
    again = kept.reply([user("b"), user("a")], **options)
    told = [(reply.text, reply.cached, reply.cost, reply.seconds) for reply in again]
    assert told == [("b!", True, 0, 0), ("a!", True, 0, 0)]
    assert again[0].tokens_in == other.tokens_in
    assert len(echo.asked) == 2
    others = ({"draws": [1]}, {"stop": ["x"]}, {"choices": [["a", "b"]]}, {"max_tokens": 5}, {"deterministic": True})
    for otherwise in others:
        kept.reply([user("a")], **options | otherwise)
    assert len(echo.asked) == 7
    kept.reply([[Message("system", ("a",))], [Message("user", ("a", "")), *user("b")]], **options)
    assert len(echo.asked) == 9
    with pytest.raises(UserError, match="is being run by process"):
        Kept(Echo(), tmp_path / "calls")
    kept.close()
    reopened = Kept(Echo(), tmp_path / "calls")
    assert reopened.reply([user("a")], **options)[0] == again[1]
    assert reopened.model.asked == []
    assert reopened.calls.spent == Spent(9, 36, 2.25)


def test_another_model_or_another_parameter_is_another_answer(server, tmp_path):
    for settings in ({}, {"temperature": 0.5}, {"extra": {"reasoning_effort": "low"}}, {"name": "large"}):
        server.models = ("small", "large")
        kept = Kept(endpoint(server, **settings), tmp_path)
        ask(kept)
        kept.close()
    assert len(server.seen) == 4
    kept = Kept(endpoint(server, parallel=2, timeout=9.0, max_calls=9), tmp_path)
    assert ask(kept).cached
    assert len(server.seen) == 4
    assert server.paths.count("/v1/models") == 4  # nor is a server asked that is not needed


def test_pictures_are_kept_once_and_whole(tmp_path):
    kept = Kept(Echo(), tmp_path)
    shown = picture()
    for text in ("a", "b"):
        kept.reply([[Message("user", (text, shown))]], max_tokens=4, deterministic=True)
    (file,) = (tmp_path / "frames").iterdir()
    assert file.name == f"{shown.name}.png"
    assert frame_name(read_picture(tmp_path, f"frames/{file.name}")) == shown.name
    assert kept.reply([[Message("user", ("a", picture(1)))]], max_tokens=4, deterministic=True)[0].cached is False


def test_the_history_of_a_conversation_is_written_once(tmp_path):
    kept, talk = Kept(Echo(), tmp_path), []
    for turn in range(30):
        talk = [*talk, Message("user", (f"{turn} " * 200,))]
        (reply,) = kept.reply([talk], max_tokens=4, deterministic=True)
        talk = [*talk, Message("assistant", (reply.text,))]
    assert (tmp_path / "calls.jsonl").stat().st_size < 120_000


def test_what_was_answered_before_a_failure_is_kept(server, tmp_path):
    server.say = lambda body: refusal("what?") if body["messages"][0]["content"] == "3" else completion("fine")
    kept = Kept(endpoint(server, parallel=1), tmp_path)
    talks = [user(str(i)) for i in range(6)]
    with pytest.raises(RunFailed, match="answered 400"):
        kept.reply(talks, max_tokens=4, deterministic=True)
    kept.close()
    server.say = lambda body: completion("fine")
    asked = len(server.seen)
    replies = Kept(endpoint(server), tmp_path).reply(talks, max_tokens=4, deterministic=True)
    assert [reply.cached for reply in replies[:4]] == [True] * 3 + [False]
    assert len(server.seen) == asked + sum(not reply.cached for reply in replies)
    assert len(server.seen) == 7  # the one that failed is the only one asked twice


def test_caps_count_what_the_run_spent_before(server, tmp_path):
    kept = Kept(endpoint(server, max_calls=3), tmp_path / "calls")
    ask(kept, "a")
    ask(kept, "b")
    kept.close()
    kept = Kept(endpoint(server, max_calls=3), tmp_path / "calls")
    ask(kept, "a")
    ask(kept, "c")
    with pytest.raises(CapReached, match=r"max_calls=3 \(3 so far\)"):
        ask(kept, "d")


def test_a_new_run_asks_at_once_whether_the_model_can_be_had(server, tmp_path):
    with pytest.raises(UserError, match="serves small, not other"):
        Kept(endpoint(server, name="other"), tmp_path)


def test_killed_between_any_two_answers(server, tmp_path):
    """A process is killed as it goes on; what it was told is neither asked again nor answered otherwise."""
    code = (
        "import sys; from agentlab_runner.agents.llm.chat.kept import Kept; from pathlib import Path\n"
        "from tests.agents.llm.chat.conftest import endpoint, user\n"
        "class Where: url = sys.argv[1]\n"
        "kept = Kept(endpoint(Where), Path(sys.argv[2]))\n"
        "for i in range(30):\n"
        "    print(kept.reply([user(str(i))], max_tokens=4, deterministic=True)[0].text, flush=True)\n"
    )
    server.delay = 0.02
    server.say = lambda body: completion(f"{body['messages'][0]['content']} after {len(server.seen)}")
    told = []
    for stop_after in (7, 9, 100):
        command = [sys.executable, "-c", code, server.url, str(tmp_path)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        lines = []
        for line in process.stdout:
            lines.append(line.strip())
            if len(lines) == stop_after + len(told):
                os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert lines[: len(told)] == told
        told = lines
    assert len(told) == 30
    assert len(server.seen) <= 32  # at most the one under way when it was killed


def test_a_torn_last_line_is_dropped_and_damage_left_aside(tmp_path, caplog):
    kept = Kept(Echo(), tmp_path)
    for text in "abc":
        ask(kept, text)
    kept.close()
    file = tmp_path / "calls.jsonl"
    whole = file.read_bytes()
    file.write_bytes(whole + b'{"call": "half')
    kept = Kept(Echo(), tmp_path)
    assert len(kept.calls) == 3
    kept.close()
    assert file.read_bytes() == whole
    lines = whole.splitlines(keepends=True)
    hostile = [
        b"\xff\xfe\n", b"[]\n", b"{}\n", b"[" * 100_000 + b"\n", b'{"call": "../../etc/passwd", "model": "x"}\n',
        b'{"message": 3}\n', b'{"model": "' + b"0" * 32 + b'", "name": 1, "parameters": {}}\n',
        lines[-1].replace(b'"tokens_in": 3', b'"tokens_in": -3'),
        lines[-1].replace(b'"finish": "stop"', b'"finish": "gone"'),
        lines[-1].replace(b'"cost": 0.25', b'"cost": NaN'),
    ]  # fmt: skip
    file.write_bytes(b"".join([*lines[:-1], *hostile]))
    kept = Kept(Echo(), tmp_path)
    assert "lines cannot be read and are left aside" in caplog.text
    assert len(kept.calls) == 2
    assert not ask(kept, "c").cached
    assert ask(kept, "a").cached


def test_a_folder_that_leads_elsewhere_is_not_written(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("mine")
    for name in ("calls.jsonl", "lock"):
        folder = tmp_path / f"with {name}"
        folder.mkdir()
        (folder / name).symlink_to(elsewhere)
        with pytest.raises(UserError, match="leads out of"):
            Kept(Echo(), folder)
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "frames").symlink_to(tmp_path)
    with pytest.raises(UserError, match="leads out of"):
        Kept(Echo(), folder)
    assert elsewhere.read_text() == "mine"


def test_memory_holds_places_not_answers(tmp_path):
    kept = Kept(Echo(), tmp_path)
    text = "x" * 2000

    def play(start):
        for i in range(start, start + 300):
            ask(kept, f"{i} {text}")
        kept.model.asked.clear()

    play(0)
    tracemalloc.start()
    play(300)
    grown = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert grown < 300 * 1000


# -- replay ------------------------------------------------------------------------------------------------------------


def test_a_run_is_replayed_without_a_request(server, tmp_path):
    kept = Kept(endpoint(server), tmp_path / "run" / "calls")
    talk = [Message("system", ("rules",)), Message("user", ("look", picture()))]
    said = kept.reply([talk], max_tokens=4, deterministic=False, draws=[3])
    kept.close()
    asked = len(server.headers)
    for folder in (tmp_path / "run", tmp_path / "run" / "calls"):
        replay = Recorded(folder=str(folder))
        (reply,) = replay.reply([talk], max_tokens=4, deterministic=False, draws=[3])
        assert (reply.text, reply.model, reply.cached, reply.cost) == (said[0].text, "small-2026", True, 0)
        assert (replay.name, replay.sees) == ("small", True)
    assert len(server.headers) == asked
    second = Kept(Recorded(folder=str(tmp_path / "run")), tmp_path / "second" / "calls")
    second.reply([talk], max_tokens=4, deterministic=False, draws=[3])
    second.close()
    third = Recorded(folder=str(tmp_path / "second"))
    assert third.reply([talk], max_tokens=4, deterministic=False, draws=[3])[0].text == said[0].text


def test_a_miss_names_the_nearest_request_and_what_differs(tmp_path):
    kept = Kept(Echo(), tmp_path)
    rules = Message("system", ("these are the rules",))
    for colour in ("red", "green"):
        talk = [rules, *user("begin"), Message("assistant", ("ok",)), *user(f"{'far ' * 30}you see a {colour} door")]
        kept.reply([talk], max_tokens=4, deterministic=True)
    kept.reply([[rules]], max_tokens=4, deterministic=True)
    kept.close()
    replay = Recorded(folder=str(tmp_path))
    difference = r"differs in turn 4 \(user\), where it has '.*a red door' and this one '.*a rod"
    with pytest.raises(NotRecorded, match=difference) as told:
        ask(replay, [*talk[:3], *user(f"{'far ' * 30}you see a rod")], max_tokens=4)
    assert len(str(told.value)) < 500
    with pytest.raises(NotRecorded, match="alike but for this: max_tokens is 5 and was 4, draw is 1 and was 0"):
        ask(replay, talk, max_tokens=5, draws=[1])
    with pytest.raises(NotRecorded, match="the nearest has 4 turns and this one 5, the first 4 alike"):
        ask(replay, [*talk, *user("more")], max_tokens=4)


def test_folders_that_cannot_be_replayed(server, tmp_path):
    with pytest.raises(UserError, match=r"holds no calls\.jsonl; give a folder that model\.record wrote"):
        Recorded(folder=str(tmp_path))
    for name in ("small", "large"):
        server.models = (name,)
        kept = Kept(endpoint(server, name=name), tmp_path, ledger=False)
        ask(kept)
        kept.close()
    with pytest.raises(UserError, match=r"holds answers of large, small, and one model is to be chosen; set"):
        Recorded(folder=str(tmp_path))
    assert ask(Recorded(folder=str(tmp_path), name="large")).cached
    (tmp_path / "pipe").mkdir()
    os.mkfifo(tmp_path / "pipe" / "calls.jsonl")
    began = time.monotonic()
    with pytest.raises(UserError, match="is no plain file"):
        Recorded(folder=str(tmp_path / "pipe"))
    assert time.monotonic() - began < 60


def test_any_model_records_where_it_is_told_to(server, tmp_path):
    model = as_chat(endpoint(server, record=str(tmp_path / "tape")))
    run = Kept(model, tmp_path / "run" / "calls")
    assert not ask(run).cached
    run.close()
    model.close()
    for folder in ("tape", "run"):
        assert ask(Recorded(folder=str(tmp_path / folder))).text == "fine"
    model = as_chat(endpoint(server, record=str(tmp_path / "tape"), max_calls=1))
    other = Kept(model, tmp_path / "other" / "calls")
    assert ask(other).cached
    assert not ask(other, "new").cached  # the tape is nobody's bill
    assert as_chat(plain := Echo()) is plain
    with pytest.raises(UserError, match="needs a model; add model=smollm2_chat"):
        as_chat(None)


def test_no_file_holds_the_key(server, tmp_path, caplog):
    """A server that repeats the key wherever it can: in answers, names and refusals."""
    server.say = lambda body: completion(f"Bearer {KEY}", model=KEY)
    kept = Kept(as_chat(endpoint(server, record=str(tmp_path / "tape"))), tmp_path / "calls")
    ask(kept)
    server.script = [refusal(f"seed {KEY}"), refusal(KEY, 500), refusal(f"{KEY} content filter")]
    ask(kept, "second")
    ask(kept, "third")
    kept.close()
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert len(files) >= 4
    assert not any(KEY.encode() in file.read_bytes() for file in files)
    assert KEY not in caplog.text
    assert "[key]" in (tmp_path / "calls" / "calls.jsonl").read_text()


@pytest.mark.parametrize("writes", [True, False])
def test_calls_that_are_a_folder_cannot_be_read(tmp_path, writes):
    (tmp_path / "calls.jsonl").mkdir()
    with pytest.raises(UserError, match=r"calls\.jsonl cannot be read \(Is a directory\); restore it"):
        CallLog(tmp_path, writes=writes)


def spent(folder):
    log = CallLog(folder, writes=False)
    return log.spent


def test_what_was_lost_is_counted_when_the_run_goes_on(server, tmp_path):
    server.say = lambda body: Answer(completion("x"), cut=10)
    for _ in range(3):
        kept = Kept(endpoint(server, max_calls=4, retries=2), tmp_path)
        with pytest.raises(RunFailed):
            ask(kept)
        kept.close()
    assert len(server.seen) == 4
    assert spent(tmp_path).calls == 4


def test_the_first_answer_of_two_is_counted_where_the_second_did_not_come(server, tmp_path):
    server.script = [completion("neither"), refusal("down", 503)]
    kept = Kept(endpoint(server, retries=0), tmp_path)
    with pytest.raises(RunFailed):
        ask(kept, choices=[["this one", "that one"]])
    kept.close()
    assert spent(tmp_path) == Spent(1, 12)


def test_what_was_under_way_when_a_run_was_killed_is_counted(server, tmp_path):
    """As the file stands while the server is asked."""
    found = []
    server.say = lambda body: found.append(spent(tmp_path)) or completion("fine")
    kept = Kept(endpoint(server, price_in=1e6, price_out=1e6), tmp_path)
    ask(kept)
    assert found[0].calls == 1
    assert found[0].cost > 12
    kept.close()
    assert spent(tmp_path) == Spent(1, 12, 12.0)


def test_what_was_under_way_at_an_interrupt_is_counted(server, tmp_path):
    model, held = endpoint(server), threading.Event()

    def hold(body):
        model.http.abandon()
        held.wait(30)
        return completion("late")

    server.say = hold
    kept = Kept(model, tmp_path)
    with pytest.raises(RunFailed, match="were abandoned"):
        ask(kept)
    held.set()
    kept.close()
    assert spent(tmp_path).calls == 1


def test_a_cap_is_exact_however_often_a_run_goes_on(server, tmp_path):
    """Twelve tokens a request, of which eleven are the most that one may come to; ten times."""
    for place in range(12):
        kept = Kept(endpoint(server, price_in=0.1, price_out=0.1, max_cost=12.0e-6, max_calls=100), tmp_path)
        server.say = lambda body: completion("fine", usage=(9, 3))
        try:
            ask(kept, str(place))
        except RunFailed:
            break
        finally:
            kept.close()
    assert place == len(server.seen) == 9
    assert spent(tmp_path).cost == pytest.approx(10.8e-6)


@pytest.mark.parametrize("line", ["[1, 2]", '["1", 2, 3]', "[1.5, 2, 3]", "[true, 2, 3]", "[1, 2, NaN]", "[.1, 1, 1]"])
def test_what_is_spent_is_three_numbers(tmp_path, caplog, line):
    (tmp_path / "calls.jsonl").write_text(f'{{"spent": {line}}}\n')
    assert spent(tmp_path) == Spent()
    assert "1 lines cannot be read" in caplog.text


def test_a_line_says_what_a_reader_needs(tmp_path):
    kept = Kept(Echo(), tmp_path)
    ask(kept, "a")
    kept.close()
    lines = [json.loads(line) for line in (tmp_path / "calls.jsonl").read_text().splitlines()]
    model, message, call = lines
    assert model == {"model": call["model"], "name": "echo", "parameters": {}, "sees": True}
    assert message == {"message": call["messages"][0], "role": "user", "parts": ["a"]}
    assert call["reply"]["text"] == "a!"
    log = CallLog(tmp_path, writes=False)
    assert log.message(message["message"]) == message
    assert [one["call"] for one in log.calls()] == [call["call"]]
    assert log.message("../../x") is None


def test_two_processes_do_not_write_one_tape(server, tmp_path):
    with serving(server):
        first = as_chat(endpoint(server, record=str(tmp_path)))
        with pytest.raises(UserError, match="is being run by"):
            as_chat(endpoint(server, record=str(tmp_path)))
        first.close()

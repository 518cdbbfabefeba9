"""Progress: a few plain lines when piped, a bar on a terminal."""

import io

import pytest
from rich.console import Console

from agentlab_runner.runners.terminal import progress as module
from agentlab_runner.runners.terminal.progress import Progress


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 100.0

    monkeypatch.setattr(module.time, "monotonic", lambda: Clock.now)
    return Clock


def plain():
    out = io.StringIO()
    return out, Console(file=out)


def terminal():
    out = io.StringIO()
    return out, Console(file=out, force_terminal=True, width=120, _environ={"TERM": "xterm"})


def test_plain_lines_say_how_fast_how_long_and_how_well(clock):
    out, console = plain()
    with Progress(4, "training", console=console) as progress:
        clock.now += 12
        progress.update(1, success=0.41, held_out=None)
        clock.now += 14
        progress.update(2, success=0.5)
    assert out.getvalue().splitlines() == [
        "training 1/4, 12.0 s each, 0:36 left, success 0.41",
        "training 2/4, 13.0 s each, 0:26 left, success 0.5",
    ]


def test_plain_lines_come_every_ten_seconds_and_at_the_end(clock):
    out, console = plain()
    with Progress(100, "demonstrations", console=console) as progress:
        for _ in range(100):
            clock.now += 0.25
            progress.advance()
    assert out.getvalue().splitlines() == [
        "demonstrations 1/100, 4.0/s, 0:25 left",
        "demonstrations 41/100, 4.0/s, 0:15 left",
        "demonstrations 81/100, 4.0/s, 0:05 left",
        "demonstrations 100/100, 4.0/s, took 0:25",
    ]


def test_what_was_done_before_does_not_count_for_the_rate(clock):
    out, console = plain()
    with Progress(10, "training", done=8, console=console) as progress:
        clock.now += 3660
        progress.update(9)
    assert out.getvalue() == "training 9/10, 3660.0 s each, 1:01:00 left\n"


def test_report_may_change_the_total(clock):
    out, console = plain()
    with Progress(1, "warm start", console=console) as progress:
        clock.now += 1
        progress.report(5, 20, loss=0.123456)
    assert out.getvalue() == "warm start 5/20, 5.0/s, 0:03 left, loss 0.123\n"


def test_a_failure_prints_nothing_more(clock):
    out, console = plain()

    def work():
        with Progress(2, "training", console=console) as progress:
            progress.update(1)
            progress.update(2)
            raise KeyError

    with pytest.raises(KeyError):
        work()
    assert out.getvalue().count("\n") == 1


def test_a_reader_who_has_left_ends_no_work(clock):
    class Left(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    with Progress(2, "training", console=Console(file=Left())) as progress:
        for done in (1, 2):
            clock.now += 20
            progress.update(done)
    assert progress.done == 2


def test_a_terminal_shows_a_bar_and_work_inside_work_below_it():
    out, console = terminal()
    with Progress(3, "training", console=console) as outer:
        outer.update(1, success=0.41)
        with Progress(5, "evaluating", console=console) as inner:
            inner.advance(success=0.2)
        outer.update(2)
    screen = out.getvalue()
    assert "━" in screen
    assert "training" in screen
    assert "evaluating" in screen
    assert "success 0.41" in screen
    assert Progress._bars is None


def test_a_failure_leaves_the_terminal_usable():
    _, console = terminal()
    with pytest.raises(KeyError), Progress(3, "training", console=console):
        raise KeyError
    assert Progress._bars is None

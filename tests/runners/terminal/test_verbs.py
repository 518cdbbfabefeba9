"""Verbs that systems bring along."""

import subprocess
import sys

import pytest

APP = '''
import typer
from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.terminal.verbs import told

app = typer.Typer(no_args_is_help=True)


@app.command()
@told
def greet(name: str = "world") -> None:
    """Say hello."""
    if name == "nobody":
        raise UserError("there is nobody to greet; name somebody")
    print("hello", name)


@app.command()
def part() -> None:
    """Say good bye."""
'''


@pytest.fixture
def hello(cli, cli_env, tmp_path):
    """`agentlab` with a system of the user's own, on the path but not installed."""
    (tmp_path / "conf" / "command").mkdir(parents=True)
    (tmp_path / "conf" / "command" / "hello.yaml").write_text("# Greetings\n_target_: hello_system.app\n")
    (tmp_path / "hello_system.py").write_text(APP)
    cli_env["PYTHONPATH"] += f":{tmp_path}"
    return cli


def test_a_file_in_conf_command_is_a_verb(hello):
    assert "Greetings" in hello("--help").stdout
    assert "Say hello." in hello("hello", "--help").stdout
    assert hello("hello", "greet", "--name", "house").stdout == "hello house\n"
    wrong = hello("hello", "greet", "--name", "nobody")
    assert (wrong.exit_code, wrong.stderr) == (2, "agentlab: there is nobody to greet; name somebody\n")


def test_help_imports_no_system(hello, tmp_path):
    (tmp_path / "hello_system.py").write_text("raise SystemExit('imported')")
    assert "Greetings" in hello("--help").stdout
    assert "imported" in hello("hello", "greet").stderr
    (tmp_path / "hello_system.py").write_text("import no_such_package")
    broken = hello("hello", "greet")
    assert broken.exit_code == 1
    assert "hello_system.app, which cannot be loaded: No module named 'no_such_package'" in broken.stderr


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"[1", "hello.yaml cannot be read ("),
        (b"\xff", "hello.yaml cannot be read ('utf-8' codec"),
        (b"- 1", "hello.yaml names no verb; give it the _target_ of a Typer app"),
        (b"_target_: 5", "hello.yaml names no verb"),
    ],
)
def test_a_verb_whose_file_is_broken_is_told_in_a_sentence_and_takes_no_other_away(hello, tmp_path, content, sentence):
    (tmp_path / "conf" / "command" / "hello.yaml").write_bytes(content)
    broken = hello("hello", "greet")
    assert (broken.exit_code, broken.stderr.count("\n")) == (2, 1)
    assert sentence in broken.stderr
    assert hello("--help").exit_code == 0


def test_what_is_wrong_before_there_is_a_verb_is_one_sentence_too(cli, cli_env, tmp_path):
    cli_env["AGENTLAB_CONF"] = "/nowhere"
    wrong = cli("list")
    assert (wrong.exit_code, wrong.stderr.count("\n")) == (2, 1)
    assert "/nowhere is not a folder" in wrong.stderr
    del cli_env["AGENTLAB_CONF"]
    gone = ["sh", "-c", 'mkdir gone && cd gone && rmdir ../gone && exec "$@"', "sh"]
    command = [*gone, sys.executable, "-m", "agentlab_runner.runners", "list"]
    done = subprocess.run(command, cwd=tmp_path, env=cli_env, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == "agentlab: the present folder was removed; change into one that is there\n"


def test_streams_that_are_closed_lead_nowhere(cli_env, tmp_path):
    command = ["sh", "-c", 'exec "$@" <&- >&-', "sh", sys.executable, "-m", "agentlab_runner.runners", "list"]
    done = subprocess.run(command, cwd=tmp_path, env=cli_env, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_verbs_of_this_project_are_found_wherever_it_is_called_from(cli):
    assert "discover" in cli("clean", "--help").stdout


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("train --nme x", "agentlab train has no option --nme; did you mean --name? (see: agentlab train --help)"),
        ("trian", "agentlab has no command 'trian'; did you mean train? (see: agentlab --help)"),
        ("phone srve", "agentlab phone has no command 'srve'; did you mean serve? (see: agentlab phone --help)"),
        ("clean repiar", "agentlab clean has no command 'repiar'; did you mean repair? (see: agentlab clean --help)"),
        ("clean repair --out", "option '--out' requires an argument; write --out VALUE"),
        ("eval --json=3", "option '--json' does not take a value; write --json alone"),
    ],
)
def test_what_is_typed_wrongly_is_one_sentence(cli, typed, sentence):
    wrong = cli(*typed.split())
    assert (wrong.exit_code, wrong.stdout, wrong.stderr) == (2, "", f"agentlab: {sentence}\n")


@pytest.mark.parametrize(
    ("typed", "what", "usage"),
    [
        ("import digirl", "missing argument", "type agentlab import [OPTIONS]"),
        ("list a b", "got unexpected extra argument", "type agentlab list [OPTIONS]"),
        ("clean repair", "missing argument", "type agentlab clean repair [OPTIONS]"),
        ("clean discover x.csv --theta abc", "invalid value for '--theta'", "type agentlab clean discover [OPTIONS]"),
        ("zzz", "agentlab has no command 'zzz'; it has train, eval", "(see: agentlab --help)"),
    ],
)
def test_a_usage_error_says_what_was_wrong_and_what_to_type(cli, typed, what, usage):
    wrong = cli(*typed.split())
    assert (wrong.exit_code, wrong.stderr.count("\n")) == (2, 1)
    assert wrong.stderr.startswith(f"agentlab: {what}")
    assert usage in wrong.stderr


def test_a_group_alone_shows_what_it_has(cli):
    assert "repair" in "".join((alone := cli("clean")).stdout + alone.stderr)


@pytest.mark.parametrize("columns", ["0", "1", "19"])
def test_a_terminal_that_says_it_has_no_columns_still_shows_tables(cli_env, tmp_path, columns):
    program = "import pty, sys; pty.spawn([sys.executable, '-m', 'agentlab_runner.runners', 'list', 'agents'])"
    command, env = [sys.executable, "-c", program], cli_env | {"COLUMNS": columns}
    shown = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True).stdout
    assert any(line.startswith("coso ") for line in shown.splitlines()), shown

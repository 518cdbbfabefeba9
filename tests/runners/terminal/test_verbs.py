"""Verbs that systems bring along."""

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


def test_the_verbs_of_this_project_are_found_wherever_it_is_called_from(cli):
    assert "discover" in cli("clean", "--help").stdout

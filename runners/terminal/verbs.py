"""What verbs share: --debug, --conf-dir, errors as one sentence; and the verbs that systems bring along."""

import functools
import inspect
import os
import shlex
import sys
import traceback
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup
from typer.models import OptionInfo

from agentlab_runner.runners.config.listing import choices, purpose
from agentlab_runner.runners.config.modules import find_own_modules
from agentlab_runner.runners.errors import RunFailed, UnknownKey, UserError
from agentlab_runner.runners.terminal.tables import visible
from agentlab_runner.runners.terminal.usage import misuse

USAGE: Any = typer.BadParameter.__bases__[0]
"""`click.UsageError`, of the click that this Typer uses: some versions carry one of their own."""

Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout, everything else on stderr.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
ConfDir = Annotated[
    Path | None,
    typer.Option("--conf-dir", help="A folder of your own configs, beside those of the package and ./conf.",
                 show_default=False),
]


class Systems(TyperGroup):
    """A group of verbs with one more for every file of `conf/command`, whose `_target_` is a Typer app.

    The app is imported when its verb is called; `--help` and completion make do with the file's first line. A command
    line that is typed wrongly is told of in one sentence, like every other fault.
    """

    def main(self, *args: Any, **extra: Any) -> Any:
        standalone, extra["standalone_mode"] = extra.get("standalone_mode", True), False
        if not standalone:
            return super().main(*args, **extra)
        try:
            code = super().main(*args, **extra)
        except USAGE as fault:
            if type(fault).__name__ == "NoArgsIsHelpError":
                fault.show()
            else:
                say(misuse(fault))
            code = fault.exit_code
        except typer.Abort:
            code = 130
        sys.exit(code or 0)

    def list_commands(self, ctx: Any) -> list[str]:  # Any: as USAGE
        return [*super().list_commands(ctx), *choices("command")]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        file = choices("command").get(cmd_name)
        return TyperCommand(cmd_name, help=purpose(file)) if file else super().get_command(ctx, cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        file = choices("command").get(args[0])
        return (args[0], _command(file), args[1:]) if file else super().resolve_command(ctx, args)


def _command(file: Path) -> Any:
    import yaml

    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as fault:
        raise UserError(f"{file} cannot be read ({fault}); mend or remove it") from fault
    target = content.get("_target_") if isinstance(content, dict) else None
    if not isinstance(target, str):
        raise UserError(f"{file} names no verb; give it the _target_ of a Typer app, or remove it")
    module, _, name = target.rpartition(".")
    find_own_modules()
    try:
        return typer.main.get_command(getattr(import_module(module), name))
    except (ImportError, AttributeError) as fault:
        _fail(RunFailed(f"{file} names {module}.{name}, which cannot be loaded: {fault}"), 1, debug=False)


def told(function: Callable[..., None]) -> Callable[..., None]:
    """A verb with --debug, whose errors are one sentence with the right exit code."""

    def guarded(*args: Any, debug: bool, **options: Any) -> None:
        try:
            function(*args, **options)
        except typer.Exit:
            raise
        except UserError as fault:
            _fail(_as_option(fault, guarded, options), 2, debug)
        except KeyboardInterrupt as fault:
            _fail(fault, 130, debug)
        except BrokenPipeError:  # `agentlab list | head` is no fault
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except Exception as fault:
            _fail(fault, 1, debug)

    return _with_option(function, guarded, "debug", Debug, False)


def verb(function: Callable[..., None]) -> Callable[..., None]:
    """A verb over configs: `told`, with --conf-dir."""

    def prepared(*args: Any, conf_dir: Path | None, **options: Any) -> None:
        if conf_dir:
            known = os.environ.get("AGENTLAB_CONF")
            os.environ["AGENTLAB_CONF"] = os.pathsep.join([str(conf_dir.absolute()), *([known] if known else [])])
        find_own_modules()
        function(*args, **options)

    return told(_with_option(function, prepared, "conf_dir", ConfDir, None))


def _as_option(fault: UserError, function: Callable[..., None], given: Mapping[str, Any]) -> UserError:
    """A key that no config has but that is an option of the verb: which option was meant."""
    if not isinstance(fault, UnknownKey):
        return fault
    flag = f"--{fault.key.replace('_', '-')}"
    for name, parameter in inspect.signature(function).parameters.items():
        marks = getattr(parameter.annotation, "__metadata__", ())
        if any(flag in (mark.default, *(mark.param_decls or ())) for mark in marks if isinstance(mark, OptionInfo)):
            value = "" if isinstance(given.get(name, False), bool) else f" {_value_of(fault.key, given)}"
            return UserError(f"{fault.key!r} is no key of a config; did you mean {flag}{value}?")
    return fault


def _value_of(key: str, given: Mapping[str, Any]) -> str:
    """What a verb's arguments say of a key."""
    words = [str(word) for value in given.values() if isinstance(value, list) for word in value]
    found = [word.partition("=")[2] for word in words if word.lstrip("+").partition("=")[0] == key]
    return shlex.quote(found[-1]) if found and found[-1] else "VALUE"


def _with_option(
    function: Callable[..., None], wrapper: Callable[..., None], name: str, annotation: Any, default: Any
) -> Callable[..., None]:
    """`wrapper` with the name, help and parameters of `function`, and one parameter more."""
    functools.update_wrapper(wrapper, function)
    more = inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
    signature = inspect.signature(function)
    wrapper.__signature__ = signature.replace(parameters=[*signature.parameters.values(), more])  # type: ignore[attr-defined]
    wrapper.__annotations__ = function.__annotations__ | {name: annotation}
    return wrapper


def _fail(fault: BaseException, code: int, debug: bool) -> NoReturn:
    say(fault, debug)
    raise typer.Exit(code)


def say(fault: BaseException, debug: bool = False) -> None:
    """A fault as one sentence on stderr."""
    if debug:
        traceback.print_exception(fault)
    text = " ".join(str(fault).split())
    if not isinstance(fault, UserError | RunFailed | KeyboardInterrupt):
        text = f"{type(fault).__name__}: {text} (see it whole with --debug)"
    print(f"agentlab: {visible(text) or 'interrupted'}", file=sys.stderr)

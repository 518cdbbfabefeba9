"""A command line of the phone's shell, taken apart: words, what joins commands, pipes, and files to write to."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

CODE = "\0"
"""Stands in a word where the last exit code goes (`$?`, unless in single quotes)."""
_WORD = r"""(?:'[^']*'|"(?:\\.|[^"\\])*"|\\.|[^\s;&|>'"\\])+"""
_TOKEN = re.compile(rf"[^\S\n]*(?:(?P<word>{_WORD})|(?P<sign>&&|\|\||>>|[;&|>\n])|(?P<odd>\S)|$)", re.DOTALL)
_PART = re.compile(r"""'([^']*)'|"((?:\\.|[^"\\])*)"|\\(.)|([^'"\\]+)""", re.DOTALL)


@dataclass(slots=True)
class Command:
    """One command of a pipe."""

    words: list[str] = field(default_factory=list)
    file: str = ""
    """Where its output goes; empty: on."""
    append: bool = False


@dataclass(slots=True)
class Pipe:
    """Commands that read what the one before says."""

    joint: str
    """What stands before it: `;`, `&&` or `||`."""
    commands: list[Command] = field(default_factory=lambda: [Command()])


def pipes(text: str) -> list[Pipe]:
    """A command line as pipes; empty ones are left out.

    Raises:
        ValueError: a quote is not closed, or a file to write to is not named.
    """
    found, names_file = [Pipe(";")], False
    for word, sign in _tokens(re.sub(r"2>\s*(&1|/dev/null)", "", text)):
        command = found[-1].commands[-1]
        if names_file and word is None:
            break
        if word is not None and names_file:
            command.file, names_file = word, False
        elif word is not None:
            command.words.append(word)
        elif sign in (">", ">>"):
            names_file, command.append = True, sign == ">>"
        elif sign == "|":
            found[-1].commands.append(Command())
        else:
            found.append(Pipe(sign if sign in ("&&", "||") else ";"))
    if names_file:
        raise ValueError("no file is named after >")
    for pipe in found:
        pipe.commands = [command for command in pipe.commands if command.words or command.file]
    return [pipe for pipe in found if pipe.commands]


def _tokens(text: str) -> Iterator[tuple[str | None, str]]:
    """(word, "") or (None, sign)."""
    for token in _TOKEN.finditer(text):
        if token["odd"]:
            raise ValueError("no closing quotation")
        if token["word"]:
            yield "".join(map(_unquoted, _PART.finditer(token["word"]))), ""
        elif token["sign"]:
            yield None, token["sign"]


def _unquoted(part: re.Match[str]) -> str:
    single, double, escaped, bare = part.groups()
    if double is not None:
        return re.sub(r'\\(["\\$`])', r"\1", double.replace("$?", CODE))
    return bare.replace("$?", CODE) if bare else single or escaped or ""

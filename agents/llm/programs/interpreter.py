"""Programs that a model writes, in the part of Python that can do nothing but compute: read, never run by Python.

A program's calls on one name (`agent.click_xpath(...)`) become a list, before anything is done with any of them. What
it may say `language` lists; the rest is refused when it is met, and so is what takes too long or grows too large.
"""

import ast
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agentlab_runner.agents.llm.programs.language import (
    BINARY,
    CALLS,
    COMPARE,
    DEPTH,
    METHODS,
    PLAIN,
    SECONDS,
    SIZE,
    SOURCE,
    STEPS,
    UNARY,
    VOLUME,
    Foreign,
    Refused,
    bounded,
    comparable,
    made_by_programs,
    shallow,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Called:
    """`agent.NAME(ARGUMENTS)`, evaluated."""

    name: str
    arguments: tuple[Any, ...]


def calls(source: str, allowed: Mapping[str, int], name: str = "agent") -> list[Called]:
    """What a program calls on `name`, in order.

    Args:
        allowed: how many arguments each call takes, by its name; the arguments are texts or numbers.

    Raises:
        Refused: with the line and the reason; what was called up to there is in its `called`.
    """
    machine = _Machine({}, name, allowed)
    try:
        machine.run(source)
    except Refused as fault:
        fault.called = machine.called  # type: ignore[attr-defined]
        raise
    return machine.called


def variables(source: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The variables that a program leaves, of which it was given some.

    Args:
        given: plain values, `Foreign` ones, and functions that it may call.

    Raises:
        Refused: as above.
    """
    machine = _Machine(given)
    machine.run(source)
    return machine.variables


class _Break(Exception):
    pass


class _Continue(Exception):
    pass


class _Machine:
    def __init__(self, given: Mapping[str, Any], name: str = "", allowed: Mapping[str, int] | None = None) -> None:
        self.variables = dict(given)
        self.called: list[Called] = []
        self._name, self._allowed = name, allowed or {}
        self._steps, self._depth, self._volume = 0, 0, 0
        self._functions: dict[str, Callable[..., Any]] = {
            "str": self._str, "int": self._int, "float": float, "bool": bool, "len": len, "round": self._round,
            "abs": abs, "min": lambda *a, **k: min(*map(comparable, a), **k),
            "max": lambda *a, **k: max(*map(comparable, a), **k), "sum": self._sum,
            "sorted": lambda a, **k: sorted(comparable(self._counted(a)), **k), "range": range,
            "enumerate": lambda a, start=0: list(enumerate(self._counted(a), start)),
            "zip": lambda *a: list(zip(*map(self._counted, a), strict=False)),
            "list": lambda a=(): self._counted(a), "tuple": lambda a=(): tuple(self._counted(a)),
            "set": lambda a=(): set(comparable(self._counted(a))), "dict": lambda a=(): dict(comparable(a)),
            "reversed": lambda a: self._counted(a)[::-1], "any": lambda a: any(self._counted(a)),
            "all": lambda a: all(self._counted(a)),
        }  # fmt: skip

    def run(self, source: str) -> None:
        if len(source) > SOURCE:
            raise Refused(f"a program of {len(source)} characters is too long")
        try:
            tree = ast.parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as fault:
            raise Refused(f"no Python: {getattr(fault, 'msg', fault)}") from fault
        self._until = time.monotonic() + SECONDS
        try:
            self._block(tree.body)
        except (_Break, _Continue):
            raise Refused("a break outside a loop") from None

    # -- statements ----------------------------------------------------------------------------------------------------

    def _block(self, body: Sequence[ast.stmt]) -> None:
        for statement in body:
            self._count(statement)
            try:
                self._statement(statement)
            except (Refused, _Break, _Continue):
                raise
            except RecursionError:
                raise Refused(f"line {statement.lineno}: nested too deeply") from None
            except Exception as fault:  # whatever Python says to a plain value: an index, a type, a division
                raise Refused(f"line {statement.lineno}: {type(fault).__name__}: {str(fault)[:200]}") from fault

    def _statement(self, node: ast.stmt) -> None:
        match node:
            case ast.Expr(value=value):
                self._value(value)
            case ast.Assign(targets=targets, value=value):
                found = self._value(value)
                for target in targets:
                    self._assign(target, found)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                self._assign(target, self._value(value))
            case ast.AugAssign(target=ast.Name(id=name) as target, op=op, value=value):
                self._assign(target, self._binary(op, self._get(name, node), self._value(value), node))
            case ast.For(target=target, iter=source, body=body, orelse=[]):
                for item in self._items(self._value(source)):
                    self._assign(target, item)
                    if not self._goes_on(body):
                        break
            case ast.While(test=test, body=body, orelse=[]):
                while self._value(test) and self._goes_on(body):
                    pass
            case ast.If(test=test, body=body, orelse=orelse):
                self._block(body if self._value(test) else orelse)
            case ast.Pass():
                pass
            case ast.Break():
                raise _Break
            case ast.Continue():
                raise _Continue
            case ast.Import() | ast.ImportFrom() if self._harmless(node):
                pass
            case _:
                raise self._refusal(node)

    def _goes_on(self, body: Sequence[ast.stmt]) -> bool:
        """One turn of a loop; whether there may be another."""
        try:
            self._block(body)
        except _Break:
            return False
        except _Continue:
            return True
        return True

    def _harmless(self, node: ast.Import | ast.ImportFrom) -> bool:
        """An import of what the program was given anyhow, as `from bs4 import BeautifulSoup`."""
        return isinstance(node, ast.ImportFrom) and all(
            one.name in self.variables and one.asname is None for one in node.names
        )

    def _assign(self, target: ast.expr, value: Any) -> None:
        match target:
            case ast.Name(id=name) if name != self._name and not name.startswith("__"):
                self.variables[name] = bounded(value)
            case ast.Tuple(elts=targets) | ast.List(elts=targets):
                values = self._counted(value)
                if len(values) != len(targets):
                    raise Refused(f"line {target.lineno}: {len(values)} values for {len(targets)} names")
                for one, part in zip(targets, values, strict=True):
                    self._assign(one, part)
            case ast.Subscript(value=whole, slice=index):
                owner = self._value(whole)
                if not isinstance(owner, list | dict):
                    raise self._refusal(target)
                owner[comparable(self._value(index))] = value
                bounded(owner)
            case _:
                raise self._refusal(target)

    # -- expressions ---------------------------------------------------------------------------------------------------

    def _value(self, node: ast.expr) -> Any:
        self._count(node)
        self._depth += 1
        if self._depth > DEPTH:
            raise Refused(f"line {node.lineno}: nested too deeply")
        try:
            found = bounded(self._evaluate(node))
            if not isinstance(node, ast.Name | ast.Constant) and isinstance(found, str | list | tuple | dict | set):
                self._volume += len(found)
                if self._volume > VOLUME:
                    raise Refused(f"line {node.lineno}: more than {VOLUME:,} characters and entries are made")
            return found
        finally:
            self._depth -= 1

    def _evaluate(self, node: ast.expr) -> Any:
        match node:
            case ast.Constant(value=value) if isinstance(value, str | int | float | bool | None):
                return value
            case ast.Name(id=name):
                return self._get(name, node)
            case ast.List(elts=parts):
                return [self._value(part) for part in parts]
            case ast.Tuple(elts=parts):
                return tuple(self._value(part) for part in parts)
            case ast.Set(elts=parts):
                return {comparable(self._value(part)) for part in parts}
            case ast.Dict(keys=keys, values=values) if all(keys):
                pairs = zip(keys, values, strict=True)
                return {comparable(self._value(key)): self._value(value) for key, value in pairs if key}
            case ast.JoinedStr(values=parts):
                return "".join(str(self._value(part)) for part in parts)
            case ast.FormattedValue(value=value, conversion=conversion, format_spec=spec):
                return self._formatted(self._value(value), conversion, "" if spec is None else self._value(spec), node)
            case ast.BinOp(left=left, op=op, right=right):
                return self._binary(op, self._value(left), self._value(right), node)
            case ast.UnaryOp(op=op, operand=operand) if type(op) in UNARY:
                return UNARY[type(op)](self._value(operand))
            case ast.BoolOp(op=op, values=values):
                return self._either(isinstance(op, ast.Or), values)
            case ast.Compare(left=left, ops=ops, comparators=others):
                return self._compared(self._value(left), ops, others)
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return self._value(body if self._value(test) else orelse)
            case ast.Subscript(value=whole, slice=ast.Slice(lower=lower, upper=upper, step=step)):
                ends = [None if end is None else self._value(end) for end in (lower, upper, step)]
                return self._plain(self._value(whole), node)[slice(*ends)]
            case ast.Subscript(value=whole, slice=index):
                return self._plain(self._value(whole), node)[comparable(self._value(index))]
            case ast.ListComp(elt=elt, generators=generators) | ast.GeneratorExp(elt=elt, generators=generators):
                return [self._value(elt) for _ in self._loops(generators)]
            case ast.SetComp(elt=elt, generators=generators):
                return {comparable(self._value(elt)) for _ in self._loops(generators)}
            case ast.DictComp(key=key, value=value, generators=generators):
                return {comparable(self._value(key)): self._value(value) for _ in self._loops(generators)}
            case ast.Lambda(args=arguments, body=body):
                return self._function(arguments, body, node)
            case ast.Attribute(value=whole, attr=name):
                owner = self._value(whole)
                if isinstance(owner, Foreign) and name in owner.ATTRIBUTES:
                    return getattr(owner, name)
                raise self._refusal(node)
            case ast.Call():
                return self._call(node)
        raise self._refusal(node)

    def _call(self, node: ast.Call) -> Any:
        if any(isinstance(one, ast.Starred) for one in node.args) or any(key.arg is None for key in node.keywords):
            raise self._refusal(node)
        match node.func:
            case ast.Attribute(value=ast.Name(id=owner), attr=name) if self._name and owner == self._name:
                return self._noted(name, node)
            case ast.Attribute(value=whole, attr=name):
                return self._method(self._value(whole), name, node)
            case ast.Name(id=name):
                found = self.variables[name] if name in self.variables else self._functions.get(name)
                if not callable(found):
                    raise self._refusal(node)
                if isinstance(found, type) and not made_by_programs(found):
                    raise self._refusal(node)
                return found(*map(self._value, node.args), **{str(k.arg): self._value(k.value) for k in node.keywords})
        raise self._refusal(node)

    def _noted(self, name: str, node: ast.Call) -> None:
        """A call on the one name: it is written down, and gives nothing."""
        if name not in self._allowed:
            raise Refused(f"line {node.lineno}: {self._name} cannot {name}; it can {', '.join(self._allowed)}")
        arguments = tuple(self._value(one) for one in [*node.args, *(key.value for key in node.keywords)])
        if len(arguments) != self._allowed[name] or not all(isinstance(one, str | int | float) for one in arguments):
            raise Refused(f"line {node.lineno}: {name} takes {self._allowed[name]} text or number")
        if len(self.called) == CALLS:
            raise Refused(f"line {node.lineno}: more than {CALLS} calls")
        self.called.append(Called(name, arguments))

    def _method(self, owner: Any, name: str, node: ast.Call) -> Any:
        allowed = owner.METHODS if isinstance(owner, Foreign) else METHODS.get(type(owner), frozenset())
        arguments = [self._value(one) for one in node.args]
        named = {str(key.arg): self._value(key.value) for key in node.keywords}
        if name == "sort" and type(owner) is list:
            owner[:] = sorted(comparable(owner), *arguments, **named)
            return None
        if name not in allowed:
            raise self._refusal(node)
        if name == "extend":
            arguments = [self._counted(one) for one in arguments]
        if isinstance(owner, str) and name == "join":
            arguments = [self._counted(arguments[0])]
            if sum(len(one) + len(owner) for one in arguments[0] if isinstance(one, str)) > SIZE:
                raise Refused(f"line {node.lineno}: a text grows too long")
        if isinstance(owner, str) and name == "replace":
            old, new = arguments[:2]
            if (owner.count(old) + 1) * (len(new) + 1) + len(owner) > SIZE:
                raise Refused(f"line {node.lineno}: a text grows too long")
        if type(owner) in (dict, set) or name in ("count", "index", "remove"):
            comparable([owner if isinstance(owner, list | tuple) else None, *arguments])
        found = getattr(owner, name)(*arguments, **named)
        bounded(owner)
        return list(found) if name in ("items", "keys", "values") else found

    def _function(self, arguments: ast.arguments, body: ast.expr, node: ast.expr) -> Callable[..., Any]:
        names = [one.arg for one in arguments.args]
        if arguments.kwonlyargs or arguments.vararg or arguments.kwarg or arguments.defaults or self._name in names:
            raise self._refusal(node)

        def function(*given: Any) -> Any:
            before = dict(self.variables)
            try:
                self.variables.update(zip(names, given, strict=True))
                return comparable(self._value(body))
            finally:
                self.variables = before

        return function

    def _loops(self, generators: Sequence[ast.comprehension]) -> Iterator[None]:
        first, *rest = generators
        if first.is_async:
            raise Refused("an asynchronous loop")
        for item in self._items(self._value(first.iter)):
            self._assign(first.target, item)
            if all(self._value(test) for test in first.ifs):
                if rest:
                    yield from self._loops(rest)
                else:
                    yield

    def _either(self, wanted: bool, values: Sequence[ast.expr]) -> Any:
        found: Any = None
        for value in values:
            found = self._value(value)
            if bool(found) is wanted:
                break
        return found

    def _compared(self, left: Any, ops: Sequence[ast.cmpop], others: Sequence[ast.expr]) -> bool:
        for op, node in zip(ops, others, strict=True):
            right = self._value(node)
            comparable([left, right])
            if not COMPARE[type(op)](left, right):
                return False
            left = right
        return True

    def _binary(self, op: ast.operator, left: Any, right: Any, node: ast.AST) -> Any:
        number = isinstance(left, int | float) and isinstance(right, int | float)
        if type(op) not in BINARY or not (number or isinstance(op, ast.Add | ast.Mult | ast.Sub)):
            raise self._refusal(node)
        if isinstance(op, ast.Pow) and (abs(right) > 64 or abs(left) > 10**6):
            raise Refused("a number grows too large")
        if isinstance(op, ast.Mult) and not number:
            long, times = (left, right) if isinstance(right, int) else (right, left)
            if not isinstance(times, int) or len(long) * max(times, 0) > SIZE:
                raise Refused("a text or list grows too long")
        if isinstance(op, ast.Add) and not number and len(left) + len(right) > SIZE:
            raise Refused("a text or list grows too long")
        return BINARY[type(op)](left, right)

    def _formatted(self, value: Any, conversion: int, spec: str, node: ast.AST) -> str:
        if not isinstance(value, PLAIN) or any(int(number) > 100 for number in _numbers(spec)):
            raise self._refusal(node)
        shallow(value)
        if conversion >= 0:
            value = repr(value) if conversion == ord("r") else str(value)
        return format(value, spec)

    # -- bounds --------------------------------------------------------------------------------------------------------

    def _count(self, node: ast.AST) -> None:
        self._steps += 1
        if self._steps > STEPS:
            raise Refused(f"line {getattr(node, 'lineno', 0)}: more than {STEPS} steps")
        if time.monotonic() > self._until:
            raise Refused(f"line {getattr(node, 'lineno', 0)}: more than {SECONDS:g} s")

    def _items(self, values: Any) -> Iterator[Any]:
        if not isinstance(values, str | list | tuple | dict | set | range):
            raise Refused(f"{type(values).__name__} is nothing to go through")
        for item in list(values) if isinstance(values, list | dict | set) else values:
            self._steps += 1
            if self._steps > STEPS:
                raise Refused(f"more than {STEPS} steps")
            yield item

    def _counted(self, values: Any) -> list[Any]:
        return list(self._items(values))

    def _plain(self, value: Any, node: ast.expr) -> Any:
        if not isinstance(value, str | list | tuple | dict | range | Foreign):
            raise self._refusal(node)
        return value

    def _int(self, value: Any = 0) -> int:
        if isinstance(value, str) and len(value) > 20:
            raise Refused("a number grows too large")
        return int(value)

    def _round(self, value: Any, digits: Any = None) -> Any:
        if digits is not None and abs(digits) > 100:  # of a whole number Python computes that power of ten
            raise Refused("a number is rounded to more than 100 places")
        return round(value, digits)

    def _str(self, value: Any = "") -> str:
        if not isinstance(value, PLAIN):
            raise Refused(f"{type(value).__name__} is no text")
        shallow(value)
        return str(value)

    def _sum(self, values: Any) -> Any:
        found = self._counted(values)
        if not all(isinstance(one, int | float) for one in found):
            raise Refused("sum adds numbers")
        return sum(found)

    def _get(self, name: str, node: ast.AST) -> Any:
        if name in self.variables:
            return self.variables[name]
        raise Refused(f"line {getattr(node, 'lineno', 0)}: there is no {name}")

    def _refusal(self, node: ast.AST) -> Refused:
        return Refused(f"line {getattr(node, 'lineno', 0)}: {ast.unparse(node)[:60]!r} is not in the language")


def _numbers(spec: str) -> list[str]:
    return "".join(character if character.isdigit() else " " for character in spec).split()

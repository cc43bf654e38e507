"""Read what a method of Faker does, where it only picks from lists and puts the picks together.

Most providers are a few lines of code: pick an element, or pick a format and fill its tokens. Such code
is followed once, with lists in the place of random values; what is not understood is called, as ever.
"""

from __future__ import annotations

import ast
import inspect
import string
import textwrap
from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any

from .changes import (
    NotUnderstoodError,
    as_draws,
    decoration,
    each,
    each_sign,
    elements,
    has_no_sigma,
    normalize_blanks,
)
from .draws import Change, FakerCall, Pick, TextDraw, changed, joined

_DEEPEST = 12
_DIGITS = string.digits
_SIGNS = {
    "#": tuple(_DIGITS),
    "%": tuple(_DIGITS[1:]),
    "$": tuple(_DIGITS[2:]),
    # In half of the cases nothing.
    "!": (*_DIGITS, *[""] * 10),
    "@": (*_DIGITS[1:], *[""] * 9),
}
_FILLED = ("numerify", "bothify", "lexify")
_CHANGES: Mapping[str, Change] = {"upper": str.upper, "lower": str.lower}


class Planner:
    """Turns methods of one Faker into plans.

    Parameters
    ----------
    fake : faker.Generator
        The inner generator of a locale, with weights switched off.
    """

    def __init__(self, fake: Any) -> None:
        from faker.providers import BaseProvider

        self._fake, self._base = fake, BaseProvider
        self._known: dict[tuple[int, int], TextDraw] = {}
        self._mended: dict[int, TextDraw] = {}
        self._depth = 0

    def plan(self, method: Callable[..., Any], settings: Mapping[str, object]) -> TextDraw:
        """Return how to draw what a method gives with these arguments."""
        if not settings:
            plan = self.of(method)
            if not isinstance(plan, Pick) or plan.is_plain:
                return plan
            # Lists are only made once, and kept with their method.
            if id(plan) not in self._mended:
                self._mended[id(plan)] = normalize_blanks(plan)
            return self._mended[id(plan)]
        name, own = getattr(method, "__name__", ""), getattr(method, "__self__", None)
        try:
            if name in _FILLED and self._is_own(own, name) and set(settings) == {"text"}:
                return self.filled(name, settings["text"])
        except NotUnderstoodError:
            pass
        return FakerCall(lambda: method(**settings))

    def of(self, method: Callable[..., Any]) -> TextDraw:
        """Return how to draw what a method gives; one that is not understood is called."""
        func, own = getattr(method, "__func__", None), getattr(method, "__self__", None)
        if not isinstance(func, FunctionType) or own is None or self._depth > _DEEPEST:
            return FakerCall(method)
        key = id(func), id(own)
        if key not in self._known:
            self._depth += 1
            try:
                self._known[key] = _Reading(self, own, func).result()
            except NotUnderstoodError:
                self._known[key] = FakerCall(method)
            finally:
                self._depth -= 1
        return self._known[key]

    def parsed(self, text: object) -> TextDraw:
        """Return how to fill the tokens of a format, as `Generator.parse` does."""
        from faker.generator import _re_token

        if not isinstance(text, str):
            raise NotUnderstoodError
        parts, at = list[TextDraw](), 0
        for match in _re_token.finditer(text):
            token, group = match.groups()
            method = getattr(self._fake, token, None)
            if group or method is None:
                raise NotUnderstoodError
            parts += (Pick((text[at : match.start()],)), self.of(method))
            at = match.end()
        return joined([*parts, Pick((text[at:],))])

    def filled(self, name: str, text: object) -> TextDraw:
        """Return how to fill the signs of a text, as numerify, lexify and bothify do."""
        if not isinstance(text, str):
            raise NotUnderstoodError
        parts = list[TextDraw]()
        for sign in text:
            if sign == "?" and name != "numerify":
                parts.append(Pick(tuple(string.ascii_letters)))
            elif sign in _SIGNS and name != "lexify":
                parts.append(Pick(_SIGNS[sign]))
            else:
                parts.append(Pick((sign,)))
        return joined(parts)

    def provider_call(self, own: Any, name: str, values: list[Any]) -> Any:
        """Return what ``self.NAME(values)`` gives in a provider."""
        if name == "_to_ascii" and len(values) == 1:
            return self._in_ascii(own, as_draws(values[0]))
        if name == "random_element" and len(values) == 1 and self._is_own(own, name):
            return Pick(elements(values[0]))
        if name in _FILLED and len(values) == 1 and self._is_own(own, name):
            return each_sign(values[0], lambda text: self.filled(name, text))
        method = getattr(own, name, None)
        if values or method is None or hasattr(self._base, name):
            raise NotUnderstoodError
        return self.of(method)

    def generator_call(self, name: str, values: list[Any]) -> Any:
        """Return what ``self.generator.NAME(values)`` gives."""
        if name == "parse" and len(values) == 1:
            return each(values[0], self.parsed)
        method = getattr(self._fake, name, None)
        if values or method is None or hasattr(self._base, name):
            raise NotUnderstoodError
        return self.of(method)

    def _in_ascii(self, own: Any, plan: TextDraw) -> TextDraw:
        from faker.providers.internet import Provider

        if getattr(type(own), "_to_ascii", None) is not Provider._to_ascii:
            raise NotUnderstoodError
        # Sign by sign, unless what is replaced is longer than a sign.
        by_sign = all(len(sign) == 1 for sign, _ in own.replacements)
        return changed(plan, own._to_ascii, lambda text, new: by_sign)

    def _is_own(self, own: Any, name: str) -> bool:
        """Whether a provider leaves one of Faker's basic methods as it is."""
        return getattr(type(own), name, None) is getattr(self._base, name, self)


class _Reading:
    """Follows the code of one method."""

    def __init__(self, planner: Planner, own: Any, func: FunctionType) -> None:
        self._planner, self._own, self._func = planner, own, func
        self._names: dict[str, Any] = {}
        self._used: set[str] = set()

    def result(self) -> TextDraw:
        """Return how to draw what the method returns."""
        inner = inspect.unwrap(self._func)
        try:
            (code,) = ast.parse(textwrap.dedent(inspect.getsource(inner))).body
            defaults = inspect.signature(inner).parameters.values()
        except (OSError, TypeError, SyntaxError, ValueError) as error:
            raise NotUnderstoodError from error
        if not isinstance(code, ast.FunctionDef) or inner.__closure__:
            raise NotUnderstoodError
        changes = [decoration(one, inner) for one in code.decorator_list]
        if (inner is self._func) == bool(changes):
            raise NotUnderstoodError
        for told in list(defaults)[1:]:
            if told.default is inspect.Parameter.empty:
                raise NotUnderstoodError
            self._names[told.name] = told.default
        found = self._block(code.body)
        if found is None:
            raise NotUnderstoodError
        plan = as_draws(found)
        for change, holds in reversed(changes):
            plan = changed(plan, change, holds)
        return plan

    def _block(self, body: list[ast.stmt]) -> Any:
        """Return what some statements return; None where they go on behind their end."""
        for line in body:
            match line:
                case ast.Expr(value=ast.Constant()):
                    continue
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    self._names[name] = self._value(value)
                    self._used.discard(name)
                case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                    self._names[name] = self._value(value)
                    self._used.discard(name)
                case ast.If(test=test, body=then, orelse=other):
                    found = self._block(then if self._plain(test) else other)
                    if found is not None:
                        return found
                case ast.Return(value=ast.expr() as value):
                    return self._value(value)
                case _:
                    raise NotUnderstoodError
        return None

    def _value(self, code: ast.expr) -> Any:
        match code:
            case ast.Constant(value=value):
                return value
            case ast.Name(id=name):
                return self._named(name)
            case ast.Attribute(value=ast.Name(id="self"), attr=name):
                return self._attribute(name)
            case ast.Call(
                func=ast.Name(id="hasattr"), args=[ast.Name(id="self"), ast.Constant() as n]
            ):
                return hasattr(self._own, str(n.value))
            case ast.Call(func=ast.Attribute() as func, args=args, keywords=[]):
                return self._call(func, args)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return joined([as_draws(self._value(left)), as_draws(self._value(right))])
            case ast.JoinedStr(values=values):
                return joined([as_draws(self._piece(one)) for one in values])
            case ast.Compare(left=left, ops=[ast.Eq()], comparators=[right]):
                return self._plain(left) == self._plain(right)
            case _:
                raise NotUnderstoodError

    def _piece(self, code: ast.expr) -> Any:
        """Return a part of an f-string."""
        match code:
            case ast.FormattedValue(value=value, conversion=-1, format_spec=None):
                return self._value(value)
            case _:
                return self._value(code)

    def _call(self, func: ast.Attribute, args: list[ast.expr]) -> Any:
        values = [self._value(one) for one in args]
        match func.value:
            case ast.Name(id="self"):
                return self._planner.provider_call(self._own, func.attr, values)
            case ast.Attribute(value=ast.Name(id="self"), attr="generator"):
                return self._planner.generator_call(func.attr, values)
            case _:
                if func.attr not in _CHANGES or values:
                    raise NotUnderstoodError
                plan = as_draws(self._value(func.value))
                return changed(plan, _CHANGES[func.attr], has_no_sigma)

    def _named(self, name: str) -> Any:
        if name not in self._names:
            raise NotUnderstoodError
        found = self._names[name]
        if isinstance(found, TextDraw):
            # The same value in two places is one draw, which a plan cannot say.
            if name in self._used:
                raise NotUnderstoodError
            self._used.add(name)
        return found

    def _attribute(self, name: str) -> Any:
        if isinstance(getattr(type(self._own), name, None), property):
            raise NotUnderstoodError
        found = getattr(self._own, name, None)
        if not isinstance(found, str | tuple | list | dict | bool):
            raise NotUnderstoodError
        return found

    def _plain(self, code: ast.expr) -> Any:
        found = self._value(code)
        if isinstance(found, TextDraw):
            raise NotUnderstoodError
        return found

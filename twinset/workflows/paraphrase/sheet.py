"""Templates: what each says in plain words, where it stands, and the file with other wordings."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from twinset.core.errors import DataError, RecipeError
from twinset.core.untrusted import compose_yaml
from twinset.recipe import read_yaml, shipped_file, spell_path

MEANINGFUL = "{}[]<>|\\"
"""Signs that mean something in a template; a wording may hold them in placeholders only."""

PLACEHOLDER = re.compile(r"\{[^{}]+\}|<[^\W\d]\w*>")
_TAIL = re.compile(r"\s*[*?]\s*[0-9]+(?:\.[0-9]+)?\s*$")
# A wording may be 4 times as long as its template, and 100 signs more: longer ones are explanations.
_MAX_LENGTH_RATIO = 4
_MAX_EXTRA_SIGNS = 100  # short templates may grow beyond the ratio


@dataclass(frozen=True)
class Wording:
    """A template without its choices: the text a model is asked about."""

    text: str  # Plain words with placeholders: of alternatives the first, of optional parts all
    # Its placeholders as they stand, in order, e.g. ``{name}`` or ``<greeting>``
    placeholders: tuple[str, ...]

    @classmethod
    def from_template(cls, template: str) -> Wording | None:
        """Return the wording of a template; None when it writes signs that templates give a meaning to.

        >>> Wording.from_template("Hi[ there ?0.2], (where|when) is {thing}?").text
        'Hi there, where is {thing}?'
        """
        reader = _Reader(template)
        text = " ".join(reader.sequence("").split())
        if reader.is_odd or reader.at < len(template) or not PLACEHOLDER.sub("", text).strip():
            return None
        return cls(text, tuple(PLACEHOLDER.findall(text)))

    def refusal(self, reply: str, known: Collection[str]) -> str:
        """Return why a reply cannot serve in place of this wording; empty when it can."""
        had, has = Counter(self.placeholders), Counter(PLACEHOLDER.findall(reply))
        words = PLACEHOLDER.sub(" ", reply)
        if not words.strip():
            return "it holds no words"
        if has - had:
            invented = any(name not in had for name in has)
            return "a placeholder was invented" if invented else "a placeholder was repeated"
        if had - has:
            return "a placeholder was dropped"
        if any(sign in words for sign in MEANINGFUL):
            return "it holds a sign that has a meaning in templates"
        if not all(sign.isprintable() for sign in words):
            return "it holds a sign that cannot be printed"
        if len(reply) > _MAX_LENGTH_RATIO * len(self.text) + _MAX_EXTRA_SIGNS:
            return "it is far longer than its template"
        return "it is there already" if normalize_wording(reply) in known else ""


def normalize_wording(text: str) -> str:
    """Return `text` so that two wordings that differ in case and points alone are equal.

    >>> normalize_wording("Where is {it}?") == normalize_wording("where is {it}")
    True
    """
    return " ".join(re.sub(r"[^\w{}<>#.|]+|\.(?!\w)", " ", text.casefold()).split())


class _Reader:
    """Takes a template apart sign by sign: ``[optional ?0.3]``, ``(one|other *2)``, escapes."""

    def __init__(self, template: str) -> None:
        self.template, self.at, self.is_odd = template, 0, False

    def sequence(self, stops: str) -> str:
        """Return the words up to one of `stops`, which is left standing."""
        words = ""
        while self.at < len(self.template) and self.template[self.at] not in stops:
            words += self._sign()
        return words

    def _sign(self) -> str:
        sign, pair = self.template[self.at], self.template[self.at : self.at + 2]
        if sign == "\\" or pair in ("{{", "}}"):
            self.at += 2
            self.is_odd |= pair[1:] in MEANINGFUL
            return pair[1:]
        placeholder = PLACEHOLDER.match(self.template, self.at)
        if placeholder:
            self.at = placeholder.end()
            return placeholder[0]
        self.at += 1
        if sign == "[":
            return _TAIL.sub("", self._until("]"))
        if sign == "(":
            return self._choice()
        self.is_odd |= sign in MEANINGFUL
        return sign

    def _choice(self) -> str:
        parts = [self.sequence("|)")]
        while self.template[self.at : self.at + 1] == "|":
            self.at += 1
            parts.append(self.sequence("|)"))
        if (
            len(parts) == 1
        ):  # brackets without a bar are brackets of the text, and may be alone there
            end = self.template[self.at : self.at + 1]
            self.at += len(end)
            return f"({parts[0]}{end}"
        self._close(")")
        return _TAIL.sub("", parts[0])

    def _until(self, end: str) -> str:
        words = self.sequence(end)
        self._close(end)
        return words

    def _close(self, end: str) -> None:
        self.is_odd |= self.template[self.at : self.at + 1] != end
        self.at += 1


_USE = "text.templates"
_ALLOWED = (
    "a recipe with `use: text.templates` and templates of its own, a file with the key `templates`, or a "
    "list of sentences under each label"
)


@dataclass(frozen=True)
class Item:
    """One template of a file."""

    label: str  # The label that it stands under
    number: int  # Which template of its label it is, from 1
    text: str  # The template
    line: int  # Line of the file
    at: int  # Place in the file behind which another wording can stand
    indent: int  # Blanks before the items of its list; -1 where the list stands in square brackets


@dataclass(frozen=True)
class Variant:
    """Another wording that was accepted, and the SHA-256 of the request that it answers."""

    text: str
    digest: str


@dataclass(frozen=True)
class Sheet:
    """A file of templates as text, and its templates in their order."""

    name: str
    text: str
    items: tuple[Item, ...]

    def with_variants(self, variants: Mapping[int, Sequence[Variant]], head: Sequence[str]) -> str:
        """Return the file with other wordings behind the templates that they say again."""
        pieces, end = [f"# {line}\n" for line in head], 0
        order = sorted(variants, key=lambda k: self.items[k].at)
        for k in order:
            item = self.items[k]
            pieces.append(self.text[end : item.at])
            pieces += [_spelled(variant, item.indent) for variant in variants[k]]
            end = item.at
        text = "".join([*pieces, self.text[end:]])
        meant = [
            said
            for k, item in enumerate(self.items)
            for said in (item.text, *(variant.text for variant in variants.get(k, ())))
        ]
        if [item.text for item in parse_sheet(text, self.name).items] != meant:
            raise RecipeError(
                f"no wording can be put into '{self.name}' as it is written",
                todo="write each template on a line of its own, behind a '-'",
            )
        return text


def read_sheet(path: Path) -> Sheet:
    """Return the templates of a recipe, of a file with the key ``templates``, or of plain lists.

    The bare name of a shipped recipe or grammar stands for its file where there is no file of that name.
    """
    path = path if path.is_file() else shipped_file(str(path)) or path
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read '{path}'", got=error.strerror or str(error)) from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(f"the file '{path}', line {line} is not encoded in UTF-8") from error
    return parse_sheet(text.replace("\r\n", "\n"), path.name)


def parse_sheet(text: str, name: str) -> Sheet:
    """Return the templates in the text of a file of this name.

    >>> [item.text for item in parse_sheet("ask:\\n- where is {it}\\n", "a.yaml").items]
    ['where is {it}']
    """
    faults = read_yaml(text).faults
    if faults:
        where = spell_path(faults[0].path)
        raise RecipeError(
            f"{name}:{faults[0].line or 1}: {where + ': ' if where else ''}{faults[0].text}"
        )
    root = compose_yaml(text, loader=yaml.SafeLoader)
    found = list(_items(root, text, name))
    if not found and (grammar := _grammar(_pairs(root))):
        raise RecipeError(
            f"'{name}' holds no templates of its own",
            got=f"grammar: {grammar}",
            todo=f"ask about that file, twinset paraphrase {grammar}, and name the new one in the recipe",
        )
    if not found:
        raise RecipeError(f"'{name}' holds no templates", allowed=_ALLOWED)
    return Sheet(name, text, tuple(found))


def _items(root: yaml.Node | None, text: str, name: str) -> Iterator[Item]:
    seen: set[int] = set()
    for labels in _label_mappings(_pairs(root)):
        for label, node in labels.items():
            own = _pairs(node).get("templates", node)
            if not isinstance(own, yaml.SequenceNode):
                raise RecipeError(
                    f"{name}:{node.start_mark.line + 1}: the label '{label}' has no list of templates",
                    allowed=_ALLOWED,
                )
            if id(own) in seen:  # an alias: the list stands in the file once
                continue
            seen.add(id(own))
            for number, item in enumerate(own.value, start=1):
                said = _pairs(item).get("text", item)
                if not isinstance(said, yaml.ScalarNode):
                    raise RecipeError(
                        f"{name}:{item.start_mark.line + 1}: template {number} of '{label}' is no text",
                        allowed="a sentence, or {text: sentence, ...}",
                    )
                at = item.end_mark.index if own.flow_style else _line_end(text, item)
                indent = -1 if own.flow_style else own.start_mark.column
                yield Item(label, number, said.value, said.start_mark.line + 1, at, indent)


def _label_mappings(root: Mapping[str, yaml.Node]) -> list[dict[str, yaml.Node]]:
    if "templates" in root:
        return [_pairs(root["templates"])]
    steps = root.get("generate")
    if not isinstance(steps, yaml.SequenceNode):
        # Of other files no key is taken for a label.
        plain = all(isinstance(node, yaml.SequenceNode) for node in root.values())
        return [dict(root)] if plain else []
    return [_pairs(own["templates"]) for own in _settings(steps) if "templates" in own]


def _settings(steps: yaml.Node | None) -> list[dict[str, yaml.Node]]:
    """Return the settings of every step of a recipe that writes texts from templates."""
    own = [_pairs(step) for step in steps.value] if isinstance(steps, yaml.SequenceNode) else []
    used = [step for step in own if "use" in step and step["use"].value == _USE]
    return [_pairs(step["with"]) for step in used if "with" in step]


def _grammar(root: Mapping[str, yaml.Node]) -> str:
    """Return the first file of templates that a recipe names, as it names it."""
    for own in _settings(root.get("generate")):
        if isinstance(own.get("grammar"), yaml.ScalarNode):
            return str(own["grammar"].value)
    return ""


def _pairs(node: yaml.Node | None) -> dict[str, yaml.Node]:
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    return {str(key.value): value for key, value in pairs}


def _line_end(text: str, node: yaml.Node) -> int:
    """Return the place behind the last line of an item of a list in block style."""
    last = node
    while isinstance(last, yaml.MappingNode) and not last.flow_style and last.value:
        last = last.value[-1][1]
    end = len(text[: last.end_mark.index].rstrip())
    line_end = text.find("\n", end)
    return len(text) if line_end < 0 else line_end


def _spelled(variant: Variant, indent: int) -> str:
    said = json.dumps(variant.text, ensure_ascii=False)
    if indent < 0:
        return f", {said}"
    return f"\n{' ' * indent}- {said}   # {variant.digest[:12]}"

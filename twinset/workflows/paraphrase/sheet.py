"""A file of templates: where each stands, and the same file with other wordings behind it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from twinset.core.errors import DataError, RecipeError
from twinset.recipe import read_yaml, shipped_file, spell_path

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

    Examples
    --------
    >>> [item.text for item in parse_sheet("ask:\\n- where is {it}\\n", "a.yaml").items]
    ['where is {it}']
    """
    faults = read_yaml(text).faults
    if faults:
        where = spell_path(faults[0].path)
        raise RecipeError(
            f"{name}:{faults[0].line or 1}: {where + ': ' if where else ''}{faults[0].text}"
        )
    root = yaml.compose(text, Loader=yaml.SafeLoader)
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

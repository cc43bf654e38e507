"""Check that names and texts use the terms of docs/glossary.md, and none of its banned words.

`python tests/test_glossary.py [PATH ...]` lists every hit below the paths.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch, translate
from pathlib import Path
from string import ascii_uppercase

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "glossary.md"
CODE = ("twinset", "generators", "augment", "evaluation", "benchmarks")
PROSE = (
    "README.md",
    "CONTRIBUTING.md",
    "docs",
    "configs",
    "twinset/ingest/templates",
    "twinset/report/templates",
)
PROSE_SUFFIXES = {".md", ".yaml", ".yml", ".html", ".css", ".js", ".j2", ".txt"}
GAP = r"[\s_#`*-]+"  # between two words of a phrase: blanks, a comment's next line, `a_b`, `a-b`
CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
LOWER = {ord(a): a.lower() for a in ascii_uppercase}  # `lower` can change the length of a text
TEST_NAME = re.compile(r"^\s*(?:async )?def (test_\w+)", re.MULTILINE)


@dataclass(frozen=True)
class Ban:
    """One entry of the column "Not used", and the term to use instead."""

    kind: str  # "word", "identifier" or "module"
    pattern: str
    term: str
    allowed: tuple[str, ...] = ()

    def allows(self, path: str, text: str) -> bool:
        """Return whether the page allows the word in this file or in this expression."""
        plain = re.sub(GAP, " ", CAMEL.sub(" ", text)).lower()
        return any(fnmatch(path, a) if "*" in a else a in plain for a in self.allowed)


@dataclass(frozen=True)
class Hit:
    """A banned word in a file."""

    path: str
    line: int
    word: str
    term: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.word!r}; use: {self.term}"


@dataclass
class Checker:
    """Finds banned words; build it with `read`."""

    bans: list[Ban]
    words: list[tuple[list[str], re.Pattern[str], Ban]] = field(init=False)
    names: dict[str, list[tuple[re.Pattern[str], Ban]]] = field(init=False)
    cache: dict[tuple[str, str], Ban | None] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        texts = [b for b in self.bans if b.kind == "word"]
        self.words = [(b.pattern.split(), re.compile(_regex(b.pattern)), b) for b in texts]
        self.names = {
            kind: [(re.compile(translate(b.pattern)), b) for b in self.bans if b.kind == kind]
            for kind in ("identifier", "module")
        }

    @classmethod
    def read(cls, page: str) -> Checker:
        """Return the checker of a glossary page."""
        bans: list[tuple[str, str]] = []
        allowed: dict[str, tuple[str, ...]] = {}
        head: list[str] = []
        for line in page.splitlines():
            cells = [c.strip() for c in line.strip().strip("|").split("|")]
            if not line.startswith("|"):
                head = []
            elif not head:
                head = cells
            elif head[-1] == "Not used" and len(cells) == len(head):
                bans += [(w, cells[1]) for w in re.findall(r"`([^`]+)`", cells[-1])]
            elif head[-1] == "Allowed in" and len(cells) == len(head):
                for word in re.findall(r"`([^`]+)`", cells[0]):
                    allowed[word] = tuple(re.findall(r"`([^`]+)`", cells[-1]))
        missing = set(allowed) - {word for word, _ in bans}
        assert not missing, f"allowed, but not banned: {sorted(missing)}"
        return cls([_ban(word, term, allowed.get(word, ())) for word, term in bans])

    def in_text(self, path: str, text: str) -> Iterator[Hit]:
        """Yield the banned words of a text: of prose, or of a whole source file."""
        text = text.replace("\\n", "  ")
        plain = text.translate(LOWER)
        present = {word.lower() for word in WORD.findall(text)}
        for words, pattern, ban in self.words:
            # Looking for a word that is nowhere in the file would take most of the time.
            if not all(word in present for word in words if word[-1] != "*"):
                continue
            for found in pattern.finditer(plain):
                start, end = found.span()
                if not _is_whole(text, start, end):
                    continue
                if not ban.allows(path, text[max(0, start - 12) : end + 12]):
                    line = text.count("\n", 0, start) + 1
                    yield Hit(path, line, " ".join(text[start:end].split()), ban.term)

    def in_names(self, path: str, names: Iterable[tuple[str, int]]) -> Iterator[Hit]:
        """Yield the identifiers that are banned as a whole."""
        for name, line in names:
            ban = self._named("identifier", name)
            if ban and not ban.allows(path, name) and not any(self.in_text(path, name)):
                yield Hit(path, line, name, ban.term)

    def in_path(self, path: str) -> Iterator[Hit]:
        """Yield the banned words of a file's name and of its folders' names."""
        *folders, name = path.split("/")
        stem = name.split(".")[0]
        name = stem if stem != "__init__" else "".join(folders[-1:])
        words = list(self.in_text(path, name))
        ban = self._named("module", name)
        if ban and not words and not ban.allows(path, name):
            words = [Hit(path, 1, name, ban.term)]
        yield from words

    def in_python(self, path: str, source: str) -> Iterator[Hit]:
        """Yield the hits of a module: in its names, docstrings, comments and messages."""
        yield from self.in_text(path, source)
        yield from self.in_names(path, _definitions(ast.parse(source)))

    def in_tests(self, path: str, source: str) -> Iterator[Hit]:
        """Yield the hits in the names of test functions."""
        for found in TEST_NAME.finditer(source):
            line = source.count("\n", 0, found.start(1)) + 1
            yield from (Hit(path, line, h.word, h.term) for h in self.in_text(path, found.group(1)))

    def _named(self, kind: str, name: str) -> Ban | None:
        if (kind, name) not in self.cache:
            bare = name.strip("_")
            plain = CAMEL.sub("_", bare).lower()
            # A pattern with a capital means a class: "Part" is banned, a variable `part` is not.
            self.cache[kind, name] = next(
                (
                    ban
                    for pattern, ban in self.names[kind]
                    if pattern.match(plain if ban.pattern.islower() else bare)
                ),
                None,
            )
        return self.cache[kind, name]


def _ban(word: str, term: str, allowed: tuple[str, ...]) -> Ban:
    kind, _, pattern = word.rpartition(":")
    return Ban(kind or "word", pattern, term, allowed)


def _regex(pattern: str) -> str:
    """Return the regular expression of a word, a phrase or, with a trailing `*`, a prefix."""
    words = GAP.join(re.escape(w) for w in pattern.rstrip("*").split())
    return words + ("[a-z]*" if pattern.endswith("*") else "")


def _is_whole(text: str, start: int, end: int) -> bool:
    """Return whether a match is a whole word, or a whole part of `snake_case` or `CamelCase`."""
    before, first = text[start - 1 : start], text[start]
    last, after = text[end - 1], text[end : end + 1]
    begins = not before.isalpha() or (before.islower() and first.isupper())
    return begins and (not after.isalpha() or (last.islower() and after.isupper()))


def _definitions(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Yield functions, classes, parameters, attributes and module constants with their lines."""
    for node in tree.body:
        yield from _targets(node)
    todo: list[ast.AST] = list(tree.body)
    while todo:
        node = todo.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name, node.lineno
            if isinstance(node, ast.ClassDef):
                for statement in node.body:
                    yield from _targets(statement)
            else:
                given = node.args
                for arg in (*given.posonlyargs, *given.args, *given.kwonlyargs):
                    yield arg.arg, arg.lineno
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Attribute):
                    yield target.attr, target.lineno
        if isinstance(node, ast.stmt | ast.ExceptHandler | ast.match_case):
            for name in ("body", "orelse", "finalbody", "handlers", "cases"):
                todo.extend(getattr(node, name, ()))


def _targets(node: ast.stmt) -> Iterator[tuple[str, int]]:
    targets = node.targets if isinstance(node, ast.Assign) else []
    if isinstance(node, ast.AnnAssign):
        targets = [node.target]
    for target in targets:
        if isinstance(target, ast.Name):
            yield target.id, target.lineno


def _files(places: Iterable[str], suffixes: set[str]) -> Iterator[Path]:
    for place in places:
        path = ROOT / place
        files = [path] if path.is_file() else sorted(path.rglob("*"))
        yield from (f for f in files if f.suffix in suffixes and f.is_file() and f != PAGE)


def all_hits(checker: Checker) -> list[Hit]:
    """Return every hit in the repository."""
    hits: list[Hit] = []
    for folders, look in ((CODE, checker.in_python), (("tests",), checker.in_tests)):
        for file in _files(folders, {".py"}):
            path = file.relative_to(ROOT).as_posix()
            hits += checker.in_path(path)
            hits += look(path, file.read_text(encoding="utf-8"))
    for file in _files(PROSE, PROSE_SUFFIXES):
        path = file.relative_to(ROOT).as_posix()
        hits += checker.in_path(path)
        hits += checker.in_text(path, file.read_text(encoding="utf-8"))
    return hits


@pytest.fixture(scope="module")
def checker() -> Checker:
    """Return the checker of the repository's glossary."""
    return Checker.read(PAGE.read_text(encoding="utf-8"))


def test_only_terms_of_the_glossary_are_used(checker: Checker) -> None:
    wrong = [str(hit) for hit in all_hits(checker)]
    assert not wrong, "\n".join(["Terms of docs/glossary.md:", *wrong])


def test_terms_of_the_page_are_not_banned_by_it(checker: Checker) -> None:
    terms = {b.term for b in checker.bans}
    assert not [str(h) for term in terms for h in checker.in_text("page", term)]


SOURCE = '''
class {class_}:
    """{doc}"""
    {field}: int = 1

def {function}({parameter}):
    # {comment}
    raise ValueError("{message}")
'''
CLEAN = {
    "class_": "Rows", "doc": "Rows.", "field": "n_rows", "function": "count_rows",
    "parameter": "rows", "comment": "Rows.", "message": "no rows",
}  # fmt: skip


def test_planted_words_are_found(checker: Checker) -> None:
    for planted, line, word in [
        ({"class_": "ToldRows"}, 2, "Told"),
        ({"class_": "Parts"}, 2, "Parts"),
        ({"doc": "Rows that the\n    frame fills."}, 3, "frame"),
        ({"field": "rows_told"}, 4, "told"),
        ({"field": "held"}, 4, "held"),
        ({"function": "crowd_map"}, 6, "crowd"),
        ({"function": "of"}, 6, "of"),
        ({"parameter": "told"}, 6, "told"),
        ({"comment": "Mended rows"}, 7, "Mended"),
        ({"message": "no row is told"}, 8, "told"),
        ({"message": "\\ntold"}, 8, "told"),
    ]:
        assert not list(checker.in_python("a.py", SOURCE.format(**CLEAN)))
        hits = list(checker.in_python("a.py", SOURCE.format(**{**CLEAN, **planted})))
        assert [h.line for h in hits] == [line]
        assert word in hits[0].word
        assert hits[0].term
        assert f"a.py:{line}: " in str(hits[0])


def test_planted_words_are_found_in_markdown_paths_and_test_names(checker: Checker) -> None:
    assert [h.line for h in checker.in_text("a.md", "# Title\n\nWhat is told.\n")] == [3]
    assert list(checker.in_path("twinset/telltale.py"))
    assert list(checker.in_path("twinset/making.py"))
    assert list(checker.in_path("docs/0009-held-by-the-frame.md"))
    assert list(checker.in_tests("tests/test_a.py", "\ndef test_all_is_told() -> None: ..."))
    assert not list(checker.in_tests("tests/test_a.py", "\ndef test_a() -> None:\n    told = 1"))


@pytest.mark.parametrize(
    "text",
    ["iscrowd = 0", "held out rows", "a pandas frame", "crowdfunding_x = 'stolid'", "# amended"],
)
def test_legitimate_words_pass(checker: Checker, text: str) -> None:
    hits = [h.word for h in checker.in_python("a.py", f"{text if '=' in text else '# ' + text}\n")]
    assert hits in ([], ["crowdfunding"])


def main(places: list[str]) -> None:
    """Print the hits below some paths."""
    for hit in all_hits(Checker.read(PAGE.read_text(encoding="utf-8"))):
        if not places or any(hit.path.startswith(place) for place in places):
            print(hit)


if __name__ == "__main__":
    main(sys.argv[1:])

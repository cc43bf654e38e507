"""Help as plain paragraphs: wrapped to the terminal, entries hanging below their names."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from cyclopts.help.formatters import PlainFormatter

if TYPE_CHECKING:
    from rich.console import Console

_WIDEST = 100  # characters of a line: longer ones are hard to read, however wide the terminal


class PlainHelp(PlainFormatter):
    """The argument parser's plain help, with its lines broken between words."""

    def _print_plain(self, console: Console, text: str) -> None:
        for number, paragraph in enumerate(text.split("\n\n")):
            indent = " " * (len(paragraph) - len(paragraph.lstrip()))
            wrapped = textwrap.fill(
                " ".join(paragraph.split()),
                min(console.width, _WIDEST),
                initial_indent=indent,
                # An entry's later lines stand further in than its name.
                subsequent_indent=indent * 3,
            )
            between = "\n" if number else ""
            console.print(between + wrapped, highlight=False, markup=False, soft_wrap=True)

"""The command line: commands in lazily imported modules, and the only place that prints.

Exit codes: 0 done; 2 the user's mistake, with one sentence; 3 a gate failed, or a catalogue has faults;
130 interrupted; 129 and 143 ended by SIGHUP and SIGTERM.
Anything else keeps its traceback, because it is our bug.
"""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cyclopts import App

EXIT_OK, EXIT_MISTAKE, EXIT_GATE, EXIT_INTERRUPTED = 0, 2, 3, 130

COMMANDS = {
    "run": "Carry out a recipe: make, measure, register and deliver a set.",
    "plan": "Show which scenes the plans of a recipe ask for, and what they cover; nothing is made.",
    "shards": "Make a recipe's images straight into WebDataset shards, as many as the disk holds.",
    "tiles": "Cut large images into tiles with their labels, or join tiles.",
    "twin": "Make a synthetic twin of one file, and say how good it is.",
    "init": "Look at a file and write a recipe for it, which runs as it is.",
    "fetch": "Download a named public data set into your cache.",
    "list": "List generators, augmenters and metrics.",
    "show": "Show the settings of a component: types, ranges, defaults.",
    "register": "Put a file into the catalogue, and print its reference.",
    "sets": "List the sets in the catalogue.",
    "lineage": "Show what a set was made from, back to the real data.",
    "doctor": "Check the catalogue, and repair it on request.",
    "evaluate": "Measure a synthetic file against a real one.",
    "gaps": "Say which slices a synthetic file lacks, and write a recipe that makes them.",
    "leaks": "Say what a test file shares with the file that a model is trained on.",
    "advise": "Say whether the rare class of a file should be balanced, how, and what that is worth.",
    "compare": "Measure several synthetic files against the same real one, side by side.",
    "deliver": "Write a registered set to a folder: data, schema, card, checksums.",
    "paraphrase": "Ask a language model for other wordings of templates, and write them into a new file.",
    "schema": "Print the JSON Schema of recipes, or of a grammar of texts, for editors.",
}

# Module -> the commands it holds, where they have another name than the module.
_HOMES = {
    "measure": ("evaluate", "compare", "twin"),
    "recipes": ("run", "plan", "shards"),
    "drafts": ("init", "gaps", "advise"),
    "catalog": ("register", "sets", "lineage", "fetch", "list", "show", "schema"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

_SYSTEM = "check the path, its rights and links, and the free space"

# Commands that need no words; without any they start without the argument parser, in half the time.
BARE = frozenset({"list", "sets", "schema"})


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; `argv` is by default that of the process."""
    requests = _end_in_order() if argv is None else []
    words = [str(word) for word in (sys.argv[1:] if argv is None else argv)]
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the caller
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 (for the whole process)
    try:
        return _guarded(words)
    finally:
        if requests:  # whatever a library that was interrupted made of it
            raise SystemExit(requests[0])


def _answer(words: Sequence[str]) -> int:
    """Run the command; the overview and the version need no argument parser."""
    if not words or words[0] in ("--help", "-h", "help"):
        print(_overview())
        return EXIT_OK
    if words[0] in ("--version", "-V"):
        from twinset.core.version import __version__

        print(f"twinset {__version__}")
        return EXIT_OK
    if words[0] not in COMMANDS:
        from twinset.core.errors import UnknownNameError

        raise UnknownNameError.for_name("command", words[0], COMMANDS)
    return _parsed(words) if words[1:] or words[0] not in BARE else _bare(words[0])


def _end_in_order() -> list[int]:
    """Let a request to end (kill, a closed terminal) remove drafts like an interruption does.

    Returns the list that the exit codes of such requests are put into.
    """
    requests: list[int] = []

    def end(number: int, _: object) -> None:
        requests.append(128 + number)  # as shells report a process that a signal ended
        # Where an object is being removed, Python prints a traceback of the request and goes on.
        sys.unraisablehook = lambda _: None
        raise SystemExit(requests[0])

    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, end)
    return requests


def _guarded(words: Sequence[str]) -> int:
    """Run the command and turn mistakes and interruptions into exit codes."""
    from twinset.cli.terminal import plain_warnings
    from twinset.core.errors import DataError, TwinsetError

    for stream in (sys.stdout, sys.stderr):
        # A terminal that lacks a sign shows a question mark instead of a traceback.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        with plain_warnings():
            code = _answer(words)
        sys.stdout.flush()
        return code
    except TwinsetError as error:
        return _mistake(str(error))
    except KeyboardInterrupt:
        print("twinset: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of a pipe (head, less) has seen enough.
        _discard_output()
        return EXIT_OK
    except OSError as error:
        # Rights, links, limits and full disks that no check foresaw; our own mistakes have no number.
        if error.errno is None:
            raise
        if error.filename is None:
            _discard_output()
        place = f"'{error.filename}' cannot be used" if error.filename else "the system refused"
        refusal = DataError(place, got=error.strerror or type(error).__name__, todo=_SYSTEM)
        return _mistake(str(refusal))


def _discard_output() -> None:
    """Let what is left to flush go nowhere."""
    with suppress(OSError):  # a stream without a number holds nothing
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _bare(name: str) -> int:
    """Run a command that was given no words; there is nothing to parse."""
    module, function = _place(name)
    code = getattr(import_module(module), function)()
    return EXIT_OK if code is None else int(code)


def _place(name: str) -> tuple[str, str]:
    """Return the module and the function of a command; `list` is a word of Python itself."""
    return f"twinset.cli.{_HOME_OF.get(name, name)}", "list_components" if name == "list" else name


def _parsed(words: Sequence[str]) -> int:
    from cyclopts import CycloptsError

    try:
        code = _app()(words, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        error.verbose = False
        return _mistake(f"{' '.join(str(error).split())} See: twinset {words[0]} --help")
    return EXIT_OK if code is None else int(code)


def _app() -> App:
    from cyclopts import App, Parameter

    from twinset.cli.help import PlainHelp
    from twinset.core.version import __version__

    app = App(
        name="twinset",
        version=__version__,
        help_format="plaintext",
        help_formatter=PlainHelp(),
        default_parameter=Parameter(negative=(), validator=_check_paths),
        suppress_keyboard_interrupt=False,
    )
    for name in COMMANDS:
        app.command(":".join(_place(name)), name=name)
    return app


def _check_paths(_: object, value: object) -> None:
    """Raise RecipeError for a path on the command line that no file can have."""
    from twinset.io.paths import check_path

    for one in value if isinstance(value, list | tuple) else (value,):
        if isinstance(one, Path):
            check_path(one)


def _overview() -> str:
    width = max(map(len, COMMANDS))
    lines = [
        "Usage: twinset COMMAND",
        "",
        "Training data with a twin: make it, register it beside the real set, measure it.",
        "",
        "Commands:",
        *(f"  {name:<{width}}  {text}" for name, text in COMMANDS.items()),
        "",
        "twinset COMMAND --help tells what a command takes; twinset --version which twinset this is.",
    ]
    return "\n".join(lines)


def _mistake(sentence: str) -> int:
    from twinset.cli.terminal import print_error

    with suppress(OSError):  # there is nowhere left to say it
        print_error(f"twinset: {sentence}")
    return EXIT_MISTAKE

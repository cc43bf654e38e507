"""A recipe's rows straight into WebDataset shards: memory holds a chunk, and a killed run goes on."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from pathlib import Path

from threadpoolctl import threadpool_limits

from twinset.catalog import Catalog
from twinset.core.contracts import Progress, silent
from twinset.core.data.dataset import Card, Dataset
from twinset.core.errors import DataError, ParameterError, RecipeError, TwinsetError
from twinset.generation.room import CHECKED, Room
from twinset.generation.run_step import open_part
from twinset.generation.step import GenerationStep, OpenStep, joint_card
from twinset.io.drafts import sole_draft
from twinset.io.files import cannot_write, sha256_of, write_text
from twinset.io.vision.shards import ROWS_A_SHARD, ShardFolder
from twinset.recipe import AugmentStep, Recipe
from twinset.workflows.run import (
    address,
    candidate_address,
    load_train,
    read_recipe,
    register_parts,
    step_addresses,
)

_CHECKSUMS = "CHECKSUMS.sha256"
_POLL = 0.5  # seconds between looks at what the other processes have finished


@dataclass(frozen=True)
class ShardSummary:
    """What `make_shards` ended with."""

    folder: Path  # Where the shards are
    # n_rows, n_shards: how many samples and shards they are
    n_rows: int
    n_shards: int
    n_kept: int  # Shards that an earlier run had finished


def make_shards(
    recipe: Recipe | Path | str,
    to: Path | str,
    *,
    root: Path | str = Path(".twinset"),
    overrides: Sequence[str] = (),
    rows_a_shard: int = ROWS_A_SHARD,
    workers: int = 1,
    progress: Progress = silent,
) -> ShardSummary:
    """Make what a recipe asks for and write it straight to WebDataset shards; nothing is measured.

    The samples are those that `run` delivers as `webdataset`, in the same order, and with 1,000 samples a
    shard the files are the same. A run that was interrupted, or killed, goes on with the shards that
    are missing, and ends with the same bytes.

    `recipe`: what to make: its generate and augment steps; evaluate, report and deliver are not
    looked at. `to`: folder of the shards: new, empty, or begun by an earlier run. `root`: folder of
    the catalogue; used where the recipe has a source. `overrides`: changes to the recipe, each
    ``"a.b=value"``; only with a path. `rows_a_shard`: samples in a shard. `workers`: processes,
    each making whole shards; a script that asks for more than one needs the usual ``if __name__ ==
    "__main__":``.
    """
    if workers < 1:
        raise ParameterError(
            "the number of workers is out of range", got=str(workers), allowed="1 or more"
        )
    recipe = read_recipe(recipe, overrides)
    # What an earlier run made already lies on the disk: the rest was checked then.
    room = Room(None if Path(to).exists() else Path(to), in_memory=False)
    with threadpool_limits(limits=1), _sole_writer(Path(to)):
        maker = _Maker.open(recipe, Path(root), progress, room)
        folder = ShardFolder(Path(to), maker.key(rows_a_shard), maker.n_rows, rows_a_shard)
        folder.open()
        missing = folder.missing()
        if workers == 1 or len(missing) == 1:
            _make_here(maker, folder, missing, progress)
        else:
            _make_beside(recipe, Path(root), folder, missing, workers, progress)
        _finish(folder, maker.card())
    return ShardSummary(folder.path, folder.n_rows, folder.n_shards, folder.n_shards - len(missing))


@contextmanager
def _sole_writer(to: Path) -> Iterator[None]:
    """Let one run at a time make the shards of a folder."""
    with ExitStack() as stack:
        try:
            stack.enter_context(sole_draft(Path(os.path.realpath(to))))
        except OSError as error:
            raise cannot_write(to, error) from error
        yield


@dataclass(frozen=True)
class _Maker:
    """The generation steps of a recipe, opened, as one sequence of rows."""

    parts: tuple[OpenStep, ...]
    name: str
    address: str

    @classmethod
    def open(cls, recipe: Recipe, root: Path, progress: Progress, room: Room = CHECKED) -> _Maker:
        """Bring the real set in, where there is one, and fit every step."""
        catalog = Catalog(root) if recipe.source is not None or root.exists() else None
        addresses = step_addresses(recipe, catalog)
        parent, train, known = None, None, None
        if catalog is not None and (real := register_parts(recipe, catalog, addresses, progress)):
            parent, (train, known) = real.train, load_train(recipe, catalog, real)
        parts: list[OpenStep] = []
        for name, step in recipe.named_steps():
            if isinstance(step, AugmentStep) and step.of is not None:
                raise RecipeError(
                    f"the step '{name}' varies the rows of the step '{step.of}', which no shard has",
                    todo="make them with: twinset run",
                )
            first = sum(part.n_rows for part in parts)
            part = GenerationStep(
                name, addresses[name], step, recipe, parent, train, known, first, room=room
            )
            opened = open_part(part, 1, silent)
            if not opened.is_seekable:
                raise RecipeError(
                    f"the rows of the step '{name}' depend on each other, through rules, aggregates or "
                    "what they cover",
                    todo="make them with: twinset run",
                )
            parts.append(opened)
        if not sum(part.n_rows for part in parts):
            raise RecipeError("the recipe makes nothing", todo="add a step under 'generate'")
        steps = [addresses[name] for name, _ in recipe.named_steps()]
        return cls(tuple(parts), recipe.name, candidate_address(recipe, steps))

    @property
    def n_rows(self) -> int:
        return sum(part.n_rows for part in self.parts)

    def key(self, rows_a_shard: int) -> str:
        return address("shards", self.address, rows_a_shard)

    def rows(self, first: int, n: int) -> Iterator[Dataset]:
        """Yield `n` rows from position `first` on, in chunks."""
        for part in self.parts:
            if first < part.n_rows and n > 0:
                for chunk in part.chunks(first):
                    kept = chunk.slice(0, n)
                    n -= len(kept)
                    yield kept
                    if n == 0:
                        break
            first = max(0, first - part.n_rows)

    def card(self) -> Card:
        joint = joint_card([part.card() for part in self.parts])
        return replace(joint, name=self.name, recipe_digest=self.address)


def _make_here(
    maker: _Maker, folder: ShardFolder, numbers: Sequence[int], progress: Progress, parent: int = 0
) -> None:
    done = folder.n_rows - sum(folder.rows_of(k)[1] for k in numbers)

    def predictions(rows: Iterator[Dataset]) -> Iterator[Dataset]:
        nonlocal done
        for chunk in rows:
            yield chunk
            done += len(chunk)
            progress("shards", done, folder.n_rows)

    for number in numbers:
        if parent and os.getppid() != parent:
            return  # who asked for it is gone, and another run may be at it
        folder.write_shard(number, predictions(maker.rows(*folder.rows_of(number))))


def _make_beside(
    recipe: Recipe,
    root: Path,
    folder: ShardFolder,
    missing: Sequence[int],
    workers: int,
    progress: Progress,
) -> None:
    """Let other processes make the shards, every one each of which is a share of them."""
    context = get_context("spawn")
    started, ears = [], []
    try:
        for k in range(min(workers, len(missing))):
            ear, mouth = context.Pipe(duplex=False)
            share = list(missing[k::workers])
            process = context.Process(
                target=_worker, args=(recipe, root, folder, share, mouth, os.getpid())
            )
            process.start()
            mouth.close()
            started.append(process)
            ears.append(ear)
        while any(process.is_alive() for process in started):
            wait([process.sentinel for process in started if process.is_alive()], _POLL)
            done = min(folder.n_entries() * folder.rows_a_shard, folder.n_rows)
            progress("shards", done, folder.n_rows)
            if any(process.exitcode for process in started):
                break
        for process, ear in zip(started, ears):
            if process.exitcode:
                raise DataError(_heard(ear) or "a process that made shards has ended early")
    finally:
        for process in started:
            process.terminate()
            process.join()


def _heard(ear: Connection) -> str:
    try:
        return ear.recv_bytes().decode()
    except EOFError:
        return ""


def _worker(
    recipe: Recipe,
    root: Path,
    folder: ShardFolder,
    share: list[int],
    mouth: Connection,
    parent: int,
) -> None:
    """Make a share of the shards; an error of the user is returned as its message."""
    try:
        with threadpool_limits(limits=1):
            _make_here(_Maker.open(recipe, root, silent), folder, share, silent, parent)
    except TwinsetError as error:
        mouth.send_bytes(str(error).encode())
        raise SystemExit(1) from error


def _finish(folder: ShardFolder, card: Card) -> None:
    schema, digests = folder.finish()
    described = {"schema.json": schema.to_json(), "cards.json": card.to_json()}
    for name, value in described.items():
        text = json.dumps({"synthetic": value}, indent=2, ensure_ascii=False) + "\n"
        write_text(folder.path / name, text)
        digests[name] = sha256_of(folder.path / name)
    lines = [f"{digest}  {name}\n" for name, digest in sorted(digests.items())]
    write_text(folder.path / _CHECKSUMS, "".join(lines))

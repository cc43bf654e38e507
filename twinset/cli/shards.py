"""`twinset shards`: a recipe's images straight into WebDataset shards."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from twinset.cli.progress import progress_bar
from twinset.cli.terminal import print_json


def command(
    recipe: Path,
    to: Path,
    /,
    *,
    set_: Annotated[list[str] | None, Parameter(name="--set")] = None,
    rows_a_shard: int = 1000,
    workers: int = 1,
    root: Path = Path(".twinset"),
    json: bool = False,
) -> None:
    """Make a recipe's images straight into WebDataset shards, as many as the disk holds.

    For sets too large to measure and register: memory holds a few images. A run that was interrupted
    or killed goes on where it stopped, and ends with the same bytes.

    Parameters
    ----------
    recipe : Path
        The recipe: a YAML file, or the bare name of a shipped one.
    to : Path
        Folder of the shards: new, empty, or begun by an earlier run.
    set_ : list[str]
        Change the recipe, e.g. --set generate.0.rows=100000; may be repeated.
    rows_a_shard : int
        Images in a shard.
    workers : int
        Processes; the result does not depend on them.
    root : Path
        Folder of the catalogue; used where the recipe has a source.
    json : bool
        Print the result as JSON.
    """
    from twinset.workflows.shards import make_shards

    with progress_bar() as progress:
        made = make_shards(
            recipe,
            to,
            root=root,
            overrides=tuple(set_ or ()),
            rows_a_shard=rows_a_shard,
            workers=workers,
            progress=progress,
        )
    if json:
        print_json(
            {
                "folder": made.folder,
                "rows": made.n_rows,
                "shards": made.n_shards,
                "kept": made.n_kept,
            }
        )
        return
    print(made.folder)
    kept = f", {made.n_kept:,} of them kept from an earlier run" if made.n_kept else ""
    noun = "shard" if made.n_shards == 1 else "shards"
    print(f"{made.n_rows:,} images in {made.n_shards:,} {noun}{kept}.")

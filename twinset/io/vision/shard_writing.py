"""Write WebDataset shards: equal rows give equal bytes, and memory holds one sample."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable
from pathlib import Path

from twinset.core.data.schema import Label
from twinset.io.vision.shards import DESCRIPTION, IDS
from twinset.io.vision.writer import ImageRow, LayoutWriter

ROWS_A_SHARD = 1_000


class ShardWriter(LayoutWriter):
    """`shard-000000.tar`, ... of 1,000 samples each, and `dataset.json` with the classes.

    A sample is an image, its id map as `KEY.ids.png`, and `KEY.json` with its objects and plain columns.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._tar: tarfile.TarFile | None = None

    def put(self, picture: ImageRow) -> None:
        """Write one sample; the shard is changed after every thousandth."""
        shard, place = divmod(picture.number, ROWS_A_SHARD)
        if place == 0:
            self._finish()
            self._tar = open_shard(self.folder / shard_name(shard))
        assert self._tar is not None
        add_sample(self._tar, picture)
        for item in picture.objects:
            self.classes.label(item["category"])

    def close(self) -> None:
        """Finish the last shard and say what the classes are."""
        self._finish()
        self.save(DESCRIPTION, description(self.classes.labels))

    def _finish(self) -> None:
        if self._tar is not None:
            self._tar.close()
            self._tar = None


class OneShard(LayoutWriter):
    """One shard of a set that is made bit by bit; its first sample has the number `first`."""

    def __init__(self, file: Path, first: int) -> None:
        super().__init__(file.parent)
        self.n_written = first
        self._tar = open_shard(file)

    def put(self, picture: ImageRow) -> None:
        """Write one sample."""
        add_sample(self._tar, picture)
        for item in picture.objects:
            self.classes.label(item["category"])

    def close(self) -> None:
        """Finish the file."""
        self._tar.close()


def shard_name(number: int) -> str:
    """Return the name of a shard's file.

    Examples
    --------
    >>> shard_name(3)
    'shard-000003.tar'
    """
    return f"shard-{number:06d}.tar"


def open_shard(file: Path) -> tarfile.TarFile:
    """Return a new archive, open for samples."""
    return tarfile.open(file, "w:", format=tarfile.USTAR_FORMAT)


def add_sample(tar: tarfile.TarFile, picture: ImageRow) -> None:
    """Append an image, its id map where there is one, and its JSON."""
    _add(tar, f"{picture.stem}{picture.ending}", picture.data)
    if picture.map_data is not None:
        ending = "png" if picture.map_data.startswith(b"\x89PNG") else "tif"
        _add(tar, f"{picture.stem}.{IDS}.{ending}", picture.map_data)
    told = {**picture.extras, "objects": picture.objects}
    text = json.dumps(told, ensure_ascii=False, default=str)
    _add(tar, f"{picture.stem}.json", text.encode())


def description(labels: Iterable[Label]) -> bytes:
    """Return `dataset.json`, which says what the classes are."""
    content = {"labels": [label.to_json() for label in labels]}
    return (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)  # time, owner and group stay 0: equal rows, equal bytes
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))

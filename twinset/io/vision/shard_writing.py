"""Write WebDataset shards: equal rows give equal bytes, and memory holds one sample."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

from twinset.io.vision.shards import DESCRIPTION, IDS
from twinset.io.vision.writing import LayoutWriter, Picture

ROWS_A_SHARD = 1_000


class ShardWriter(LayoutWriter):
    """`shard-000000.tar`, ... of 1,000 samples each, and `dataset.json` with the classes.

    A sample is an image, its id map as `KEY.ids.png`, and `KEY.json` with its objects and plain columns.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._tar: tarfile.TarFile | None = None

    def put(self, picture: Picture) -> None:
        """Write one sample; the shard is changed after every thousandth."""
        shard, place = divmod(picture.number, ROWS_A_SHARD)
        if place == 0:
            self._finish()
            self._tar = tarfile.open(  # noqa: SIM115  (closed by _finish)
                self.folder / f"shard-{shard:06d}.tar", "w:", format=tarfile.USTAR_FORMAT
            )
        self._add(f"{picture.stem}{picture.ending}", picture.data)
        if picture.map_data is not None:
            ending = "png" if picture.map_data.startswith(b"\x89PNG") else "tif"
            self._add(f"{picture.stem}.{IDS}.{ending}", picture.map_data)
        told = {**picture.extras, "objects": picture.objects}
        for item in picture.objects:
            self.classes.label(item["category"])
        text = json.dumps(told, ensure_ascii=False, default=str)
        self._add(f"{picture.stem}.json", text.encode())

    def close(self) -> None:
        """Finish the last shard and say what the classes are."""
        self._finish()
        content = {"labels": [label.to_json() for label in self.classes.labels]}
        self.save(DESCRIPTION, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())

    def _add(self, name: str, data: bytes) -> None:
        member = tarfile.TarInfo(name)  # time, owner and group stay 0: equal rows, equal bytes
        member.size = len(data)
        assert self._tar is not None
        self._tar.addfile(member, io.BytesIO(data))

    def _finish(self) -> None:
        if self._tar is not None:
            self._tar.close()
            self._tar = None

"""Members of shards that would fill memory, or are no plain files, are refused by name."""

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest

from twinset.core.errors import DataError
from twinset.core.image.codec import encode_lossless
from twinset.io import read_dataset

pytest.importorskip("cv2")
PNG = encode_lossless(np.zeros((30, 40, 3), np.uint8))


def shard(folder: Path, *members: tuple[str, dict[str, object]]) -> Path:
    """Write a whole sample, then members with these names and attributes."""
    with tarfile.open(folder / "a.tar", "w:") as tar:
        for name, settings in (("a.png", {}), *members):
            member = tarfile.TarInfo(name)
            member.size = len(PNG)
            for key, value in settings.items():
                setattr(member, key, value)
            tar.addfile(member, io.BytesIO(PNG) if member.isreg() else None)
    return folder


MEMBERS = [
    ("../b.png", {}, r"a\.tar, '\.\./b\.png': its name leads out"),
    ("/etc/b.png", {}, "leads out"),
    ("x/../../b.png", {}, "leads out"),
    ("b.png", {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd", "size": 0}, "got a link"),
    ("b.png", {"type": tarfile.LNKTYPE, "linkname": "a.png", "size": 0}, "got a link"),
    ("b.png", {"type": tarfile.CHRTYPE, "size": 0}, "a device"),
    ("b.png", {"type": tarfile.FIFOTYPE, "size": 0}, "a device"),
]


@pytest.mark.parametrize(("name", "settings", "sentence"), MEMBERS)
def test_a_member_that_is_no_plain_file_is_refused(tmp_path, name, settings, sentence) -> None:
    shard(tmp_path, (name, settings), ("c.png", {}))
    with pytest.raises(DataError, match=sentence):
        read_dataset(tmp_path)
    assert len(read_dataset(tmp_path, on_fault="skip")) == 2


def test_a_member_larger_than_an_image_is_refused_unread(tmp_path) -> None:
    shard(tmp_path)
    large = tarfile.TarInfo("b.png")
    large.size = 1 << 33
    head = large.tobuf(tarfile.GNU_FORMAT)
    file = tmp_path / "a.tar"
    sample = file.read_bytes()[: 512 + -(-len(PNG) // 512) * 512]
    with file.open("wb") as stream:
        stream.write(sample + head)
        stream.truncate(len(sample) + 512 + large.size + 1024)  # holes: no space on the disk
    with pytest.raises(DataError, match=r"'b\.png': it is too large; got 8,589,934,592 bytes"):
        read_dataset(tmp_path)


def test_a_member_with_holes_is_refused_unread(tmp_path) -> None:
    shard(tmp_path)
    large = tarfile.TarInfo("b.png")
    large.type, large.size = tarfile.GNUTYPE_SPARSE, 0
    head = bytearray(large.tobuf(tarfile.GNU_FORMAT))
    head[483:495] = b"77777777777\0"  # its size once unpacked: 8 GB
    head[148:156] = b"%06o\0 " % (sum(head[:148] + b" " * 8 + head[156:]))
    file = tmp_path / "a.tar"
    sample = file.read_bytes()[: 512 + -(-len(PNG) // 512) * 512]
    file.write_bytes(sample + bytes(head) + bytes(1024))
    with pytest.raises(DataError, match="a file with holes"):
        read_dataset(tmp_path)


@pytest.mark.parametrize("keep", [512, 700, 1024 + 512, 2048])
def test_a_shard_that_breaks_off_is_refused_wherever_it_does(tmp_path, keep) -> None:
    shard(tmp_path, ("b.png", {}))
    whole = (tmp_path / "a.tar").read_bytes()
    (tmp_path / "a.tar").write_bytes(whole[:keep])
    with pytest.raises(DataError, match=r"the shard 'a\.tar' is damaged"):
        read_dataset(tmp_path)


def test_noise_between_members_ends_no_shard_without_a_word(tmp_path) -> None:
    shard(tmp_path, ("b.png", {}), ("c.png", {}))
    whole = bytearray((tmp_path / "a.tar").read_bytes())
    whole[1024:1536] = b"\xa5" * 512  # the head of the second sample
    (tmp_path / "a.tar").write_bytes(whole)
    with pytest.raises(DataError, match="is damaged"):
        read_dataset(tmp_path)


def test_a_sample_of_too_many_files_is_refused(tmp_path) -> None:
    shard(tmp_path, *((f"b.{k}", {}) for k in range(33)))
    with pytest.raises(DataError, match="up to 32 files"):
        read_dataset(tmp_path)

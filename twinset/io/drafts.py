"""Draft folders: hidden places beside a result where it is built, each owned by one process.

A draft folder holds a lock that the operating system releases when its owner ends, however it ends.
So what a killed process left differs from what is being written, and the next writer removes it.
"""

from __future__ import annotations

import errno
import hashlib
import os
import platform
import secrets
import shutil
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from twinset.core.errors import ConcurrentWriteWarning

PRIVATE_FOLDER, PRIVATE_FILE = 0o700, 0o600  # the owner alone may read, whatever the umask
LOCK = "twinset.lock"
_ENDING = ".twinset-draft"
_REPLACED = "replaced"  # folder of what a finished result replaces, until it is in place
_POLL = 0.1  # seconds between two looks at a held lock: no wait that a person notices
_LOCKED_BYTE = 1 << 30  # on Windows a locked byte cannot be read: far behind the owner's name
_MAX_NAME = 200  # bytes: with the ending of a draft a name stays below the usual limit of 255
_EXCHANGE = 2  # RENAME_EXCHANGE of the Linux call renameat2
_HERE = -100  # its AT_FDCWD: paths are relative to the working folder


@contextmanager
def new_draft(parent: Path) -> Iterator[Path]:
    """Yield a new private folder in `parent`, on the same file system; it is removed at the end.

    Draft folders of killed processes in `parent` are removed first.
    """
    parent.mkdir(parents=True, exist_ok=True)
    sweep_drafts(parent)
    handle = None
    while handle is None:  # a sweep may hold the lock of a folder that has just been made
        folder = parent / f".{secrets.token_hex(6)}{_ENDING}"
        handle = _acquire(folder)
    try:
        yield folder
    finally:
        _remove(folder, handle)


@contextmanager
def sole_draft(place: Path, subject: str = "") -> Iterator[Path]:
    """Yield the private folder beside `place` that one process at a time may have; wait for it.

    All paths that lead to the same place, through links too, share this folder. While another process
    has it, a `ConcurrentWriteWarning` names that process and the `subject`, by default the place.
    """
    parent = Path(os.path.realpath(place.parent))
    parent.mkdir(parents=True, exist_ok=True)
    sweep_drafts(parent)
    folder = parent / f".{_short(place.name)}{_ENDING}"
    handle = _acquire(folder)
    if handle is None:  # a sweep holds a lock no longer than this
        time.sleep(_POLL)
        handle = _acquire(folder)
    if handle is None:
        subject = subject or f"'{place.name}'"
        sentence = f"{_owner(folder)} is writing {subject}; this one waits until it has ended"
        warnings.warn(sentence, ConcurrentWriteWarning, stacklevel=4)
    while handle is None:
        time.sleep(_POLL)
        handle = _acquire(folder)
    try:
        _clear(folder)  # of an owner that was killed while this one waited
        yield folder
    finally:
        _remove(folder, handle)


def sweep_drafts(parent: Path) -> None:
    """Remove the draft folders in `parent` whose owner has ended; what they replaced is put back."""
    dead_drafts(parent, remove=True)


def dead_drafts(parent: Path, *, remove: bool = False) -> list[Path]:
    """Return the draft folders in `parent` whose owner has ended, removed where `remove`."""
    found = []
    for folder in _drafts(parent):
        # A folder without a lock is empty (its owner is about to lock it), or nobody's draft.
        with suppress(OSError):
            if not (folder / LOCK).exists():
                if remove:
                    folder.rmdir()
                continue
            handle = _acquire(folder, create=False)
            if handle is None:
                continue
            found.append(folder)
            if remove:
                _remove(folder, handle)
            else:
                os.close(handle)
    return found


def has_live_draft(parent: Path) -> bool:
    """Return whether a process owns a draft folder in `parent`."""
    dead = set(dead_drafts(parent))
    return any((folder / LOCK).exists() for folder in _drafts(parent) if folder not in dead)


def put_folder(draft: Path, place: Path) -> Path | None:
    """Move a folder out of its draft folder to `place`; return where what it replaced is now.

    On Linux the two are exchanged in one step. Elsewhere a kill between two renames leaves what was
    replaced in the draft folder, and the next writer puts it back.
    """
    if not place.is_dir() or place.is_symlink():
        os.replace(draft, place)
        return None
    if _exchange(draft, place):
        return draft
    replaced = draft.parent / _REPLACED / place.name
    replaced.parent.mkdir(exist_ok=True)
    os.replace(place, replaced)
    os.replace(draft, place)
    return replaced


def make_private(path: Path) -> None:
    """Let only the owner read a file, or a folder with all that is in it."""
    path.chmod(PRIVATE_FOLDER if path.is_dir() else PRIVATE_FILE)
    if path.is_dir():
        for entry in path.rglob("*"):
            entry.chmod(PRIVATE_FOLDER if entry.is_dir() else PRIVATE_FILE)


def private_folder(path: Path) -> None:
    """Create a folder that only its owner may enter; folders above it are made as usual."""
    if not path.is_dir():
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            path.mkdir(mode=PRIVATE_FOLDER)
            path.chmod(PRIVATE_FOLDER)


def _drafts(parent: Path) -> list[Path]:
    try:
        with os.scandir(parent) as entries:
            names = [
                e.name
                for e in entries
                if e.name.endswith(_ENDING) and e.is_dir(follow_symlinks=False)
            ]
    except OSError:
        return []
    return [parent / name for name in sorted(names)]


def _short(name: str) -> str:
    """Return a name that leaves room for the ending of a draft."""
    encoded = os.fsencode(name)
    if len(encoded) <= _MAX_NAME:
        return name
    return f"{hashlib.sha256(encoded).hexdigest()}-long"


def _acquire(folder: Path, *, create: bool = True) -> int | None:
    """Return the handle of the lock in `folder`, which is created; None if another process holds it."""
    while True:
        if create:
            with suppress(FileExistsError):
                folder.mkdir(mode=PRIVATE_FOLDER)
                with suppress(FileNotFoundError):  # a sweep found it without a lock
                    folder.chmod(PRIVATE_FOLDER)
        if folder.is_symlink():
            raise NotADirectoryError(errno.ENOTDIR, "its draft folder is a link", str(folder))
        try:
            # No link is followed: in a folder of several users, another could have put it there.
            flags = os.O_RDWR | (os.O_CREAT if create else 0) | getattr(os, "O_NOFOLLOW", 0)
            handle = os.open(folder / LOCK, flags, PRIVATE_FILE)
        except FileNotFoundError:
            if create and folder.parent.is_dir():
                continue  # its owner has just ended and removed the folder
            raise
        try:
            if not _lock(handle):
                os.close(handle)
                return None
            if _is_same(handle, folder / LOCK):
                if create:
                    _sign(handle)
                return handle
        except OSError:
            os.close(handle)
            raise
        os.close(handle)  # the lock of a folder that has been removed meanwhile
        if not create:
            return None


def _is_same(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _lock(handle: int) -> bool:
    """Take the lock of an open file; return False if another process has it."""
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(handle, _LOCKED_BYTE, os.SEEK_SET)
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _sign(handle: int) -> None:
    """Write who owns the draft folder into its lock."""
    os.lseek(handle, 0, os.SEEK_SET)
    os.ftruncate(handle, 0)
    os.write(handle, f"{os.getpid()} {platform.node()}".encode())


def _owner(folder: Path) -> str:
    """Return the name of the process that owns a draft folder, for a sentence."""
    try:
        number, _, host = (folder / LOCK).read_text(errors="replace").partition(" ")
    except OSError:
        number = ""
    if not number.isdecimal():
        return "another process"
    return f"process {number}" + (f" on '{host}'" if host != platform.node() else "")


def _clear(folder: Path) -> None:
    """Empty a draft folder except for its lock; put back what it replaced if that has no successor."""
    for replaced in (folder / _REPLACED).glob("*"):
        place = folder.parent / replaced.name
        if not place.exists():
            os.replace(replaced, place)
    for entry in os.scandir(folder):
        if entry.name == LOCK:
            continue
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path, ignore_errors=True)
        else:
            with suppress(OSError):
                os.unlink(entry.path)


def _remove(folder: Path, handle: int) -> None:
    """Remove an owned draft folder; its lock goes last, so that no step leaves it without one."""
    try:
        _clear(folder)
        if sys.platform == "win32":
            os.close(handle)  # an open file cannot be removed there
        with suppress(OSError):  # another process has begun to wait for it
            (folder / LOCK).unlink()
            folder.rmdir()
    finally:
        if sys.platform != "win32":
            os.close(handle)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two folders in one step where the system can; return whether it did."""
    if sys.platform != "linux":
        return False
    import ctypes

    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    paths = os.fsencode(one), os.fsencode(other)
    return rename is not None and rename(_HERE, paths[0], _HERE, paths[1], _EXCHANGE) == 0

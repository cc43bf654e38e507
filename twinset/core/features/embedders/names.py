"""`EmbedderName`: what a recipe or a command line calls an embedder, read and written."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

from twinset.core.errors import ParameterError, did_you_mean
from twinset.core.features.embedders.pretrained import Family
from twinset.core.features.embedders.text import SHIPPED, WORDS

OWN = ("classical", "net")
OF_TEXTS = (WORDS, *SHIPPED)
FORMS = (
    "classical, net, onnx:FILE, torchvision:MODEL:FILE, timm:MODEL:FILE; of texts: "
    + ", ".join(OF_TEXTS)
)


@dataclass(frozen=True)
class EmbedderName:
    """The name of an embedder in its parts."""

    # "classical", "net", one of `OF_TEXTS`, or the family of a net from outside: "onnx",
    # "torchvision", "timm"
    kind: str
    architecture: str = ""  # Model of torchvision or timm; else empty
    file: str = ""  # File of weights; empty for those of our own

    @classmethod
    def parse(cls, name: str) -> EmbedderName:
        """Return the parts of a name."""
        if name in (*OWN, *OF_TEXTS):
            return cls(name)
        kind, _, rest = name.partition(":")
        if kind not in get_args(Family) or not rest:
            raise ParameterError(
                f"'{name}' names no embedder",
                allowed=FORMS,
                todo=did_you_mean(name, (*OWN, *OF_TEXTS)),
            )
        architecture, _, file = rest.partition(":") if kind != "onnx" else ("", "", rest)
        if not file:
            raise ParameterError(f"'{name}' names no file of weights", allowed=f"{kind}:MODEL:FILE")
        return cls(kind, architecture, file)

    def __str__(self) -> str:
        """Return the name as it is written."""
        return ":".join(part for part in (self.kind, self.architecture, self.file) if part)

    def placed(self, folder: Path) -> EmbedderName:
        """Return the name with its file, where it is relative, below a folder."""
        return replace(self, file=str(folder / self.file)) if self.file else self

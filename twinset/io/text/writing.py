"""Write a set of labelled texts in the formats of other tools; what they cannot hold is counted."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from twinset.core.errors import FormatLossWarning, UnknownNameError
from twinset.io.files import replacing, replacing_folder
from twinset.io.formats import TEXT_FORMATS
from twinset.io.text.writer import TextWriter

_FOLDERS = frozenset({"tokens", "labelstudio"})


@contextmanager
def open_text(path: Path, format: str) -> Iterator[TextWriter]:  # noqa: A002
    """Open a file, or a folder, for chunks of one set of texts; it appears when the block ends well.

    What the format could not hold is told in a `FormatLossWarning` at the end.

    Raises
    ------
    UnknownNameError
        The format is not one of `TEXT_FORMATS`.
    DataError
        The place cannot be written.
    """
    if format not in TEXT_FORMATS:
        raise UnknownNameError.of("format", format, TEXT_FORMATS)
    with replacing_folder(path) if format in _FOLDERS else replacing(path) as draft:
        writer = _writer(format, draft)
        try:
            yield writer
            writer.finish()
        finally:
            writer.close()
    told = writer.losses.told()
    if told:
        warnings.warn(f"{path.name}: {told}", FormatLossWarning, stacklevel=3)


def _writer(format: str, draft: Path) -> TextWriter:  # noqa: A002
    from twinset.io.text.conll_writing import ConllWriter
    from twinset.io.text.docbin import DocBinWriter
    from twinset.io.text.hf_tokens import TokensWriter
    from twinset.io.text.label_studio import LabelStudioWriter
    from twinset.io.text.rasa_writing import RasaWriter

    kinds: dict[str, type[TextWriter]] = {
        "conll": ConllWriter,
        "bilou": ConllWriter,
        "conllu": ConllWriter,
        "tokens": TokensWriter,
        "spacy": DocBinWriter,
        "rasa": RasaWriter,
        "labelstudio": LabelStudioWriter,
    }
    return kinds[format](draft, format)

"""Write short texts from templates with slots: exact labels, exact entity spans."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from twinset.core.contracts import FittedGenerator, Generator, Progress, silent
from twinset.core.dataset import Card, Dataset
from twinset.core.errors import ParameterError, did_you_mean
from twinset.core.schema import Field, Label, Schema, Taxonomy
from twinset.core.seeding import rng_for
from twinset.core.where import Where

from .._conditions import outcomes_that_meet
from .._quotas import deal
from ._slots import check_slots, open_slots
from ._template import Template
from ._tickets import SLOTS, TEMPLATES

_NAME = "text.templates"


@dataclass(frozen=True, kw_only=True)
class Templates(Generator):
    """Write short texts from templates with slots: exact labels, exact entity spans.

    Needs no real data. Each row holds a `text`, its `spans` (start, end, label = name of the slot, value;
    half-open, in code points), its `label` and the `template` it was made from. Split by `template`: a
    model that saw a template in training knows its sentence by heart. In each chunk of 1,024 rows every
    label has its share to less than one row, and the templates of a label take turns.

    Parameters
    ----------
    templates : mapping of str to sequence of str, optional
        Label -> its templates, e.g. ``{refund: ["Please refund {amount}."]}``; ``{{`` and ``}}``
        write brackets. By default a small set of support tickets.
    slots : mapping, optional
        Slot -> its values: a list, ``{faker: provider, ...}`` (further keys are arguments of the
        provider; `locale` overrides the general one), or ``{date_range: [first, last], format: ...}``.
        By default the slots of the built-in set.
    locale : str
        Locale of the Faker slots, e.g. en_US. One that Faker lacks is an error, never another country.
    shares : mapping of str to float, optional
        Label -> its weight; all labels alike by default.

    Raises
    ------
    ParameterError
        A template is empty, has a bracket without partner or an unknown slot; a slot has no usable
        source; a share is not above 0.

    Examples
    --------
    >>> from twinset.core.seeding import rng_for
    >>> tickets = Templates(templates={"ask": ["Where is the {thing}?"]}, slots={"thing": ["tea"]})
    >>> row = tickets.fit(None, rng_for(1, "fit")).sample(1, rng_for(1, "draw")).records.to_pylist()[0]
    >>> row["text"], row["spans"]
    ('Where is the tea?', [{'start': 13, 'end': 16, 'label': 'thing', 'value': 'tea'}])
    """

    kinds: ClassVar[frozenset[str]] = frozenset({"text", "spans", "category"})
    chunk_rows: ClassVar[int] = 1_024
    needs_real: ClassVar[bool] = False
    extra: ClassVar[str | None] = "text"

    templates: Mapping[str, Sequence[str]] | None = None
    slots: Mapping[str, Sequence[str] | Mapping[str, object]] | None = None
    locale: str = "en_US"
    shares: Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        check_slots(self._slots)
        self._parsed()
        if self.shares is not None:
            self._check_shares(self.shares)

    def _check_shares(self, shares: Mapping[str, float]) -> None:
        labels = list(self._templates)
        for label in shares:
            if label not in labels:
                raise ParameterError(
                    f"'shares' names the unknown label '{label}'",
                    allowed=", ".join(labels),
                    todo=did_you_mean(label, labels),
                )
        for label in labels:
            if not 0 < shares.get(label, 0) < float("inf"):
                raise ParameterError(f"the share of '{label}' is not above 0")

    @property
    def _templates(self) -> Mapping[str, Sequence[str]]:
        return TEMPLATES if self.templates is None else self.templates

    @property
    def _slots(self) -> Mapping[str, Sequence[str] | Mapping[str, object]]:
        return SLOTS if self.slots is None else self.slots

    def _parsed(self) -> tuple[Template, ...]:
        if not self._templates:
            raise ParameterError("'templates' holds no label")
        parsed = []
        for label, texts in self._templates.items():
            if isinstance(texts, str) or not texts:
                raise ParameterError(f"the label '{label}' has no list of templates")
            for k, text in enumerate(texts, start=1):
                name = f"{label}-{k}"
                parsed.append(Template.parse(text, name=name, label=label, slots=self._slots))
        return tuple(parsed)

    def fit(
        self, real: Dataset | None, rng: np.random.Generator, progress: Progress = silent
    ) -> FittedGenerator:
        """Return the generator ready to write; every slot is tried once, `real` is not looked at."""
        used = {slot for template in self._parsed() for _, slot in template.pieces if slot}
        slots = {name: source for name, source in self._slots.items() if name in used}
        for draw in open_slots(slots, self.locale, rng_for(0, _NAME, "trial")).values():
            draw()
        shares = self.shares or dict.fromkeys(self._templates, 1.0)
        return _FittedTemplates(self, self._parsed(), slots, shares)


class _FittedTemplates(FittedGenerator):
    def __init__(
        self,
        settings: Templates,
        templates: tuple[Template, ...],
        slots: Mapping[str, Sequence[str] | Mapping[str, object]],
        shares: Mapping[str, float],
    ) -> None:
        self._settings, self._templates, self._slots = settings, templates, slots
        self._shares = shares
        self.schema = _schema(templates, tuple(sorted(slots)))

    def sample(self, n: int, rng: np.random.Generator, where: Where | None = None) -> Dataset:
        """Return `n` texts; the first of them do not depend on how many are asked for."""
        outcomes = {
            "label": [template.label for template in self._templates],
            "template": [template.name for template in self._templates],
        }
        fit = outcomes_that_meet(where, outcomes, self.schema, _NAME)
        by_label: dict[str, list[Template]] = {}
        for template, meant in zip(self._templates, fit):
            if meant:
                by_label.setdefault(template.label, []).append(template)
        draw = open_slots(self._slots, self._settings.locale, rng)
        labels = list(by_label)
        turns = deal([self._shares[label] for label in labels], rng)
        rounds = {label: _take_turns(by_label[label], rng) for label in labels}
        columns: dict[str, list[Any]] = {name: [] for name in self.schema.names}
        for _ in range(n):
            template = next(rounds[labels[next(turns)]])
            text, spans = template.write(draw)
            for name, value in zip(columns, (text, spans, template.label, template.name)):
                columns[name].append(value)
        arrays = {c: pa.array(v, self.schema[c].stored_type) for c, v in columns.items()}
        card = Card(
            name=_NAME, origin="synthetic", component=_NAME, settings=asdict(self._settings)
        )
        return Dataset.from_arrow(pa.table(arrays), self.schema, card)


def _take_turns(templates: Sequence[Template], rng: np.random.Generator) -> Iterator[Template]:
    """Yield every template once in a random order, again and again."""
    while True:
        for position in rng.permutation(len(templates)):
            yield templates[int(position)]


def _schema(templates: tuple[Template, ...], slots: tuple[str, ...]) -> Schema:
    labels = tuple(dict.fromkeys(template.label for template in templates))
    entities = Taxonomy(tuple(Label(name) for name in slots))
    return Schema(
        (
            Field(name="text", kind="text", nullable=False),
            Field(name="spans", kind="spans", nullable=False, taxonomy=entities),
            Field(name="label", kind="category", role="target", nullable=False, levels=labels),
            Field(
                name="template",
                kind="category",
                role="group",
                nullable=False,
                levels=tuple(template.name for template in templates),
                description="template of the text; split by it",
            ),
        )
    )

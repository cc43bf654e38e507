"""Plain words for metrics and short forms for numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from twinset.registry import list_components

FAMILIES: Mapping[str, tuple[str, str]] = {
    "gap": ("How far from real?", "Gap"),
    "coverage": ("What is missing?", "Coverage"),
    "utility": ("Does it help?", "Usefulness"),
    "privacy": ("Does it leak?", "Leaks"),
}
"""Family -> (the question it answers, its heading), in reading order."""

_TITLES = {
    "gap.marginals": "single columns",
    "gap.pairs": "pairs of columns",
    "gap.conditionals": "how columns follow from one another",
    "gap.k_marginals": "triples of columns",
    "gap.time_patterns": "hours, weekdays, seasons and rhythm",
    "gap.text_labels": "how labels follow from their texts",
    "gap.text_anomalies": "words, order and spans that real texts do not have",
    "gap.text_classifier": "texts that give themselves away",
    "gap.texts": "lengths, words and phrases of texts",
    "gap.missingness": "which cells are missing",
    "gap.rules_kept": "rules of the real rows",
    "gap.frechet": "clouds of rows by means and spreads",
    "gap.image_properties": "properties of pictures",
    "gap.image_labels": "labels that their picture contradicts",
    "gap.mean_embedding": "whole rows, by a kernel test",
    "gap.classifier": "telling real from synthetic",
    "coverage.density_coverage": "share of real rows with a synthetic neighbour",
    "coverage.alpha_beta": "share of real rows that synthetic ones reach, core and fringe",
    "coverage.vendi": "how many different rows in effect",
    "coverage.population": "declared population shares",
    "coverage.group_outcomes": "outcomes of groups of people",
    "coverage.modes": "crowds of rows that are alike",
    "coverage.slices": "combinations with enough rows",
    "utility.image_classes": "a small net taught by synthetic pictures",
    "utility.image_segmentation": "masks by a small net that sees real and synthetic pictures",
    "utility.image_detection": "boxes by a small net that sees real and synthetic pictures",
    "utility.exchange_rate": "real rows that 1,000 synthetic rows are worth",
    "utility.train_synthetic_test_real": "train on synthetic, test on real",
    "utility.entity_labelling": "finding entities in texts",
    "utility.entity_exchange_rate": "real texts that 1,000 synthetic texts are worth",
    "utility.every_column": "every column predicted from the others",
    "utility.model_ranking": "choosing a model by synthetic rows",
    "privacy.nearest_record": "distance to the nearest training row",
    "privacy.exact_copies": "exact copies of training rows",
    "privacy.membership": "telling training rows from others",
    "privacy.shadow_models": "telling training rows from others, by making the generator again",
    "privacy.outliers": "recognising training rows that stand alone",
    "privacy.singling_out": "singling out a training row by a rare combination",
    "privacy.linkability": "linking two halves of a training row",
    "privacy.attribute_inference": "guessing secrets of training rows",
    "privacy.quasi_identifiers": "combinations that few training rows share",
}

NOTHING = "–"


def metric_title(metric: str) -> str:
    """Return a metric's name in plain words; one that is not known is read from its path.

    Examples
    --------
    >>> metric_title("gap.marginals"), metric_title("gap.tail_weight")
    ('single columns', 'tail weight')
    """
    return _TITLES.get(metric) or metric.rpartition(".")[2].replace("_", " ")


def short(value: object) -> str:
    """Return a number for a table cell, or a dash when there is none.

    Examples
    --------
    >>> short(0.03125), short(1234567), short(None), short(0.00002), short(0)
    ('0.031', '1,234,567', '–', '2e-05', '0')
    """
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        return NOTHING
    size = abs(value)
    if size == 0 or (value == int(value) and size >= 10):
        return f"{value:,.0f}"
    if size < 0.0005:
        return f"{value:.1g}"
    return f"{value:.3f}" if size < 10 else f"{value:,.1f}"


def signed(value: object) -> str:
    """Return a difference with its sign.

    Examples
    --------
    >>> signed(0.02), signed(-0.02)
    ('+0.020', '−0.020')
    """
    if not isinstance(value, int | float) or not math.isfinite(value):
        return NOTHING
    if value == 0:
        return "0"
    return ("+" if value > 0 else "−") + short(abs(value))


def percent(share: float) -> str:
    """Return a share in percent.

    Examples
    --------
    >>> percent(0.031), percent(0.0002), percent(1.0)
    ('3.1 %', '<0.1 %', '100 %')
    """
    if 0 < share < 0.001:
        return "<0.1 %"
    return f"{100 * share:.1f} %" if share < 0.9995 and share else f"{100 * share:.0f} %"


def axis_label(value: float, span: float) -> str:
    """Return `value` with as many digits as an axis of length `span` needs.

    Examples
    --------
    >>> axis_label(12.345, 100), axis_label(0.5, 1), axis_label(2500000, 5e6)
    ('12', '0.50', '2.5M')
    """
    if not span > 0 or not math.isfinite(value):
        return f"{value:.4g}"
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if span >= size and max(abs(value), span) >= 5 * size:
            return f"{value / size:.3g}{unit}".replace("-", "−") if value else "0"
    decimals = min(6, max(0, 2 - math.ceil(math.log10(span))))
    text = f"{value:,.{decimals}f}"
    return "0" if float(text.replace(",", "")) == 0 else text.replace("-", "−")


def date_label(microseconds: float, span: float) -> str:
    """Return an instant as a date, with the time of day where the axis is short.

    Examples
    --------
    >>> date_label(0.0, 1e13), date_label(3.6e9, 3.6e9)
    ('1970-01-01', '1970-01-01 01:00')
    """
    try:
        instant = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
    except OverflowError:
        return f"{microseconds:.3g}"
    return instant.strftime("%Y-%m-%d" if span > 2 * 86_400e6 else "%Y-%m-%d %H:%M")


def joined(parts: Sequence[str]) -> str:
    """Return the parts as one enumeration.

    Examples
    --------
    >>> joined(["a", "b", "c"])
    'a, b and c'
    """
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


def plain(value: Any) -> Any:
    """Return `value` as plain JSON values: tuples as lists, NaN and infinity as null, the rest as text.

    Examples
    --------
    >>> plain({"a": (1, float("nan"))})
    {'a': [1, None]}
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in (sorted(value) if isinstance(value, set) else value)]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | int | bool) else str(value)


_READING: Mapping[str, str] = {
    "gap.marginals": (
        "How far each column by itself is from real, averaged over the columns: 0 is the same "
        "spread of values, 1 is nothing in common. It cannot see how columns go together."
    ),
    "gap.pairs": (
        "How far the dependence between two columns is from real, averaged over the pairs: 0 is the "
        "same dependence. Right columns with wrong pairs mean that relations were lost."
    ),
    "gap.k_marginals": (
        "How far the joint shares of three columns at a time are from real: 0 is the same shares. "
        "It finds what goes wrong only when several columns are looked at together."
    ),
    "gap.classifier": (
        "A model tries to tell synthetic rows from real ones: 0.5 is guessing, 1 is always right. "
        "What it could tell apart, another model can stumble over too."
    ),
    "gap.conditionals": (
        "Models of real rows forecast each column from all others; the number is the share of values "
        "that look drawn at random. Real rows have such values too: more of them means that relations "
        "were lost, fewer that rows are too neat."
    ),
    "gap.time_patterns": (
        "How far the hours, weekdays, months and the order of rows in time are from real, averaged: 0 is "
        "the same. A model that reads times learns the wrong rhythm from rows that lost it."
    ),
    "gap.text_labels": (
        "A model of real texts forecasts each label from its text; the number is the share of labels that "
        "look drawn at random. Real labels have such ones too: more of them mean wrong labels, or texts "
        "that are no longer about theirs."
    ),
    "gap.text_anomalies": (
        "Texts and spans do what real train texts hardly ever do: unknown or misspelt words, words in "
        "an unknown order, labels that words contradict, mentions left unmarked. The number is how much "
        "oftener than unseen real texts do it, in the worst kind."
    ),
    "gap.text_classifier": (
        "The share of synthetic texts that a simple model of words, shapes and ends surely tells from "
        "real ones, beyond the one in a hundred that it may be wrong about. It names what gave them away."
    ),
    "gap.texts": (
        "How far lengths, characters, words, how they are written, ordered and repeated, and kinds of "
        "texts are from real, averaged, and the spans in them: 0 is the same. A model that reads such "
        "texts meets other words than it will meet in real ones."
    ),
    "gap.missingness": (
        "How far the pattern of missing cells is from real: how often each is missing, and which "
        "are missing together. 0 is the same pattern."
    ),
    "gap.mean_embedding": (
        "All columns at once, by the kernel two-sample test (MMD): 0 means that no difference between "
        "the two clouds of rows was found. It says that they differ, not where."
    ),
    "gap.frechet": (
        "How far the two clouds of rows lie apart by their means and spreads (Frechet distance, as FID "
        "has it), in parts of the real rows' variance: 0 is the same. It grows as samples shrink, so "
        "look at the value of real rows beside it."
    ),
    "gap.image_properties": (
        "How far brightness, noise, sharpness, colour casts, objects and how boxes sit are from real "
        "pictures, averaged over the properties: 0 is the same, 1 is nothing in common."
    ),
    "gap.image_labels": (
        "The share of labels that their own picture contradicts, as judged by a model of real ones. "
        "Real sets have such labels too; more of them means wrong or shuffled labels."
    ),
    "gap.rules_kept": (
        "The share of synthetic rows that break a rule which real rows obey, for example that one date "
        "comes before another; 0 is best. Rows that break them are impossible in reality."
    ),
    "coverage.density_coverage": (
        "The share of real rows that have a synthetic row close by. Low means that whole kinds of real "
        "rows have no counterpart."
    ),
    "coverage.population": (
        "How far the shares of groups are from those that were declared for the population: 0 is met. "
        "It compares with the declaration, not with the real rows, which may be biased themselves."
    ),
    "coverage.group_outcomes": (
        "How far the outcome of each group is from that of the same group of real rows, for example "
        "how often loans are granted to women; 0 is equal. It does not say that the real rows are fair."
    ),
    "coverage.modes": (
        "Real rows are cut into crowds of rows that are alike, and the shares of the crowds are compared: "
        "0 is the same shares. A crowd without synthetic rows is a hole in the set."
    ),
    "coverage.slices": (
        "Which combinations of factors, such as night and rain, are far rarer in the synthetic rows than "
        "in the real ones, or far more frequent. A model trained on the set has seen too little, or too "
        "much, of those."
    ),
    "coverage.alpha_beta": (
        "Beta-recall: how much of the real rows, core and fringe, synthetic rows reach. Real rows get "
        "about 0.5 themselves, not 1. Alpha-precision and authenticity stand in the details."
    ),
    "coverage.vendi": (
        "How many truly different rows the set holds, counted by their likeness to each other. Far "
        "fewer than in as many real rows means that it repeats itself."
    ),
    "utility.image_classes": (
        "How well a small net that saw only synthetic pictures names real ones, with standard "
        "augmentation at equal steps for all. What matters for adding them is the change of real and "
        "synthetic pictures together against real ones alone."
    ),
    "utility.image_segmentation": (
        "How well a small net that saw real and synthetic pictures outlines objects in unseen real ones. "
        "The baseline is a net of real pictures alone, at equal steps and with tuned augmentation: above "
        "it, adding synthetic ones helps."
    ),
    "utility.image_detection": (
        "How well a small net that saw real and synthetic pictures finds objects in unseen real ones. "
        "The baseline is a net of real pictures alone, at equal steps and with tuned augmentation: above "
        "it, adding synthetic ones helps."
    ),
    "utility.train_synthetic_test_real": (
        "The same model is trained once on synthetic and once on real rows, and both are tested on real "
        "rows that nobody had seen. The nearer the two, the better synthetic rows can stand in."
    ),
    "utility.exchange_rate": (
        "What the rows are worth for a model: 1,000 synthetic rows are worth as much as so many more "
        "real ones. 1,000 means as good as real rows, 0 means that they add nothing."
    ),
    "utility.entity_labelling": (
        "A model learns to find entities from synthetic texts and is tested on real ones nobody had seen: "
        "the F1 of spans with the right label and both ends exact. The nearer to that of a model of real "
        "texts, the better."
    ),
    "utility.entity_exchange_rate": (
        "What the texts are worth for a model that finds entities: 1,000 synthetic texts are worth as "
        "much as so many more real ones. 1,000 means as good as real texts, 0 that they add nothing."
    ),
    "utility.every_column": (
        "Each column is predicted from all others, by models of synthetic rows, on real ones: the share "
        "of the variance that they explain, on average. The baseline is what models of real rows "
        "explain; the nearer, the more purposes the set serves."
    ),
    "utility.model_ranking": (
        "What it costs to choose among seven kinds of models by the synthetic rows alone: 0 means that "
        "they put the same model first as real rows do. It matters to teams that tune on the twin."
    ),
    "privacy.exact_copies": (
        "The share of synthetic rows that repeat a training row value for value, beyond what unseen "
        "real rows repeat by chance. Copies hand out real records."
    ),
    "privacy.nearest_record": (
        "How often a synthetic row lies nearer to a training row than to an unseen real one: 0.5 is "
        "chance. It is a smoke alarm: it can find a leak, but its silence is no proof that there is none."
    ),
    "privacy.membership": (
        "An attacker guesses from the synthetic rows who was in the training set: 0.5 is guessing, 1 is "
        "always right. Above what unseen rows get, the set gives away who was in it."
    ),
    "privacy.shadow_models": (
        "The same guess by an attacker who can make the generator again, many times, with a row and "
        "without it: the strongest attack here. 0.5 is guessing, 1 is always right."
    ),
    "privacy.outliers": (
        "The same guess about membership, for the most isolated rows only. They are the easiest to "
        "give away, and an average over all rows hides them."
    ),
    "privacy.singling_out": (
        "An attacker writes conditions that fit exactly one real person, helped by the synthetic rows. "
        "More hits on training rows than on unseen ones mean that single people stand out."
    ),
    "privacy.linkability": (
        "An attacker knows a person's columns from two sources and joins them through the synthetic "
        "rows. More right joins for training rows than for unseen ones are a leak."
    ),
    "privacy.attribute_inference": (
        "An attacker knows some columns of a person and infers another one from the synthetic rows. "
        "Only what is guessed better for training rows than for unseen ones is a leak."
    ),
    "privacy.quasi_identifiers": (
        "How far columns that others may know as well, such as age and place, narrow a record down to "
        "few real people. The fewer share the same values, the easier somebody is found."
    ),
}


def interpret_metric(metric: str) -> str:
    """Return how a metric is to be read; of one that is not known the first line of its docstring.

    Empty where no metric has that name.

    Examples
    --------
    >>> interpret_metric("gap.classifier").partition(":")[0]
    'A model tries to tell synthetic rows from real ones'
    >>> interpret_metric("gap.no_such_metric")
    ''
    """
    if metric in _READING:
        return _READING[metric]
    texts = (info.text for info in list_components("metric") if info.name == metric)
    return next(texts, "")

"""The scoring frame: every metric on the candidate, and on real rows put through the same door."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace

from threadpoolctl import threadpool_limits

from twinset.core.contracts import Metric, MetricFamily, Progress, Remake, Score, silent
from twinset.core.dataset import Dataset
from twinset.core.embedders import Looker
from twinset.core.errors import ParameterError
from twinset.core.where import Where
from twinset.embedded_sets import EmbeddedSets, embed_sets
from twinset.registry import build, list_components
from twinset.remembered import Remembered
from twinset.scoring import ATTACKS, Frame

FAMILIES: tuple[MetricFamily, ...] = ("gap", "coverage", "utility", "privacy")
"""Order of the results."""


def measure(
    *,
    train: Dataset | None,
    synthetic: Dataset,
    holdout: Dataset | None,
    metrics: Sequence[tuple[str, Metric]],
    where: Where | None = None,
    target: str | None = None,
    positive: str | None = None,
    population: Mapping[str, Mapping[str, float]] | None = None,
    embedders: Sequence[Looker] | None = None,
    seed: int = 0,
    workers: int = 1,
    progress: Progress = silent,
    remake: Remake | None = None,
    remembered: Remembered | None = None,
) -> list[Score]:
    """Return the score of every metric, by family in the order gap, coverage, utility, privacy.

    The holdout is cut once into halves A and B. Gap, coverage and privacy compare the synthetic rows
    with B, and A with B for the baseline, in equal numbers, all filtered by `where`; privacy looks at
    every synthetic row. Utility trains on the synthetic rows, on the whole of train for the baseline,
    and tests on the whole holdout. Without a holdout gap and coverage use halves of train, and
    privacy and utility are not measurable.

    Parameters
    ----------
    train : Dataset or None
        Real rows that the generator saw; None where it saw none.
    synthetic : Dataset
        The candidate.
    holdout : Dataset or None
        Real rows that the generator did not see.
    metrics : sequence of (str, Metric)
        Names and settings.
    where : Where, optional
        The condition under which the rows were made.
    target, positive : str, optional
        The column to predict, and its label that counts as positive.
    population : mapping, optional
        Declared shares, column -> {level: share}.
    embedders, seed : sequence of Embedder or TextEmbedding, int, optional
        What to look at images and texts with (see `embed_sets`); seed of the run.
    workers : int
        Metrics measured at the same time. The scores do not depend on it.
    progress : Progress
        Told ``("measure", done, total)``.
    remake : Remake, optional
        Makes the generator of the candidate again on other real rows, for attacks with shadow models.
    remembered : Remembered, optional
        Where what rests on the real rows alone is kept for the next candidate. The scores do not depend
        on it.

    Raises
    ------
    SchemaError
        `where` names a column that does not exist.

    Examples
    --------
    >>> import pyarrow as pa
    >>> made = Dataset.from_arrow(pa.table({"sex": ["f", "m"] * 200}))
    >>> from twinset.registry import build
    >>> metrics = [("coverage.population", build("metric", "coverage.population", {}))]
    >>> score, = measure(train=None, synthetic=made, holdout=None, metrics=metrics,
    ...                  population={"sex": {"f": 0.9, "m": 0.1}})
    >>> score.verdict, round(score.value, 2)
    ('different', 0.4)
    """
    ordered = sorted(metrics, key=lambda pair: FAMILIES.index(pair[1].family))
    with threadpool_limits(limits=1):
        if remembered is not None:
            real = [None if part is None else part.digest for part in (train, holdout)]
            looked = None if embedders is None else tuple(embedders)
            remembered.depend_on(
                *real, str(where), target, positive, repr(population), looked, seed
            )
        sets = EmbeddedSets(train, synthetic, holdout)
        if ordered:
            sets = embed_sets(
                train, synthetic, holdout, embedders,
                target=target, seed=seed, progress=progress, remembered=remembered,
            )  # fmt: skip
        frame = Frame.of(sets, where, target, positive, population or {}, seed)
        progress("measure", 0, len(ordered))
        frame = replace(frame, remake=remake, remembered=remembered)
        return _score_all(frame, ordered, workers, progress)


def default_metrics(kinds: Iterable[str], *, quick: bool = False) -> list[tuple[str, Metric]]:
    """Return every metric that can look at one of `kinds` and lacks none, with its default settings.

    A quick look leaves out those that take a while. Those that run on request only are never among them.

    Examples
    --------
    >>> "gap.marginals" in [name for name, _ in default_metrics({"number"})]
    True
    """
    held = frozenset(kinds)
    found = [(info.name, build("metric", info.name, {})) for info in list_components("metric")]
    return [
        (name, metric)
        for name, metric in found
        if metric.kinds & held
        and metric.needs <= held
        and not metric.on_request
        and not (quick and metric.is_thorough)
    ]


def attack_metrics(attacks: Sequence[str]) -> list[tuple[str, Metric]]:
    """Return the metrics of attacks that run on request, with their default settings.

    Examples
    --------
    >>> attack_metrics(["shadow"])[0][0]
    'privacy.shadow_models'
    """
    for attack in attacks:
        if attack not in ATTACKS:
            raise ParameterError("an attack is not known", got=attack, allowed=", ".join(ATTACKS))
    names = [ATTACKS[attack] for attack in dict.fromkeys(attacks)]
    return [(name, build("metric", name, {})) for name in names]


def _score_all(
    frame: Frame, metrics: Sequence[tuple[str, Metric]], workers: int, progress: Progress
) -> list[Score]:
    """Score the metrics on `workers` threads, each with one thread for its own numerics."""
    # OpenMP counts its threads for each calling thread, so each worker must be told once.
    with ThreadPoolExecutor(max(1, workers), initializer=threadpool_limits, initargs=(1,)) as pool:
        # The models of usefulness take longest: with them first, no worker waits at the end.
        first = sorted(metrics, key=lambda pair: pair[1].family != "utility")
        futures = {name: pool.submit(frame.score, name, metric) for name, metric in first}
        for done, future in enumerate(as_completed(futures.values()), start=1):
            future.result()
            progress("measure", done, len(metrics))
    return [futures[name].result() for name, _ in metrics]

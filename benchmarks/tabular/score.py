"""All scores of one synthetic table, as a flat mapping of plain numbers and texts."""

from __future__ import annotations

from functools import cache

import pandas as pd

from benchmarks.runner import load_yaml
from benchmarks.tabular import detect, mle, privacy, protocol
from benchmarks.tabular.sets import Coded, TableSet, code, halves

Scores = dict[str, float | str]
# Rules that the real tables obey (in all but 0.03 % of their rows), not given to any generator.
RULES = load_yaml(__file__, "facts.yaml")


class Scorer:
    """Scores tables against one real set; work on the real rows alone is done once.

    Members and control of the privacy protocol are halves of the train set.
    """

    def __init__(self, table: TableSet) -> None:
        self.table = table
        self._reference = cache(lambda: protocol.Reference.from_table(self._coded()[0]))
        self._targets = cache(self._find_targets)

    def fidelity(self, frame: pd.DataFrame, *, seed: int = 0) -> Scores:
        """Return every score of a table of a fit to all of train, with n_train rows."""
        drawn = self.table.conform(frame)
        train, holdout, synthetic = self._coded(drawn)
        found = self._distances(train, holdout, synthetic)
        found |= detect.scores(self.table.train, drawn, holdout, synthetic, seed)
        if len(synthetic) == len(self.table.train):  # the measure is defined for equal sizes only
            found["alpha"], found["beta"] = protocol.alpha_beta(self._reference(), synthetic)
        return found | self._learning(holdout, synthetic, seed) | {
            "rows": len(synthetic),
            "copies_beyond": privacy.copies_beyond(synthetic, train, holdout),
            "rules_broken": broken_share(self.table, drawn),
        }  # fmt: skip

    def leakage(self, frame: pd.DataFrame) -> Scores:
        """Return the privacy scores of a table of a fit to the members alone."""
        coded = self._coded(self.table.conform(frame))[-1]
        return dict(privacy.leakage(self._targets(), coded))

    def holdout(self) -> Scores:
        """Return the holdout's own scores against train, without those that compare it with itself."""
        scores = self.fidelity(self.table.holdout)
        itself = ("shape_excess", "trend_excess", "detector", "mle")
        return {key: value for key, value in scores.items() if not key.startswith(itself)}

    def floor(self) -> Scores:
        """Return what a fresh real sample of n_train rows would score against train."""
        # Half of all real rows is compared with the other half; errors fall with the root of the
        # number of rows, so they are scaled by sqrt(n_half / n_train).
        table = self.table
        every = pd.concat([table.train, table.holdout], ignore_index=True)
        first, second = (every.iloc[rows].reset_index(drop=True) for rows in halves(len(every)))
        a, b = code(table.roles, first, second)
        scale = (len(first) / len(table.train)) ** 0.5
        alpha, beta = protocol.alpha_beta(protocol.Reference.from_table(a), b)
        return {
            "shape": scale * protocol.shape(a, b).mean,
            "trend": scale * protocol.trend(a, b).mean,
            "trend_shared": scale * protocol.trend(a, b, "shared").mean,
            "c2st": detect.logistic_score(first, second),
            "alpha": alpha,
            "beta": beta,
        }

    def _coded(self, *frames: pd.DataFrame) -> list[Coded]:
        # Levels of train come first, so codes of train are the same whatever else is coded.
        return code(self.table.roles, self.table.train, self.table.holdout, *frames)

    def _find_targets(self) -> privacy.AttackTargets:
        train = self._coded()[0]
        members, control = halves(len(train))
        return privacy.AttackTargets.from_halves(train.take(members), train.take(control))

    def _distances(self, train: Coded, holdout: Coded, synthetic: Coded) -> Scores:
        shape, trend = protocol.shape(train, synthetic), protocol.trend(train, synthetic)
        shared, sides = protocol.trend(train, synthetic, "shared"), (synthetic, train)
        to_holdout = [protocol.shape(holdout, side) for side in sides]
        pairs_to_holdout = [protocol.trend(holdout, side, "shared", train) for side in sides]
        return {
            "shape": shape.mean,
            "trend": trend.mean,
            "trend_shared": shared.mean,
            "shape_excess": protocol.excess(*to_holdout),
            "trend_excess": protocol.excess(*pairs_to_holdout),
            "worst_column": shape.worst[0],
            "worst_column_error": shape.worst[1],
            "worst_pair": shared.worst[0],
            "worst_pair_error": shared.worst[1],
        }

    def _learning(self, holdout: Coded, synthetic: Coded, seed: int) -> Scores:
        roles = self.table.roles
        faithful = corrected = mle.efficiency(roles, synthetic, holdout, seed=seed)
        if roles.task == "regression" or mle.takes_logs(roles, synthetic):
            corrected = mle.efficiency(roles, synthetic, holdout, mode="corrected", seed=seed)
        score, setting = faithful
        return {"mle": score, "mle_setting": setting, "mle_corrected": corrected.score}


def broken_share(table: TableSet, frame: pd.DataFrame) -> float:
    """Return the share of rows that break at least one rule of the set; NaN where none is known."""
    name = table.name.split(":")[-1]
    if name not in RULES:
        return float("nan")
    texts = {c: frame[c].str.strip() for c in frame.columns if frame[c].dtype.kind not in "iufb"}
    frame = frame.assign(**texts)
    held = pd.Series(True, frame.index)
    for rule in RULES[name]:
        held &= frame.eval(rule)
    if name == "adult":
        train = table.train
        years = train.groupby(train["education"].str.strip())["education-num"].first()
        held &= frame["education"].map(years) == frame["education-num"]
    if name == "beijing":
        held &= pd.to_datetime(frame[["year", "month", "day"]], errors="coerce").notna()
    return float((~held).mean())

"""All scores of one synthetic table, as a flat mapping of plain numbers and texts."""

from __future__ import annotations

from functools import cache

import pandas as pd

from benchmarks.tabular import density, detect, mle, privacy, protocol
from benchmarks.tabular.facts import broken_share
from benchmarks.tabular.sets import Coded, TableSet, code, halves

# Raised whenever a score's meaning changes: cached scores of another version are measured again.
VERSION = 1

Scores = dict[str, float | str]


class Scorer:
    """Scores tables against one real set; work on the real rows alone is done once.

    Members and control of the privacy protocol are halves of the train set.
    """

    def __init__(self, table: TableSet) -> None:
        self.table = table
        self._reference = cache(lambda: density.Reference.from_table(self._coded()[0]))
        self._targets = cache(
            lambda: privacy.AttackTargets.from_halves(*self._members_and_control())
        )

    def fidelity(self, frame: pd.DataFrame, *, seed: int = 0) -> Scores:
        """Return every score of a table of a fit to all of train, with n_train rows."""
        drawn = self.table.conform(frame)
        train, holdout, synthetic = self._coded(drawn)
        return (
            self._distances(train, holdout, synthetic)
            | self._detection(drawn, holdout, synthetic, seed)
            | self._density(synthetic)
            | self._learning(holdout, synthetic, seed)
            | {
                "rows": len(synthetic),
                "copies_beyond": privacy.copies_beyond(synthetic, train, holdout),
                "rules_broken": broken_share(self.table, drawn),
            }
        )

    def leakage(self, frame: pd.DataFrame) -> Scores:
        """Return the privacy scores of a table of a fit to the members alone."""
        found = privacy.leakage(self._targets(), self._coded(self.table.conform(frame))[-1])
        return {
            "dcr": found.dcr_share,
            "dcr_error": found.dcr_error,
            "dcr_ties": found.ties,
            "member_copies": found.copies,
            "membership": found.all_rows.auc,
            "membership_upper": found.all_rows.upper,
            "isolated": found.outliers.auc,
            "isolated_upper": found.outliers.upper,
        }

    def holdout(self) -> Scores:
        """Return the holdout's own scores against train, without those that compare it with itself."""
        scores = self.fidelity(self.table.holdout)
        itself = ("shape_excess", "trend_excess", "detector", "mle")
        return {key: value for key, value in scores.items() if not key.startswith(itself)}

    def floor(self) -> Scores:
        """Return what a fresh real sample of n_train rows would score against train.

        Half of all real rows is compared with the other half; errors fall with the root of the
        number of rows, so they are scaled by sqrt(n_half / n_train).
        """
        table = self.table
        every = pd.concat([table.train, table.holdout], ignore_index=True)
        first, second = (every.iloc[rows].reset_index(drop=True) for rows in halves(len(every)))
        a, b = code(table.roles, first, second)
        scale = (len(first) / len(table.train)) ** 0.5
        alpha, beta = density.alpha_beta(density.Reference.from_table(a), b)
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

    def _members_and_control(self) -> tuple[Coded, Coded]:
        train = self._coded()[0]
        members, control = halves(len(train))
        return train.take(members), train.take(control)

    def _distances(self, train: Coded, holdout: Coded, synthetic: Coded) -> Scores:
        shape, trend = protocol.shape(train, synthetic), protocol.trend(train, synthetic)
        shared = protocol.trend(train, synthetic, "shared")
        to_holdout = [protocol.shape(holdout, side) for side in (synthetic, train)]
        pairs_to_holdout = [
            protocol.trend(holdout, side, "shared", train) for side in (synthetic, train)
        ]
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

    def _detection(
        self, drawn: pd.DataFrame, holdout: Coded, synthetic: Coded, seed: int
    ) -> Scores:
        # Small holdouts are noisy: more draws of synthetic rows and folds are averaged for them.
        repeats = 3 if len(holdout) > 10_000 else 10
        detection = detect.boosted_auc(holdout, synthetic, repeats=repeats, seed=seed)
        return {
            "c2st": detect.logistic_score(self.table.train, drawn, seed),
            "detector": detection.auc,
            "detector_low": detection.interval.low,
            "detector_high": detection.interval.high,
        }

    def _density(self, synthetic: Coded) -> Scores:
        if len(synthetic) != len(self.table.train):
            return {}  # the measure is defined for equal sizes only
        alpha, beta = density.alpha_beta(self._reference(), synthetic)
        return {"alpha": alpha, "beta": beta}

    def _learning(self, holdout: Coded, synthetic: Coded, seed: int) -> Scores:
        roles = self.table.roles
        faithful = mle.efficiency(roles, synthetic, holdout, seed=seed)
        corrected = faithful
        if roles.task == "regression" or mle.takes_logs(roles, synthetic):
            corrected = mle.efficiency(roles, synthetic, holdout, mode="corrected", seed=seed)
        return {
            "mle": faithful.score,
            "mle_setting": faithful.setting,
            "mle_corrected": corrected.score,
        }

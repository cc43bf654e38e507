"""Real against real on Adult: how often does the slice search name a region that is not there?

    python -m benchmarks.evaluation.slices_null --repeats 200

Each repeat draws two disjoint parts of the whole table at random and puts one in the place of the
synthetic set. Printed: the share of repeats in which any region is named.
"""

from __future__ import annotations

import argparse

import pandas as pd
import pyarrow as pa

from benchmarks.tabular.sets import load
from twinset.core.data.dataset import Dataset
from twinset.core.features.discretize import infer_factors
from twinset.core.features.slice_search import search_slices
from twinset.core.seeding import rng_for


def main() -> None:
    """Run the repeats that the command line asks for, and print what was named."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000, 4_000, 16_000])
    args = parser.parse_args()
    adult = load("adult")
    whole = Dataset.from_arrow(
        pa.Table.from_pandas(pd.concat([adult.train, adult.holdout], ignore_index=True))
    )
    for rows in args.rows:
        named = []
        for repeat in range(args.repeats):
            order = rng_for(repeat, "null", str(rows)).permutation(len(whole))
            first, second = whole.take(order[:rows]), whole.take(order[rows : 2 * rows])
            found = search_slices(first, second, infer_factors(first))
            named += [found[0].sentence] if found else []
        share = len(named) / args.repeats
        print(f"{rows:,} rows a side: a region is named in {share:.1%} of {args.repeats} repeats")
        for sentence in named:
            print(f"  {sentence}")


if __name__ == "__main__":
    main()

"""Sets that hold one column of every kind."""

import datetime as dt
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from twinset.core.data.dataset import Dataset
from twinset.core.image.codec import encode_jpeg, encode_png

PNG = encode_png(np.zeros((2, 2), np.uint8))
JPEG = encode_jpeg(np.zeros((2, 2), np.uint8))


@pytest.fixture
def every_kind() -> Dataset:
    """Five rows with the awkward values of each tabular kind; texts hold what CSV must quote."""
    days = [dt.date(2024, 1, day) for day in (1, 2, 3, 4, 5)]
    moments = [dt.datetime(2024, 1, 1, 12, 30, second, 250_000) for second in range(5)]
    return Dataset.from_arrow(
        pa.table(
            {
                "price": [2.0, 0.25, None, -17.5, 1e6],
                "precise": [1 / 3, 1e-7, 1e22, 5.0, -0.1],
                "count": pa.array([1, 2, None, 4, -5], pa.int32()),
                "exact": pa.array([Decimal("1.20"), None, Decimal("0.05"), Decimal(3), Decimal(4)]),
                "flag": [True, False, None, True, True],
                "day": days,
                "moment": pa.array(moments, pa.timestamp("us")),
                "zoned": pa.array(moments, pa.timestamp("us", "UTC")),
                "word": ["a,b", 'say "hi"', None, " padded", "two\nlines"],
                "code": ["007", "08", "1", "1.50", "NA"],
                "class": pa.array([0, 1, 1, 0, None], pa.int8()),
            }
        )
    )

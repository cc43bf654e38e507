"""Columns that others may know of a person."""

import datetime as dt

import pyarrow as pa
import pytest

from twinset.core.data.dataset import Dataset
from twinset.core.data.knowable_columns import propose_quasi_identifiers

NAMES = {
    "English": ("age", "DateOfBirth", "sex", "zip_code", "job title", "marital.status", "Country"),
    "German": ("Alter", "Geburtsdatum", "Geschlecht", "PLZ", "Beruf", "Familienstand", "Wohnort"),
    "French": ("âge", "date_naissance", "sexe", "code_postal", "métier", "situation_familiale"),
    "Spanish": ("edad", "fechaNacimiento", "género", "código_postal", "profesión", "estado_civil"),
    "Italian": ("età", "data_nascita", "sesso", "cap", "professione", "stato_civile", "città"),
}
OTHERS = (
    "amount",
    "dosage",
    "score",
    "pageviews",
    "imported",
    "average",
    "balance",
    "x1",
    "glucose",
)


def table(names: tuple[str, ...]) -> Dataset:
    return Dataset.from_arrow(pa.table({name: [i % 7 for i in range(70)] for name in names}))


@pytest.mark.parametrize("language", NAMES)
def test_names_of_five_languages_are_recognised(language: str) -> None:
    names = NAMES[language]
    assert propose_quasi_identifiers(table((*names, *OTHERS))) == names


def test_values_decide_too() -> None:
    days = [dt.datetime(2024, 1, 1 + i % 28, tzinfo=dt.UTC) for i in range(70)]
    rows = {
        "noted": days,  # dates are knowable whatever their name
        "city": ["Rome", "Oslo"] * 35,
        "country": ["IT"] * 70,  # a constant narrows nothing down
        "patient_id": [f"p{i:04}" for i in range(70)],
    }
    assert propose_quasi_identifiers(Dataset.from_arrow(pa.table(rows))) == ("noted", "city")


def test_the_target_is_none() -> None:
    rows = table(("age", "education"))
    assert propose_quasi_identifiers(
        Dataset(rows.records, rows.schema.with_target("education"))
    ) == ("age",)

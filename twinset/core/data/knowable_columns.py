"""Quasi-identifiers: columns whose values others may know of a person, proposed by name and by values."""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise

import numpy as np

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Field

# Words of column names in English, German, French, Spanish and Italian, without accents. A word counts as
# a whole; with an asterisk, also at the beginning or the end of another one: "geburtsdatum".
_WORDS = """
age alter edad eta years_old
birth* born dob geburt* geb naiss* nacim* nascit* nato
sex sexe sexo sesso gender geschlecht genre genero genere
zip zipcode postcode postal* plz postleitzahl* cp cap
city town village stadt ort wohnort* ville ciudad citta comune commune municipio gemeinde
county district landkreis kreis bezirk departement department_of_residence provinc* province
state bundesland region* canton kanton stato
country land pays pais paese nation* staatsangehoerig* staatsangehorig* nacionalid*
address* street strasse* adress* direccion* indirizzo* domicil* rue calle via residence
latitude longitude lat lon lng
job jobs occupation* profession* employ* beruf* arbeitgeber* metier emploi trabajo* empleo lavoro
profes* ocupac* occupaz* arbeit title rank
race ethnic* ethnie etnia ethnizit* raza razza
religio* konfession* confession* relig*
language* sprache* langue* idioma lingua muttersprache
marital married civil familienstand* matrimonial* estado_civil stato_civile situation_familiale partner
education* school degree bildung* schulabschluss* abschluss* diplome* etudes estudios studi titolo
children kids kinder* enfants hijos figli household* haushalt* relationship
admission* discharge* visit* aufnahme* entlassung* hospital* ward sortie* ingreso* ricovero*
death* died deces* muerte* morte todes* sterbe*
height weight groesse grosse gewicht taille poids altura peso altezza
date datum fecha data_di dates
"""
_MIN_LEVELS = 2  # a constant narrows nothing down
_UNIQUE = 0.95  # share of distinct values from which a column of levels is an identifier, not an attribute


def propose_quasi_identifiers(dataset: Dataset) -> tuple[str, ...]:
    """Return the columns that others are likely to know of a person, in the order of the table.

    A column is proposed if its name says so in one of five languages, or if it holds dates. Identifiers
    and texts, the target, constants, and levels that hardly repeat are none: `privacy.one_person_values`
    tests those. It is a proposal: who knows what of whom is for people to decide.

    Examples
    --------
    >>> import pyarrow as pa
    >>> rows = {"Geburtsjahr": [1950, 1961, 1950], "sex": ["f", "m", "f"], "dose": [1.5, 2.5, 1.5]}
    >>> propose_quasi_identifiers(Dataset.from_arrow(pa.table(rows)))
    ('Geburtsjahr', 'sex')
    """
    return tuple(field.name for field in dataset.schema.fields if _is_knowable(dataset, field))


def _is_knowable(dataset: Dataset, field: Field) -> bool:
    if not field.is_tabular or field.role in ("identifier", "split", "target"):
        return False
    if not (field.is_time or _is_named(field.name)):
        return False
    values = dataset.codes(field.name)[0] if field.has_levels else dataset.values(field.name)
    present = values[values >= 0] if field.has_levels else values[~np.isnan(values)]
    n_levels = len(np.unique(present))
    return n_levels >= _MIN_LEVELS and not (field.has_levels and n_levels > _UNIQUE * len(present))


def _is_named(name: str) -> bool:
    """Return whether a word, or two words in a row, of a name are in the list."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    plain = unicodedata.normalize("NFKD", spaced.replace("ß", "ss")).encode("ascii", "ignore")
    words = [word for word in re.split(r"[^a-z]+", plain.decode().lower()) if word]
    pairs = [f"{a}_{b}" for a, b in pairwise(words)]
    return any(word in _WHOLE or _PART.search(word) for word in [*words, *pairs])


_WHOLE = {word for word in _WORDS.split() if not word.endswith("*")}
_STEMS = "|".join(word[:-1] for word in _WORDS.split() if word.endswith("*"))
_PART = re.compile(f"^(?:{_STEMS})|(?:{_STEMS})$")

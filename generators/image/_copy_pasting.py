"""Make images from a bank of cutouts: which image lies below, and what is pasted onto it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from twinset.core.contracts import FittedGenerator
from twinset.core.dataset import Card, Dataset
from twinset.core.errors import FitError, ParameterError
from twinset.core.where import Where

from .._quotas import deal
from ._cutouts import Cutout, ImageColumns
from ._paste_counts import CountWish, counts_of
from ._paste_scene import PasteScene

if TYPE_CHECKING:
    from .copy_paste import CopyPaste

_NAME = "image.copy_paste"
_N_IMAGES = 40  # that are tried before a number of objects is given up
_N_PASTES = 4  # times the most pastes that are tried on one image


class FittedCopyPaste(FittedGenerator):
    """Pastes the cutouts of its bank onto the real images."""

    def __init__(
        self, settings: CopyPaste, real: Dataset, columns: ImageColumns, bank: list[Cutout]
    ) -> None:
        self._settings, self._real, self._columns = settings, real, columns
        self._bank: dict[str, list[Cutout]] = {}
        for cutout in bank:
            self._bank.setdefault(cutout.category, []).append(cutout)
        self._weights = self._class_weights()
        self._objects = [row or [] for row in real.records[columns.boxes].to_pylist()]
        self._labels = sorted({item["category"] for row in self._objects for item in row})
        self.schema = real.schema

    def sample(self, n: int, rng: np.random.Generator, where: Where | None = None) -> Dataset:
        """Return `n` images; the first of them do not depend on how many are asked for.

        `where` may speak of the columns of the set, which choose the image below, and of the numbers of
        objects, of all of them (`all objects`) or of a label (`objects 'WBC'`), which pastes bring about.
        """
        most = self._settings.n_pastes_range[1]
        plain, wish = CountWish.of(
            where, self.schema.names, self._labels, max(map(len, self._objects)) + 2 * most
        )
        usable = self._usable(plain, wish, where)
        names = list(self._weights)
        turns = (names[k] for k in deal(list(self._weights.values()), rng))
        owed: list[str] = []
        positions, cells, parents = [], [], []
        for _ in range(n):
            rows, scene = self._made(usable, wish, turns, owed, rng)
            positions.append(rows[0])
            cells.append(scene.cells())
            parents.append(list(dict.fromkeys(rows)))
        return self._dataset(positions, cells, parents)

    def _usable(
        self, plain: Where | None, wish: CountWish, where: Where | None
    ) -> np.ndarray[Any, Any]:
        """Return the positions of the real images that the made ones may begin with."""
        meets = np.ones(len(self._real), bool) if plain is None else plain.mask(self._real)
        usable = np.flatnonzero(meets & ~self._real.is_null(self._columns.image))
        if wish:
            room = self._settings.n_pastes_range[1]
            needs = [wish.lacking(counts_of(self._objects[k]), room) for k in usable]
            known = {"", *(name for name, weight in self._weights.items() if weight)}
            can = [need is not None and need.keys() <= known for need in needs]
            usable = usable[np.array(can, bool)]
        if not len(usable):
            raise ParameterError(
                f"'{_NAME}' can make no row that meets the condition",
                got=str(where),
                todo="raise n_pastes_range, or name the classes in 'classes', so that real images and "
                "pastes have so many objects"
                if wish
                else "no real image meets it: correct the condition",
            )
        return usable

    def _made(
        self,
        usable: np.ndarray[Any, Any],
        wish: CountWish,
        turns: Iterator[str],
        owed: list[str],
        rng: np.random.Generator,
    ) -> tuple[list[int], PasteScene]:
        """Return a made image with the positions of the rows whose pixels it holds."""
        low, high = self._settings.n_pastes_range
        for _ in range(_N_IMAGES):
            at = int(usable[int(rng.integers(len(usable)))])
            scene = PasteScene.of(self._real.records.slice(at, 1).to_pylist()[0], self._columns)
            rows, look = [at], scene.look()
            if not wish:
                for _ in range(int(rng.integers(low, high + 1))):
                    cutout = self._paste(scene, look, turns, owed, rng)
                    if cutout is not None:
                        rows.append(cutout.row)
                return rows, scene
            rows += self._paste_as_wished(scene, look, wish, rng)
            if len(rows) > 1 and wish.is_met(counts_of(scene.objects)):
                return rows, scene
        raise ParameterError(
            f"'{_NAME}' finds no place for the objects that the condition asks for",
            todo="raise max_hidden_fraction or look_distance, lower scale_range, or ask for fewer objects",
        )

    def _paste_as_wished(
        self,
        scene: PasteScene,
        look: np.ndarray[Any, Any],
        wish: CountWish,
        rng: np.random.Generator,
    ) -> list[int]:
        """Paste what the condition lacks, and no more: numbers that it is silent on stay as real as can be.

        Where it lacks fewer than the fewest pastes, others follow that it allows: no made image is a real
        one. Returned are the rows that the cutouts come from.
        """
        rows: list[int] = []
        low, high = self._settings.n_pastes_range
        names = list(self._weights)
        weights = np.array(list(self._weights.values()))
        for _ in range(_N_PASTES * high):
            counts = counts_of(scene.objects)
            lacking = wish.lacking(counts, high - len(rows))
            if lacking is None or (len(rows) >= low and not sum(lacking.values())):
                break
            due = [name for name in lacking if name] or names
            may = np.array([name in due and wish.allows(name, counts) for name in names])
            shares = np.where(may, weights, 0.0)
            if not shares.sum():
                break
            name = names[int(rng.choice(len(names), p=shares / shares.sum()))]
            cutout = self._cutout(name, look, rng)
            if cutout is not None and scene.paste(cutout, self._settings, rng):
                rows.append(cutout.row)
        return rows

    def _paste(
        self,
        scene: PasteScene,
        look: np.ndarray[Any, Any],
        turns: Iterator[str],
        owed: list[str],
        rng: np.random.Generator,
    ) -> Cutout | None:
        """Paste one object and return it: of a class that is owed a place, else of the one in turn.

        A class that finds no place stays in `owed` and comes first next time, so that shares are kept.
        """
        for name in [*dict.fromkeys(owed), None]:
            if name is None:
                name, known = next(turns), set(owed)
                owed.append(name)
                if name in known:  # tried on this image just now
                    return None
            cutout = self._cutout(name, look, rng)
            if cutout is not None and scene.paste(cutout, self._settings, rng):
                owed.remove(name)
                return cutout
        return None

    def _cutout(
        self, name: str, look: np.ndarray[Any, Any], rng: np.random.Generator
    ) -> Cutout | None:
        """Return an object of a class from an image that looks alike; None when there is none."""
        bank = self._bank[name]
        looks = [c.look if len(c.look) == len(look) else np.full(len(look), np.inf) for c in bank]
        far = np.abs(np.array(looks) - look).max(axis=1)
        fitting = np.flatnonzero(far <= self._settings.look_distance)
        return bank[int(fitting[int(rng.integers(len(fitting)))])] if len(fitting) else None

    def _dataset(
        self, positions: list[int], cells: list[dict[str, Any]], parents: list[list[int]]
    ) -> Dataset:
        base = self._real.records.select(list(self.schema.names))
        records = base.take(pa.array(positions, pa.int64()))
        for name in (self._columns.image, self._columns.mask, self._columns.boxes):
            if name is not None:
                column = pa.array([cell[name] for cell in cells], self.schema[name].arrow_type)
                records = records.set_column(records.schema.get_field_index(name), name, column)
        card = Card(
            name=_NAME, origin="synthetic", component=_NAME, settings=asdict(self._settings)
        )
        made = replace(self._real, records=records, card=card)
        if "_id" not in self._real.records.column_names:
            return made
        ids = self._real.records.column("_id").to_pylist()
        named = [[ids[k] for k in rows] for rows in parents]
        return made.with_reserved(
            ids=[f"{rows[0]}+{k}" for k, rows in enumerate(named)], parents=named
        )

    def _class_weights(self) -> dict[str, float]:
        given = self._settings.classes
        weights = (
            dict(given)
            if isinstance(given, Mapping)
            else dict.fromkeys(given or sorted(self._bank), 1.0)
        )
        for name, weight in weights.items():
            if weight and name not in self._bank:
                raise FitError(
                    f"there is no object of class '{name}' to cut out",
                    allowed="objects that are seen whole and are not tiny",
                    todo="leave the class out of 'classes'",
                )
            if not 0 <= weight < float("inf"):
                raise ParameterError(f"the weight of '{name}' is out of its range", got=str(weight))
        if not sum(weights.values()):
            raise ParameterError("'classes' gives no class a weight above 0")
        return {name: float(weight) for name, weight in weights.items()}

"""The set that a recipe delivers: the rows of its steps as one, under the recipe's name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from twinset.catalog import Catalog, Version
from twinset.core.dataset import Dataset
from twinset.made_cards import joint_card
from twinset.planning import candidate_address
from twinset.recipe import Recipe


def register_joint(
    recipe: Recipe, catalog: Catalog, addresses: Mapping[str, str], made: Sequence[Version]
) -> Version:
    """Return what the delivered steps made as one registered set; an earlier run's is kept.

    Parameters
    ----------
    recipe : Recipe
        What to do.
    catalog : Catalog
        Where sets lie.
    addresses : mapping of str to str
        Step -> its content address.
    made : sequence of Version
        What the delivered steps made, in their order.
    """
    at = candidate_address(recipe, [addresses[name] for name in recipe.delivered_steps()])
    found = catalog.find_step(at)
    if found is not None:
        return found

    def chunks() -> Iterator[Dataset]:
        for version in made:
            yield from catalog.stream(version)

    card = replace(
        joint_card([catalog.card(version) for version in made]),
        name=recipe.name,
        parents=tuple(version.digest for version in made),
        recipe_digest=at,
    )
    return catalog.register(recipe.name, chunks(), card, step=at)

"""What the page needs of models, from rooms that it must not know."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from phasecast.records.models import ShelfModel


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelTools:
    """Functions that are given to the page.

    Parameters
    ----------
    shipped
        Returns the models that come with the program.
    """

    shipped: Callable[[], Sequence[ShelfModel]]

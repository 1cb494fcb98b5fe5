"""Which points are steel, rust or outside: what the program proposes, with what a person painted over it."""

import html

import numpy as np
from numpy.typing import NDArray

from phasecast.core.region_requests import Role
from phasecast.core.words import Words
from phasecast.results.partition import PARTS
from phasecast.web.regions_measure import Ground, Mask, proposed_parts
from phasecast.web.regions_overlay import Area
from phasecast.web.regions_saved import ROLE_COLOURS

ROLES: tuple[Role, ...] = ("steel", "rust", "outside")
_ALPHA = 150


class Proposal:
    """Parts of a scan that nobody has confirmed yet; follows the scan while it grows."""

    def __init__(self) -> None:
        self.parts: NDArray[np.str_] | None = None
        """Part of each point, (n,); None where nothing is proposed."""
        self._painted: dict[int, str] = {}
        self._ground: Ground | None = None

    def propose(self, ground: Ground) -> None:
        """Propose anew; what was painted is forgotten."""
        self._painted, self._ground = {}, None
        self.parts = np.zeros(0, dtype="U7")
        self.follow(ground)

    def follow(self, ground: Ground) -> bool:
        """Propose for the scan as it is now, and keep what a person painted; return whether anything was done."""
        if self.parts is None or ground is self._ground:
            return False
        self._ground = ground
        self.parts = proposed_parts(ground)
        if self._painted:
            self.parts[list(self._painted)] = list(self._painted.values())
        return True

    def paint(self, near: Mask, role: Role) -> None:
        """Let a person say what some points are."""
        if self.parts is not None and self.parts.size == near.size:
            self._painted |= dict.fromkeys(np.flatnonzero(near).tolist(), role)
            self.parts[near] = role

    def drop(self) -> None:
        """Propose nothing."""
        self.parts, self._painted, self._ground = None, {}, None

    def areas(self) -> list[Area]:
        """The parts as areas of the map."""
        if self.parts is None:
            return []
        return [Area(chosen=self.parts == role, colour=ROLE_COLOURS[role], filled=True, alpha=_ALPHA) for role in ROLES]

    def legend(self, words: Words) -> str:
        """Return what the colours mean, with the number of done points of each part."""
        if self.parts is None or self._ground is None:
            return ""
        known = self.parts[self._ground.done]
        items = "".join(
            f"<span><i style='background:{ROLE_COLOURS.get(part, 'transparent')}'></i>"
            f"{html.escape(words(f'common.{part}' if part in ROLES else 'regions.unknown'))}: "
            f"{np.count_nonzero(known == part)}</span>"
            for part in PARTS
        )
        note = html.escape(words("regions.proposal_note"))
        return f"<div class='legend'>{items}</div><p class='hint'>{note}</p>"

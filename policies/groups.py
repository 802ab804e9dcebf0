"""The closed set of groups that rules can name kinds by: a tier, or what kinds tell (DPV categories)."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from policies.kinds import Catalogue, Kind


class Group(msgspec.Struct, frozen=True):
    """Kinds of these tiers, or of these categories; ``words``: what a person may call it, too."""

    tiers: frozenset[str] = frozenset()
    categories: frozenset[str] = frozenset()
    words: tuple[str, ...] = ()

    def holds(self, kind: Kind) -> bool:
        """Whether a kind is in it."""
        return kind.tier in self.tiers or kind.category in self.categories


def _of(*categories: str, words: tuple[str, ...] = ()) -> Group:
    return Group(categories=frozenset(categories), words=words)


# Every category of kinds.toml is in exactly one of the groups below the tiers.  "location" alone is the kind.
GROUPS: Final[Mapping[str, Group]] = MappingProxyType(
    {
        "special": Group(tiers=frozenset({"special"}), words=("sensitive", "special data", "sensitive data")),
        "personal": Group(tiers=frozenset({"personal"}), words=("personal data",)),
        "ordinary": Group(tiers=frozenset({"ordinary"}), words=("ordinary data",)),
        "health": _of("PhysicalHealth", "MedicalHealth", "Weight", "Height", words=("my health", "body")),
        "whereabouts": _of(
            "GPSCoordinate", "Location", "TravelHistory", words=("my whereabouts", "movements", "travel")
        ),
        "household": _of("Household", words=("home", "my home", "climate")),
        "behaviour": _of("Behavioural", "Interaction", words=("behavior", "my behaviour", "habits")),
        "consumption": _of("ServiceConsumptionBehaviour", words=("usage", "what i use")),
        "vehicle": _of("Vehicle", "VehicleUsage", words=("car", "my car")),
        "device": _of("DeviceBased", words=("devices", "my devices")),
        "lifestyle": _of("LifeHistory", "Purchase", "Preference", words=("my life", "purchases")),
    }
)


@functools.lru_cache(maxsize=8)
def members(catalogue: Catalogue) -> Mapping[str, frozenset[str]]:
    """The names of the kinds in each group, as the catalogue has them."""
    kinds = [catalogue.kind(name) for name in catalogue.names()]
    return MappingProxyType(
        {name: frozenset(kind.name for kind in kinds if group.holds(kind)) for name, group in GROUPS.items()}
    )

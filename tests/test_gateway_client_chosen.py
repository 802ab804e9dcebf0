"""A grant names exactly the series that a person chose, of those that were seen."""

from __future__ import annotations

import pytest

from gateway.client.chosen import choose_selectors
from gateway.client.errors import TermsError
from gateway.client.recipients import Series
from policies.terms import Selector
from vault.ids import DeviceId

METER, HUB, OLD = DeviceId(b"m" * 16), DeviceId(b"h" * 16), DeviceId(b"o" * 16)
SEEN = {
    Series(METER, "", "energy"),
    Series(METER, "", "power"),
    Series(HUB, "kitchen", "temperature"),
    Series(HUB, "bath", "temperature"),
    Series(OLD, "", "energy"),
}

CHOICES: dict[
    str, tuple[tuple[str, ...], tuple[DeviceId, ...], bool, tuple[Selector, ...], tuple[str, ...]]
] = {
    "the channels seen, where they were seen": (
        ("energy",),
        (METER, HUB),
        False,
        (Selector(METER.text, "energy", ("",)),),
        (),
    ),
    "every channel of a hub by name": (
        ("temperature",),
        (METER, HUB),
        False,
        (Selector(HUB.text, "temperature", ("bath", "kitchen")),),
        (),
    ),
    "future channels only when said so": (
        ("temperature",),
        (METER, HUB),
        True,
        (Selector(HUB.text, "temperature", None),),
        (),
    ),
    "a kind never seen: all devices, whatever channel": (
        ("humidity",),
        (HUB, METER),
        False,
        (Selector(HUB.text, "humidity", None), Selector(METER.text, "humidity", None)),
        ("humidity",),
    ),
    "never seen on the device that was chosen": (
        ("temperature",),
        (METER,),
        False,
        (Selector(METER.text, "temperature", None),),
        ("temperature",),
    ),
    "two kinds, one of them unseen": (
        ("power", "humidity"),
        (METER,),
        False,
        (Selector(METER.text, "humidity", None), Selector(METER.text, "power", ("",))),
        ("humidity",),
    ),
    "a device that was not chosen stays out": (
        ("energy",),
        (METER,),
        False,
        (Selector(METER.text, "energy", ("",)),),
        (),
    ),
}


@pytest.mark.parametrize(("kinds", "devices", "future", "selectors", "unseen"), CHOICES.values(), ids=CHOICES)
def test_selectors_name(
    kinds: tuple[str, ...],
    devices: tuple[DeviceId, ...],
    future: bool,
    selectors: tuple[Selector, ...],
    unseen: tuple[str, ...],
) -> None:
    chosen = choose_selectors(kinds, devices, SEEN, future=future)
    assert (chosen.selectors, chosen.unseen) == (selectors, unseen)


@pytest.mark.parametrize(("kinds", "devices"), [((), (METER,)), (("energy",), ())])
def test_nothing_is_given_without_a_kind_and_a_device(
    kinds: tuple[str, ...], devices: tuple[DeviceId, ...]
) -> None:
    with pytest.raises(TermsError):
        choose_selectors(kinds, devices, SEEN)

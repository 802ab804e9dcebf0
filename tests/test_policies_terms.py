"""The terms: which can be made, and hashes that hold all of them and the request they answer."""

from __future__ import annotations

import hashlib
import json

import msgspec
import pytest

from policies.errors import TermsError
from policies.minimise import Limit
from policies.terms import Selector, Terms, ask_hash, terms_hash
from tests.policies_samples import ASK, HUB, METER, TERMS

OVER = TERMS.access_until * 1000

BAD_TERMS: dict[str, dict[str, object]] = {
    "nothing is given": {"selectors": ()},
    "a kind of a device twice": {"selectors": (Selector(METER, "energy"), Selector(METER, "energy", ("a",)))},
    "no time": {"data_until": TERMS.data_from},
    "time before 1970": {"data_from": -1},
    "milliseconds": {"data_until": TERMS.data_until * 1000},
    "access in milliseconds": {"access_until": OVER},
    "a resolution that is not there": {"resolution": "minute"},
    "a mode that is not there yet": {"mode": "stream"},
    "no use": {"uses": 0},
    "fewer uses than none": {"uses": -1},
    "more uses than anybody counts": {"uses": 10**9 + 1},
    "no answer": {"budget": 0},
    "once, as often as the brand likes": {"mode": "once"},
    "once, twice": {"mode": "once", "uses": 2},
    "two limits of one kind": {"limits": (Limit(kind="energy", every=5), Limit(kind="energy", round="5"))},
}


@pytest.mark.parametrize("changes", BAD_TERMS.values(), ids=BAD_TERMS)
def test_terms_that_cannot_mean_anything_cannot_be_made(changes: dict[str, object]) -> None:
    with pytest.raises(TermsError):
        msgspec.structs.replace(TERMS, **changes)


def test_a_selector_of_no_channel_cannot_be_made() -> None:
    with pytest.raises(TermsError):
        Selector(METER, "energy", ())


def test_a_selector_of_a_resolution_that_is_not_there_cannot_be_made() -> None:
    for resolution in ("minute", "", "RAW"):
        with pytest.raises(TermsError):
            Selector(METER, "energy", None, resolution)


def test_what_cannot_be_made_cannot_be_read_either() -> None:
    """Terms come from outside, too: whatever breaks a rule of theirs is refused where it is decoded."""
    for changes in ({"mode": "once"}, {"mode": "stream"}, {"uses": 0}, {"resolution": "minute"}):
        body = msgspec.msgpack.encode({**msgspec.to_builtins(TERMS), **changes})
        with pytest.raises(msgspec.ValidationError):
            msgspec.msgpack.decode(body, type=Terms)


def test_the_resolution_of_a_selector_is_its_own_or_that_of_the_terms() -> None:
    own = (Selector(METER, "energy", None, "hour"), Selector(HUB, "energy"))
    terms = msgspec.structs.replace(TERMS, selectors=own, resolution="day")
    assert [terms.resolution_of(selector) for selector in own] == ["hour", "day"]


def test_the_hash_of_the_terms_is_the_one_that_the_document_spells_out() -> None:
    """Written out by hand here, byte by byte."""
    request_hash = ask_hash((ASK,))
    text = (
        '{"access_until":1775044800,"benefit":"10 % off the base fee","data_from":1772366400,'
        '"data_until":1774958400,"purpose":"dpv:ServiceProvision","purpose_text":"Bill by what you use",'
        '"recipients":["Grid operator"],"resolution":"raw","retention":"P90D","selectors":['
        f'{{"channels":null,"device":"{METER}","kind":"energy"}},'
        f'{{"channels":["attic","kitchen"],"device":"{HUB}","kind":"temperature"}}]}}'
    )
    expected = hashlib.sha256(b"hypertouch 1 terms\x00" + request_hash + text.encode()).digest()
    assert terms_hash(request_hash, TERMS) == expected


def test_the_hash_of_terms_with_every_member_is_the_one_that_the_document_spells_out() -> None:
    terms = msgspec.structs.replace(
        TERMS,
        selectors=(Selector(METER, "energy", None, "hour"), TERMS.selectors[1]),
        mode="answer",
        uses=3,
        budget=50,
        limits=(
            Limit(kind="temperature", round="0.5", fewest=5),
            Limit(kind="energy", every=900, hours=(1320, 420), zone="Europe/Berlin", drop=("high", "low")),
        ),
    )
    text = (
        '{"access_until":1775044800,"benefit":"10 % off the base fee","budget":50,"data_from":1772366400,'
        '"data_until":1774958400,"limits":[{"drop":["high","low"],"every":900,"hours":[1320,420],'
        '"kind":"energy","zone":"Europe/Berlin"},{"fewest":5,"kind":"temperature","round":"0.5"}],'
        '"mode":"answer","purpose":"dpv:ServiceProvision","purpose_text":"Bill by what you use",'
        '"recipients":["Grid operator"],"resolution":"raw","retention":"P90D","selectors":['
        f'{{"channels":null,"device":"{METER}","kind":"energy","resolution":"hour"}},'
        f'{{"channels":["attic","kitchen"],"device":"{HUB}","kind":"temperature"}}],"uses":3}}'
    )
    expected = hashlib.sha256(b"hypertouch 1 terms\x00" + b"r" * 32 + text.encode()).digest()
    assert terms_hash(b"r" * 32, terms) == expected


def test_the_hashes_of_before_are_the_hashes_of_now() -> None:
    """Computed by the version before there were modes, limits and resolutions of selectors."""
    request_hash = ask_hash((ASK,))
    assert request_hash.hex() == "8b6210646d9ffd5ed06bd8e8488900d8ff9b46a1e55febe95ab214b0269aff83"
    assert (
        terms_hash(request_hash, TERMS).hex()
        == "385f3c0df3471097de8a4dc827ef2f7db4a6d5e0b3a835c164a67cce57d4b21b"
    )


def test_the_hash_of_a_request_is_the_one_that_the_document_spells_out() -> None:
    text = (
        '[{"access_until":"2027-01-31T00:00:00Z","actions":["read"],"benefit":"10 % off the base fee",'
        '"data_from":"2026-01-01T00:00:00Z","data_until":"2027-01-01T00:00:00Z","datatypes":["energy"],'
        '"purpose":"dpv:ServiceProvision","purpose_text":"Bill by what you use","recipients":[],'
        '"required":true,"resolution":"raw","retention":"P90D","type":"personal_data"}]'
    )
    assert ask_hash((ASK,)) == hashlib.sha256(b"hypertouch 1 asks\x00" + text.encode()).digest()
    assert json.loads(text)


def test_the_hash_does_not_depend_on_the_order_of_selectors_and_channels() -> None:
    turned = msgspec.structs.replace(
        TERMS, selectors=(Selector(HUB, "temperature", ("kitchen", "attic")), Selector(METER, "energy"))
    )
    assert terms_hash(b"r" * 32, turned) == terms_hash(b"r" * 32, TERMS)
    limits = (Limit(kind="energy", every=5), Limit(kind="temperature", every=5))
    one, other = (msgspec.structs.replace(TERMS, limits=order) for order in (limits, limits[::-1]))
    assert terms_hash(b"r" * 32, one) == terms_hash(b"r" * 32, other)


CHANGES: dict[str, dict[str, object]] = {
    "selectors": {"selectors": TERMS.selectors[:1]},
    "channels": {"selectors": (Selector(METER, "energy", ("",)), TERMS.selectors[1])},
    "resolution": {"resolution": "day"},
    "data_from": {"data_from": TERMS.data_from - 1},
    "data_until": {"data_until": TERMS.data_until + 1},
    "access_until": {"access_until": TERMS.access_until + 1},
    "purpose": {"purpose": "dpv:Marketing"},
    "purpose_text": {"purpose_text": "Bill by what you use."},
    "retention": {"retention": None},
    "recipients": {"recipients": ()},
    "benefit": {"benefit": ""},
    "mode": {"mode": "answer"},
    "uses": {"uses": 1},
    "mode and uses": {"mode": "once", "uses": 1},
    "budget": {"budget": 1},
    "limits": {"limits": (Limit(kind="energy"),)},
    "a limit": {"limits": (Limit(kind="energy", every=5),)},
    "a zone": {"limits": (Limit(kind="energy", every=5, zone="Europe/Berlin"),)},
    "a selector's resolution": {
        "selectors": (msgspec.structs.replace(TERMS.selectors[0], resolution="raw"), TERMS.selectors[1])
    },
}


def test_the_hash_depends_on_every_field_and_on_the_request() -> None:
    assert {field for change in CHANGES.values() for field in change} == set(Terms.__struct_fields__)
    hashes = {terms_hash(b"r" * 32, msgspec.structs.replace(TERMS, **change)) for change in CHANGES.values()}
    hashes |= {terms_hash(b"r" * 32, TERMS), terms_hash(b"s" * 32, TERMS)}
    assert len(hashes) == len(CHANGES) + 2


def test_a_request_hash_of_another_size_is_refused() -> None:
    with pytest.raises(TermsError):
        terms_hash(b"r" * 31, TERMS)

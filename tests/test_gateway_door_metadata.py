"""What a door says of itself: what can be asked for is what is understood, word for word."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from gateway.door.config import DoorConfig
from gateway.door.errors import ProblemError
from gateway.door.forms import parse_question
from gateway.door.metadata import authorization_server, protected_resource
from gateway.questions import Question, misfit
from policies.kinds import catalogue
from policies.purposes import purposes
from policies.request import parse_details

CONFIG = DoorConfig(data="").located(8787)
RESOURCE: dict[str, Any] = protected_resource(CONFIG)
HEADERS = [(b"content-type", b"application/json")]


def detail(**more: object) -> str:
    """A request with something in it."""
    one = {"type": "personal_data", "datatypes": ["temperature"], "purpose": "dpv:ServiceProvision", **more}
    return json.dumps([one])


def test_every_resolution_and_mode_that_is_announced_can_be_asked_for() -> None:
    kinds = {kind: catalogue().kind(kind).resolutions for kind in ("temperature", "location")}
    assert set(RESOURCE["resolutions_supported"]) == {name for names in kinds.values() for name in names}
    for kind, names in kinds.items():
        for name in names:
            text = detail(datatypes=[kind], resolution=name)
            (ask,) = parse_details(text, catalogue(), purposes(), 0)
            assert ask.ideal == name
    for mode in RESOURCE["modes_supported"]:
        (ask,) = parse_details(detail(mode=mode), catalogue(), purposes(), 0)
        assert ask.mode_minimum == mode
    assert "stream" not in RESOURCE["modes_supported"]  # what is not built is not announced


def test_every_function_and_period_that_is_announced_is_understood() -> None:
    """And fits some kind; another is refused."""
    for function in RESOURCE["functions_supported"]:
        for period in RESOURCE["periods_supported"]:
            body = {"kind": "temperature", "function": function, "period": period}
            question = parse_question(HEADERS, b"", json.dumps(body).encode())
            assert (question.function, question.period) == (function, period)
        kinds = [catalogue().kind(name) for name in ("temperature", "door", "location")]
        asked = [
            Question("x", function, "day", threshold=threshold, cells=cells)
            for threshold in (None, 1.0)
            for cells in ((), ("871f1d489ffffff",))
        ]
        assert any(misfit(question, kind) is None for question in asked for kind in kinds)
    for wrong in ({"function": "median"}, {"period": "year"}):
        body = {"kind": "temperature", "function": "mean", "period": "day", **wrong}
        with pytest.raises(ProblemError):
            parse_question(HEADERS, b"", json.dumps(body).encode())


def test_metadata_is_json_and_names_this_door() -> None:
    for document in (authorization_server(CONFIG), RESOURCE):
        assert msgspec.json.decode(msgspec.json.encode(document)) == document
    assert RESOURCE["authorization_servers"] == [authorization_server(CONFIG)["issuer"]]

"""A third party's OAuth client runs the whole story unchanged."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests
from requests_oauth2client import (
    AccessDenied,
    AuthorizationPending,
    BearerToken,
    InvalidClient,
    OAuth2Client,
    SlowDown,
)
from requests_oauth2client.auth import OAuth2AccessTokenAuth
from requests_oauth2client.client_authentication import ClientSecretBasic, ClientSecretPost

from gateway import wire
from gateway.senmlout import decode
from policies.terms import Selector
from tests.door_world import Brand, Someone, grant_of, temperature, world
from vault.ids import GrantId

DETAILS = '[{"type":"personal_data","datatypes":["temperature"],"purpose":"dpv:ServiceProvision"}]'


def client_of(
    brand: Brand, method: type[ClientSecretBasic] | type[ClientSecretPost] = ClientSecretBasic
) -> OAuth2Client:
    """The library, told nothing but where the server is and who we are."""
    url = f"{brand.world.url}/.well-known/openid-configuration"
    found = requests.get(url, timeout=10).json()
    return OAuth2Client.from_discovery_endpoint(
        url,
        auth=method(brand.client_id, brand.secret),
        backchannel_authentication_endpoint=found["backchannel_authentication_endpoint"],
        testing=True,  # plain http, on loopback
    )


@pytest.mark.parametrize("method", [ClientSecretBasic, ClientSecretPost])
def test_ask_poll_read_introspect_revoke(
    tmp_path: Path, method: type[ClientSecretBasic] | type[ClientSecretPost]
) -> None:
    with world(tmp_path / "data") as made:
        someone, brand = Someone(made), made.brand()
        source = someone.device()
        someone.publish(source, temperature(made, -1, 20.5))
        client = client_of(brand, method)
        asked = client.backchannel_authentication_request(
            login_hint=someone.touchpoint(brand),
            binding_message="Contract 12-34",
            authorization_details=DETAILS,
            requested_expiry=3600,
        )
        assert (asked.interval, asked.is_expired()) == (10, False)
        with pytest.raises(AuthorizationPending):
            client.ciba(asked)
        with pytest.raises(SlowDown):
            client.ciba(asked)
        someone.approve(grant_of(asked.auth_req_id), Selector(source.text, "temperature", None), days_back=1)
        token = client.ciba(asked)
        assert isinstance(token, BearerToken)
        answer = requests.get(
            f"{made.url}/observations", auth=OAuth2AccessTokenAuth(client, token), timeout=10
        )
        assert [reading.value for reading in decode(answer.content)] == [20.5]
        assert client.introspect_token(token)["active"] is True
        assert client.revoke_access_token(token) is True
        assert client.introspect_token(token) == {"active": False}
        again = requests.get(
            f"{made.url}/observations", auth=OAuth2AccessTokenAuth(client, token), timeout=10
        )
        assert again.status_code == 401


def test_its_errors_are_the_standards(tmp_path: Path) -> None:
    with world(tmp_path / "data") as made:
        someone, brand = Someone(made), made.brand()
        client = client_of(brand)
        hint = someone.touchpoint(brand)
        asked = client.backchannel_authentication_request(login_hint=hint, authorization_details=DETAILS)
        someone.tell(wire.Deny(GrantId.parse(grant_of(asked.auth_req_id)), ""))
        with pytest.raises(AccessDenied):
            client.ciba(asked)
        brand.secret = "hts_wrong"
        with pytest.raises(InvalidClient):
            client_of(brand).ciba(asked)

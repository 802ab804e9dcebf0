"""What a brand's program can find out by itself: RFC 8414 with the fields of CIBA and RFC 9396; RFC 9728."""

from __future__ import annotations

from typing import Final

from gateway.door.config import DoorConfig
from gateway.questions import FUNCTIONS, PERIODS
from policies.kinds import catalogue
from policies.request import ACTIONS_SUPPORTED, DETAIL_TYPE
from policies.wishes import MODES_SUPPORTED, RESOLUTIONS_SUPPORTED

GRANT_TYPE: Final = "urn:openid:params:grant-type:ciba"
CLIENT_AUTH: Final = ("client_secret_basic", "client_secret_post")


def authorization_server(config: DoorConfig) -> dict[str, object]:
    """Served at /.well-known/oauth-authorization-server, and where OpenID's clients look for it."""
    url = config.public_url
    return {
        "issuer": url,
        "token_endpoint": f"{url}/token",
        "backchannel_authentication_endpoint": f"{url}/bc-authorize",
        "backchannel_token_delivery_modes_supported": ["poll"],
        "backchannel_user_code_parameter_supported": False,
        "introspection_endpoint": f"{url}/introspect",
        "revocation_endpoint": f"{url}/revoke",
        "grant_management_endpoint": f"{url}/grants",
        "grant_management_actions_supported": ["query", "revoke"],
        "grant_types_supported": [GRANT_TYPE],
        "response_types_supported": [],
        "scopes_supported": ["openid"],
        "authorization_details_types_supported": [DETAIL_TYPE],
        "token_endpoint_auth_methods_supported": list(CLIENT_AUTH),
        "introspection_endpoint_auth_methods_supported": list(CLIENT_AUTH),
        "revocation_endpoint_auth_methods_supported": list(CLIENT_AUTH),
    }


def protected_resource(config: DoorConfig) -> dict[str, object]:
    """Served at /.well-known/oauth-protected-resource; what can be asked for, by name."""
    return {
        "resource": config.public_url,
        "resource_name": "Hypertouch",
        "authorization_servers": [config.public_url],
        "bearer_methods_supported": ["header"],
        "authorization_details_types_supported": [DETAIL_TYPE],
        "actions_supported": list(ACTIONS_SUPPORTED),
        "resolutions_supported": list(RESOLUTIONS_SUPPORTED),
        "modes_supported": list(MODES_SUPPORTED),
        "functions_supported": list(FUNCTIONS),
        "periods_supported": list(PERIODS),
        "datatypes_supported": list(catalogue().names()),
    }

"""Short visits to a broker that store nothing: what comes there, who is let in, and a session's end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Final

import msgspec
from paho.mqtt.client import MQTTMessage

from gateway.bridge.config import BridgeConfig, Broker
from gateway.bridge.connection import VERSIONS, Connection, Login, Opened, VersionError
from gateway.bridge.filters import Routes, disjoint
from gateway.errors import BrokerError

TOPICS_MAX: Final = 1_000  # that a look remembers one by one
_RANDOM_ID: Final = 8  # bytes of a visitor's client id


class Topic(msgspec.Struct):
    """A topic that was seen: how often live, and whether the broker keeps a message of it."""

    topic: str
    device: str | None
    messages: int = 0
    retained: bool = False


class Seen(msgspec.Struct, frozen=True):
    """What came in a while; ``more`` messages were of topics beyond ``TOPICS_MAX``."""

    version: str
    topics: list[Topic]
    more: int


async def look(config: BridgeConfig, seconds: float, entropy: Callable[[int], bytes]) -> Seen:
    """Subscribe to what a bridge subscribes to, for some seconds; raises BrokerError.

    The visitor has a client id of its own and leaves no session behind.
    """
    routes = Routes(config.mappings)
    topics: dict[str, Topic] = {}
    more = 0

    def received(_: Connection, message: MQTTMessage) -> None:
        nonlocal more
        try:
            name = message.topic
        except UnicodeDecodeError:
            more += 1
            return
        found = topics.get(name)
        if found is None:
            device = routes.device(name)
            if device is None or len(topics) >= TOPICS_MAX:
                more += device is not None
                return
            found = topics[name] = Topic(name, device)
        if message.retain:
            found.retained = True
        else:
            found.messages += 1

    login = Login(_visitor(entropy), config.username, config.password, config.ca_pem, keep=False)
    async with _visit(config.broker, login, received) as (connection, _):
        await connection.subscribe(disjoint(one.filter for one in config.mappings), 0)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await connection.ended.wait()
        if connection.ended.is_set():
            raise BrokerError(connection.reason or "the broker ended the connection")
        return Seen(connection.version, sorted(topics.values(), key=lambda one: one.topic), more)


async def lets_anybody_in(broker: Broker, ca_pem: str, entropy: Callable[[int], bytes]) -> bool:
    """Whether a client without a user name may connect; raises BrokerError where nobody can be asked."""
    login = Login(_visitor(entropy), ca_pem=ca_pem, keep=False)
    try:
        async with _visit(broker, login, _ignore):
            return True
    except VersionError:
        return False  # it ended the connection without a word
    except BrokerError as error:
        if error.refused:
            return False
        raise


async def forget(config: BridgeConfig) -> None:
    """End the sessions that a broker keeps for a bridge, and all that waits in them; raises BrokerError."""
    for name in config.devices:
        for worker in range(config.workers):
            login = Login(
                config.session(name, worker), config.username, config.password, config.ca_pem, keep=False
            )
            async with _visit(config.broker, login, _ignore):
                pass  # a clean start, and a session that ends with its connection


@contextlib.asynccontextmanager
async def _visit(
    broker: Broker, login: Login, receive: Callable[[Connection, MQTTMessage], None]
) -> AsyncIterator[tuple[Connection, Opened]]:
    """A connection in the first version that the broker speaks."""
    versions = list(VERSIONS)
    for version in versions:
        connection = Connection(broker, login, version, receive)
        try:
            opened = await connection.open()
        except VersionError:
            connection.close()
            if version == versions[-1]:
                raise
        except BaseException:
            connection.close()
            raise
        else:
            try:
                yield connection, opened
            finally:
                connection.close()
            return


def _visitor(entropy: Callable[[int], bytes]) -> str:
    return f"hypertouch-look-{entropy(_RANDOM_ID).hex()}"


def _ignore(_: Connection, message: MQTTMessage) -> None:
    """Nothing that comes is wanted."""
    del message

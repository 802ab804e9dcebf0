"""One commit's deliveries, read: what is to be stored of them, and what they teach.

It runs on the writer's thread.  A commit that fails leaves nothing of it behind.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Protocol

from gateway.dialects import Reading, read
from gateway.dialects.reading import PLAIN
from gateway.node.gaps import Gaps
from gateway.node.known import Known
from gateway.node.ports import Delivery
from vault.ids import DeviceId, Entropy, VaultId
from vault.store.state import Arrival, Learned, Special

_log = logging.getLogger("hypertouch.node")
_NOT_READ = Reading(PLAIN, (), True, 0)  # kept whole
_CHANNEL_FREE = b"\0"  # between topic and payload of what is kept whole; a topic cannot hold it


class Source(Protocol):
    """The link that deliveries came over."""

    @property
    def vault(self) -> VaultId:
        """Whose device it is."""

    @property
    def device(self) -> DeviceId:
        """Which device it is."""

    @property
    def known(self) -> Known:
        """What its messages mean."""

    def client_key(self, client_id: str) -> bytes:
        """How a client id is named on disk."""

    def digest(self, topic: bytes, payload: bytes) -> bytes:
        """What recognises a redelivery."""


class Arrivals:
    """Collects one commit; ``now`` is its time in milliseconds."""

    def __init__(self, now: int, gaps: Gaps) -> None:
        self._now, self._gaps = now, gaps
        self._taught: dict[Known, None] = {}
        self.found: list[Arrival] = []

    def take(self, link: Source, deliveries: Iterable[Delivery]) -> None:
        """Read the deliveries of one link, in their order; what one teaches holds for the next."""
        vault, device, known, now, add = link.vault, link.device, link.known, self._now, self.found.append
        for delivery in deliveries:
            try:
                reading = read(delivery.topic, delivery.payload, now, known.notebook)
                if reading.lessons and known.learn(reading.lessons):
                    self._taught[known] = None
                if reading.dialect != PLAIN and reading.observations and known.hears(reading.dialect):
                    self._taught[known] = None
            except Exception as error:  # a fault of ours; what a device sends must not end the node
                _log.error("a dialect failed: %s", type(error).__name__)  # never its text
                reading = _NOT_READ
            if delivery.retained:  # a broker's state of long ago: it tells what a device is, and no reading
                continue
            recent = None
            if delivery.qos and delivery.client_id:
                digest = link.digest(delivery.topic.encode(), delivery.payload)
                recent = (link.client_key(delivery.client_id), delivery.packet_id, digest)
            again = delivery.dup and delivery.fresh
            whole = special = None
            if reading.quarantine or reading.blob:
                whole = delivery.topic.encode() + _CHANNEL_FREE + delivery.payload
            if reading.blob or reading.resends or reading.foreign or reading.sequence is not None:
                special = self._special(known, reading, whole)
                if reading.blob:
                    whole = None
            add(
                Arrival(
                    vault, device, now, reading.observations, whole, reading.dropped, recent, again, special
                )
            )

    def learned(self, entropy: Entropy) -> list[Learned]:
        """What is to be stored of what was taught."""
        sealed = ((known, known.seal(entropy)) for known in self._taught)
        return [Learned(known.vault, known.device, lessons) for known, lessons in sealed if lessons]

    def settle(self, refused: set[VaultId] | None) -> None:
        """All of it is stored but for these vaults; None: nothing is."""
        for known in self._taught:
            known.settle(stored=refused is not None and known.vault not in refused)
        self._gaps.settle(refused)

    def _special(self, known: Known, reading: Reading, whole: bytes | None) -> Special:
        """What few messages are: not to be read, sent again, numbered, or heard from a neighbour."""
        gaps = 0
        if reading.sequence is not None:
            gaps = self._gaps.count(known.vault, known.device, *reading.sequence)
        digests = known.digests(reading.observations) if reading.resends else ()
        return Special(whole if reading.blob else None, digests, reading.foreign, gaps)

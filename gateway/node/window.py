"""What one connection has received and not acknowledged: order, duplicates, QoS 2 (MQTT 5, 4.3 and 4.6).

Pure: no socket and no clock. Acknowledgements leave in the order in which their messages came, whatever the
order in which they were stored (MQTT-4.6.0-2, MQTT-4.6.0-3).
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Sequence
from typing import Final

from gateway.errors import ProtocolError
from gateway.mqtt import PUBACK_WORD, PUBREC_WORD, Publish, Reason
from gateway.node.limits import MESSAGE_COST
from gateway.node.ports import Delivery

REMEMBERED: Final = 4096  # packet ids remembered with their message, a power of two
_MASK: Final = REMEMBERED - 1
_HIGH: Final = 12  # bits of a packet id that say its place; the four above it are kept there
_EMPTY: Final = bytes(4 * REMEMBERED)


class Batch:
    """Messages that came together, and the acknowledgements (``join_acks`` words) they lead to."""

    __slots__ = ("count", "deliveries", "size", "stored", "words")

    def __init__(self, deliveries: list[Delivery], words: list[int], count: int, size: int) -> None:
        self.deliveries = deliveries
        self.words = words
        self.count = count
        self.size = size
        self.stored = False


class Window:
    """The messages in flight on one connection; ``messages`` and ``bytes`` count them.

    A connection that only publishes at QoS 0, or not at all, takes no memory for what it does not need.
    """

    __slots__ = ("_client_id", "_marks", "_queue", "_receive_maximum", "_unreleased", "bytes", "messages")

    def __init__(self, client_id: str, receive_maximum: int) -> None:
        self.messages = 0
        self.bytes = 0
        self._client_id = client_id
        self._receive_maximum = receive_maximum
        self._queue: deque[Batch] = deque()
        self._unreleased: dict[int, Batch] = {}  # QoS 2 ids between PUBLISH and PUBREL
        # The latest message of a packet id, by the id's lower bits: fixed memory, and exact for ids given
        # in order. A mark is 28 bits of a keyed hash over the id's upper four; 0 is none.
        self._marks = array("I")

    def take(self, publishes: Sequence[Publish]) -> Batch:
        """Put messages in flight and say which of them are new.

        A QoS 2 id that was not released is a duplicate. So is DUP with the id and the content of a message
        this connection has seen: MQTT 3.1 retries within a connection. Duplicates are acknowledged and not
        delivered.

        Raises:
            ProtocolError: more unreleased QoS 2 ids than the receive maximum.
        """
        client_id, marks = self._client_id, self._marks
        deliveries: list[Delivery] = []
        words: list[int] = []
        batch = Batch(deliveries, words, len(publishes), len(publishes) * MESSAGE_COST)
        size = 0
        for publish in publishes:
            qos, packet_id = publish.qos, publish.packet_id
            fresh = True
            if qos:
                if qos == 1:
                    words.append(PUBACK_WORD | packet_id)
                else:
                    words.append(PUBREC_WORD | packet_id)
                    if packet_id in self._unreleased:
                        continue
                    self._unreleased[packet_id] = batch
                if not marks:
                    marks.frombytes(_EMPTY)
                slot = packet_id & _MASK
                high = packet_id >> _HIGH
                mark = (hash((publish.topic, publish.payload)) & 0x0FFFFFFF or 1) << 4 | high
                if publish.dup and marks[slot] & 15 == high and marks[slot]:
                    if marks[slot] == mark and qos == 1:
                        continue
                    fresh = False
                marks[slot] = mark
            payload = publish.payload
            size += len(payload)
            deliveries.append(Delivery(publish.topic, payload, qos, publish.dup, packet_id, client_id, fresh))
        if len(self._unreleased) > self._receive_maximum:
            raise ProtocolError(Reason.RECEIVE_MAXIMUM_EXCEEDED, "too many QoS 2 messages without PUBREL")
        batch.size += size
        self._queue.append(batch)
        self.messages += batch.count
        self.bytes += batch.size
        return batch

    def stored(self, batch: Batch) -> list[int]:
        """A batch is durable: the acknowledgements that may now go out, in order."""
        batch.stored = True
        words: list[int] = []
        while self._queue and self._queue[0].stored:
            first = self._queue.popleft()
            words += first.words
            self.messages -= first.count
            self.bytes -= first.size
        return words

    def release(self, packet_id: int) -> bool:
        """PUBREL: forget a QoS 2 id; False when it was not known.

        Raises:
            ProtocolError: the client has not had our PUBREC, so it cannot know that the message is stored.
        """
        batch = self._unreleased.get(packet_id)
        if batch is None:
            return False
        if not batch.stored:
            raise ProtocolError(Reason.PROTOCOL_ERROR, "PUBREL before PUBREC")
        del self._unreleased[packet_id]
        return True


NOTHING: Final = Window("", 0)  # of connections that have not authenticated: nothing is ever put into it

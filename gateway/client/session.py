"""A person's unlocked session with one vault on one host: signed calls, and a host that is held to its word.

The ledger is followed from the pinned head before the first answer is believed, and once more at the end
of a session that changed something, so that this very change cannot be rolled back unnoticed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Final, Self, TypeVar

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway import wire
from gateway.client.errors import REFUSALS, AnswerError, InvalidError, RefusalError, RolledBackError
from gateway.client.http import Http
from gateway.client.verify import (
    OLDER,
    Pins,
    check_chain,
    check_overview,
    follow_page,
    follow_rules,
    pin_rules,
)
from vault.errors import VaultError
from vault.ids import ClientId, Entropy
from vault.ledger import Entry, Head, SealedEntry, open_entry
from vault.person import Owner
from vault.segment import SegmentHeader, open_owner_box
from vault.statement import Signed
from vault.store.records import SegmentRow

R = TypeVar("R", bound=wire.Reply)
Clock = Callable[[], int]  # milliseconds since the Unix epoch

PAGE: Final = 1000  # ledger entries a call
NONCE_SIZE: Final = 16  # bytes


class Identity(msgspec.Struct, frozen=True):
    """An enrolled client: its id and the key it signs calls with."""

    client: ClientId
    key: Ed25519PrivateKey


class Session:
    """Speaks for the owner.  ``keep`` is told every time the pins have moved."""

    def __init__(
        self,
        http: Http,
        owner: Owner,
        identity: Identity,
        pins: Pins,
        *,
        keep: Callable[[Pins], None],
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        self.http = http
        self.owner = owner
        self.pins = pins
        self.clock = clock
        self.entropy = entropy
        self.identity = identity
        self._keep = keep
        self._followed = False
        self._changed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._changed and error is None:
                self.follow()
        finally:
            self.http.close()

    def ask(self, call: wire.OwnerRead, reply: type[R]) -> R:
        """What a read answers.

        Raises:
            DistrustError: the host shows another vault, or other standing rules, than the pinned ones.
            RefusalError, UnreachableError, AnswerError
        """
        self._follow_once()
        answer = self._exchange(call, reply)
        if isinstance(answer, wire.Overview):
            check_overview(self.pins, answer)
        if isinstance(answer, wire.StandingRulesReply):
            self._move(follow_rules(self.pins, answer.signed))
        return answer

    def tell(self, call: wire.OwnerWrite, reply: type[R]) -> R:
        """Change something; raises as ``ask``."""
        self._follow_once()
        self._changed = True
        return self._exchange(call, reply)

    def set_rules(self, signed: Signed) -> None:
        """Put the next standing rules in force; from then on the host is held to them.  Raises as ``ask``."""
        self.tell(wire.SetRules(signed), wire.Done)
        self._move(pin_rules(self.pins, signed))

    def follow(self) -> None:
        """Follow the ledger from the pinned head to the host's; raises as ``ask``."""
        self._move(self._follow_from(self.pins))
        self._followed = True
        self._changed = False

    def ledger(self) -> Iterator[tuple[int, Entry]]:
        """Every entry with its number, from the first, opened; the chain is held against the pinned head.

        Raises:
            ForkedError, RolledBackError: the chain does not hold.
            AnswerError: an entry does not open.
        """
        self._follow_once()
        pins, head = self.pins, Head()
        keys: dict[bytes, tuple[SegmentHeader, bytes]] = {}
        while True:
            page = self._exchange(wire.GetLedger(head.number, PAGE), wire.Ledger)
            head = check_chain(pins, page.entries, page.head, head)
            keys.update(self._ledger_keys(page.segments, keys))
            for entry in page.entries:
                yield entry.number, _open(keys, entry)
            if not page.entries or head.number >= page.head.number:
                break
        if head.number < max(pins.head.number, page.head.number):
            raise RolledBackError(OLDER)

    def accept(self) -> Head:
        """Pin what the host shows, although it is not what was pinned; the chain is followed from its start.

        Only on the person's word: after a restored backup this is how a client goes on.
        """
        afresh = msgspec.structs.replace(self.pins, head=Head(), generation=0, rules=0, rules_hash=b"")
        shown = self._exchange(wire.GetRules(), wire.StandingRulesReply).signed
        self._move(follow_rules(self._follow_from(afresh), shown))
        self._followed = True
        return self.pins.head

    def _ledger_keys(
        self, rows: list[SegmentRow], known: dict[bytes, tuple[SegmentHeader, bytes]]
    ) -> Iterator[tuple[bytes, tuple[SegmentHeader, bytes]]]:
        for row in rows:
            try:
                header = SegmentHeader.decode(row.header)
                if header.segment not in known:
                    key = open_owner_box(self.owner.hpke, self.owner.key_id, header, row.owner_box)
                    yield header.segment, (header, key)
            except VaultError:
                raise AnswerError("a segment of the ledger does not open") from None

    def _follow_once(self) -> None:
        if not self._followed:
            self.follow()

    def _follow_from(self, pins: Pins) -> Pins:
        """The pins at the host's head; a fork shows only there, so nothing is pinned on the way."""
        while True:
            page = self._exchange(wire.GetLedger(pins.head.number, PAGE), wire.Ledger)
            pins = follow_page(pins, page)
            if pins.head.number >= page.head.number:
                return pins

    def _exchange(self, call: wire.OwnerCall, reply: type[R]) -> R:
        envelope = wire.Envelope(
            vault=self.pins.vault,
            client=self.identity.client,
            created=self.clock(),
            nonce=self.entropy(NONCE_SIZE),
            seen=self.pins.head,
            body=wire.encode(call),
        )
        return expect(self.http.exchange("/owner/call", envelope.signed(self.identity.key)), reply)

    def _move(self, pins: Pins) -> None:
        if pins != self.pins:
            self.pins = pins
            self._keep(pins)


def _open(keys: dict[bytes, tuple[SegmentHeader, bytes]], entry: SealedEntry) -> Entry:
    try:
        header, key = keys[entry.segment]
        return open_entry(key, header, entry)
    except (VaultError, KeyError):
        raise AnswerError("an entry of the ledger does not open") from None


def expect(answer: wire.AnyReply, reply: type[R]) -> R:
    """The answer, if it is of this type.

    Raises:
        RefusalError: the host said no; the subclass says which no.
        AnswerError: an answer to something else.
    """
    if isinstance(answer, wire.Refused):
        raise refusal(answer)
    if not isinstance(answer, reply):
        raise AnswerError("the server answered something else than it was asked")
    return answer


def refusal(answer: wire.Refused) -> RefusalError:
    """The error for a host's no; a code that this version does not know is one of not being understood."""
    kind = REFUSALS.get(answer.code, InvalidError)
    return kind(answer.what, answer.hint, answer.retry_after)

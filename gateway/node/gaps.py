"""Messages that a device numbered and we never had: counted from its numbers, in memory, for each device.

The first number of a session is where counting begins, also after a start of the node: what was missing
before it is not known.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, NamedTuple

from vault.ids import DeviceId, VaultId

DEVICES: Final = 4096  # that are followed; beyond it those that were silent the longest are forgotten
SESSIONS: Final = 8  # of one device
LATE: Final = 1024  # missing numbers of a session that may still come
JUMP: Final = 1_000_000  # more than this at once is another count, and not a gap


class _Session(NamedTuple):
    highest: int
    missing: frozenset[int]


_Sessions = dict[str, _Session]


class Gaps:
    """Follows all devices; ``settle`` says of which numbers, since the last time, the messages are stored."""

    def __init__(self) -> None:
        self._devices: OrderedDict[DeviceId, _Sessions] = OrderedDict()
        self._before: dict[DeviceId, tuple[VaultId, _Sessions | None]] = {}

    def count(self, vault: VaultId, device: DeviceId, session: str, number: int) -> int:
        """How many more messages are missing, now that this number came; -1: it was one of them."""
        sessions = self._devices.get(device)
        if sessions is None or device not in self._before:
            self._before[device] = vault, sessions
            sessions = dict(sessions or {})
            self._devices[device] = sessions
            self._devices.move_to_end(device)
        known = sessions.get(session)
        if known is None or number > known.highest + 1 + JUMP:
            sessions.pop(session, None)
            sessions[session] = _Session(number, frozenset())
            while len(sessions) > SESSIONS:
                del sessions[next(iter(sessions))]
            return 0
        if number > known.highest:
            skipped = range(known.highest + 1, number)
            missing = known.missing
            if skipped:
                late = sorted(missing)[len(skipped) - LATE :] if len(skipped) < LATE else []
                missing = frozenset((*late, *skipped[-LATE:]))
            sessions[session] = _Session(number, missing)
            return len(skipped)
        if number in known.missing:
            sessions[session] = known._replace(missing=known.missing - {number})
            return -1
        return 0  # it came again, or it is from before we began

    def settle(self, refused: set[VaultId] | None) -> None:
        """All is stored but for these vaults' messages; None: nothing is."""
        for device, (vault, sessions) in self._before.items():
            if refused is None or vault in refused:
                if sessions is None:
                    self._devices.pop(device, None)
                else:
                    self._devices[device] = sessions
        self._before.clear()
        while len(self._devices) > DEVICES:
            self._devices.popitem(last=False)

"""OwnTracks: where a phone is (https://owntracks.org/booklet/tech/json/, type "location").

Other types (transition, waypoint, lwt, encrypted, ...) are not understood yet and go to quarantine.
"""

from __future__ import annotations

from gateway.dialects import clock
from gateway.dialects.decode import decode
from gateway.dialects.draft import Draft, names
from gateway.dialects.reading import DialectSettings, Reading
from gateway.dialects.values import is_number, place

# field -> (kind, unit, whether -1 means "unknown")
FIELDS: dict[str, tuple[str, str | None, bool]] = {
    "alt": ("altitude", "m", False),
    "batt": ("battery", "%", True),
    "cog": ("course", "deg", True),
    "p": ("pressure", "kPa", False),
    "vel": ("speed", "km/h", True),
}

# How the phone came to know and to tell, what it calls the place: nothing that was measured.
IGNORED = names(
    "_type _id acc BSSID SSID bs conn created_at disptst inregions inrids isotst lat lon m motionactivities"
    " poi rad rid source t tag tid topic tst tzname vac"
)


def read(topic: str, payload: bytes, arrival: int, _settings: DialectSettings) -> Reading:
    """Read one location; its channel is <user>/<device>."""
    draft = Draft("owntracks", arrival)
    fields = decode(payload)
    if not isinstance(fields, dict) or fields.get("_type") != "location":
        return draft.refuse()
    if not is_number(fields.get("tst")) or "lat" not in fields or "lon" not in fields:
        return draft.refuse()  # the three that the format requires
    channel = channel_of(topic)
    draft.at(clock.from_seconds(fields["tst"]))
    position = place(fields["lat"], fields["lon"], fields.get("acc"))
    draft.put(channel, draft.kinds.kind("location"), position)
    for name, value in fields.items():
        if name in FIELDS:
            kind, unit, sentinel = FIELDS[name]
            draft.add(channel, draft.kinds.kind(kind), None if sentinel and value == -1 else value, unit)
        elif name not in IGNORED:
            draft.quarantine = True
    return draft.finish()


def channel_of(topic: str) -> str:
    """<user>/<device> of owntracks/<user>/<device>, or the last two levels of a topic of one's own."""
    base, _, rest = topic.partition("/")
    return rest if base == "owntracks" and rest else "/".join(topic.split("/")[-2:])

"""From what a person says of payloads to rules, and what these would give: pure, from values to values.

What is said of the paths of one shape becomes one rule, in the notation of ``gateway.dialects.rules``; a
preview tells what all payloads would give with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

import msgspec

from gateway.client.errors import TermsError
from gateway.client.shapes import NO_READING, Kept, Member
from gateway.dialects import DialectSettings, Notebook, Reading, read
from gateway.dialects.rules import Field, Format, Rule, Time, literal
from gateway.dialects.specs import Spec
from policies.kinds import catalogue
from vault.observation import Observation

CHANNEL: Final = "{topic}"  # as plain JSON has it


class Choice(msgspec.Struct, frozen=True):
    """What a person says of one path: a reading of a kind, or nothing that is to be read."""

    path: str
    kind: str = ""  # "": ignore it
    unit: str = ""
    scale: float = 1.0
    channel: str = ""
    inverse: bool = False


class Lines(msgspec.Struct, frozen=True):
    """What a preview shows of one series: how many readings, and the first and last of them."""

    channel: str
    kind: str
    count: int
    first: Observation
    last: Observation


class Preview(msgspec.Struct, frozen=True):
    """What payloads would give: those that are understood leave quarantine, the others stay."""

    payloads: int
    stay: int
    readings: int
    dropped: int
    series: list[Lines]
    stored: int = 0  # readings of these payloads that are in the vault since they came

    @property
    def leave(self) -> int:
        """How many payloads are understood."""
        return self.payloads - self.stay


# --- rules -----------------------------------------------------------------------------------------------


def make_rule(
    topic: str, form: Format, choices: Iterable[Choice], *, time: Time | None = None, channel: str = CHANNEL
) -> Rule:
    """The rule that says what was chosen; raises TermsError for what the notation does not know.

    A choice of a place has the paths of latitude, longitude and perhaps accuracy, with commas between.
    """
    fields: list[Field] = []
    ignored: list[str] = []
    for choice in choices:
        if not choice.kind:
            ignored.append(choice.path or "*")
            continue
        if catalogue().kind(choice.kind).type == "place":
            lat, lon, *accuracy = [*choice.path.split(","), ""][:3]
            if not lat or not lon or choice.path.count(",") > 2:
                raise TermsError("a place is written LAT,LON=location, or LAT,LON,ACCURACY=location")
            fields.append(
                Field(kind=choice.kind, lat=lat, lon=lon, accuracy="".join(accuracy), channel=choice.channel)
            )
            continue
        fields.append(
            Field(
                path=choice.path,
                kind=choice.kind,
                unit=choice.unit,
                scale=choice.scale,
                channel=choice.channel,
                inverse=choice.inverse,
            )
        )
    rule = Rule(
        topic=topic,
        format=form,
        time=() if time is None else time,
        channel=channel,
        fields=tuple(fields),
        ignore=tuple(ignored),
    )
    check_rule(rule)
    return rule


def complete(found: Iterable[Member], choices: Sequence[Choice], *, timed: bool = False) -> list[Choice]:
    """The choices, and beside them what was understood in the same objects.

    A rule that leads into an object reads all of it, and one that names a time (``timed``) takes it from the
    rest of the message: what had a meaning there keeps it, and its channel.
    """
    named = {path for choice in choices for path in choice.path.split(",")}
    entered = {_parent(path) for path in named} - {""}
    more = [
        Choice(
            ",".join(filter(None, member.place or (member.path,))),
            member.meaning,
            channel=member.channel,
            inverse=catalogue().kind(member.meaning).inverts(member.name),
        )
        for member in found
        if member.meaning not in ("", NO_READING)
        and member.path not in named
        and (timed or _parent(member.path) in entered)
    ]
    return [*choices, *more]


def place(found: Iterable[Member], choices: Iterable[Choice]) -> list[Choice]:
    """Choices with channels: of the object a field is in, and with its name where two would be one series."""
    members = {member.path: member for member in found}
    taken = {
        (member.channel, member.meaning)
        for member in members.values()
        if member.meaning not in ("", NO_READING)
    }
    placed = []
    for choice in choices:
        member = members.get(choice.path.split(",")[0])
        if choice.kind and not choice.channel and member is not None:
            channel = member.channel
            if (channel, choice.kind) in taken:
                channel = "/".join(filter(None, (channel, literal(member.name))))
            choice = msgspec.structs.replace(choice, channel=channel)
        taken.add((choice.channel, choice.kind))
        placed.append(choice)
    return placed


def _parent(path: str) -> str:
    return path.rpartition(".")[0]


def time_of(found: Iterable[Member]) -> Time | None:
    """When the payloads say they were made, where that is understood without a rule."""
    known = [member for member in found if member.is_time and member.meaning == NO_READING]
    return Time(known[0].path) if known else None


def check_rule(rule: Rule) -> None:
    """Return if a rule can be run; raises TermsError."""
    try:
        Spec(rule)
    except (ValueError, OverflowError) as error:
        raise TermsError(f"this cannot be a rule: {error}") from None


def with_rule(taught: tuple[Rule, ...], rule: Rule) -> tuple[Rule, ...]:
    """The rules with one more; what an earlier one of the same topic says of other paths holds on."""
    for at, before in enumerate(taught):
        if (before.topic, before.format, before.each) != (rule.topic, rule.format, rule.each):
            continue
        named = {_place(field) for field in rule.fields} | set(rule.ignore)
        joined = msgspec.structs.replace(
            rule,
            time=rule.time or before.time,
            fields=(*(field for field in before.fields if _place(field) not in named), *rule.fields),
            ignore=tuple(
                dict.fromkeys((*(path for path in before.ignore if path not in named), *rule.ignore))
            ),
        )
        check_rule(joined)
        return (*taught[:at], joined, *taught[at + 1 :])
    return (*taught, rule)


def _place(field: Field) -> str:
    return field.path or field.lat


# --- previews --------------------------------------------------------------------------------------------


def understand(kept: Kept, notebook: Notebook) -> Reading | None:
    """What a payload says by now; None: it stays, for not all of it is understood, or not as readings."""
    reading = read(kept.topic, kept.payload, kept.time, notebook)
    return None if reading.quarantine or reading.blob or reading.lessons else reading


class Stored:
    """Readings that are in the vault since their payloads came: they are not stored again.

    A payload may have been understood in part.  A reading of it is there already if one of the same device,
    channel, kind, time and value has a lower sequence number than the payload; each counts for one.
    """

    def __init__(self, readings: Iterable[tuple[int, Observation]]) -> None:
        self._seqs: dict[tuple[object, ...], list[int]] = {}
        for seq, observation in readings:
            self._seqs.setdefault(_key(observation), []).append(seq)
        for seqs in self._seqs.values():
            seqs.sort()

    def take(self, kept: Kept, reading: Reading) -> list[Observation]:
        """The readings of a payload that are new; the others are used up.  Payloads come in their order."""
        new = []
        for observation in reading.observations:
            seqs = self._seqs.get(_key(observation), [])
            if reading.resends and seqs:
                continue
            at = next((n for n in range(len(seqs) - 1, -1, -1) if seqs[n] < kept.seq), None)
            if at is None:
                new.append(observation)
            else:
                del seqs[at]
        return new


def preview(
    payloads: Iterable[Kept],
    notebook: Notebook,
    stored: Callable[[list[tuple[Kept, Reading]]], Stored] = lambda _: Stored(()),
) -> Preview:
    """What these payloads would give; ``stored`` looks up what is there already."""
    understood: list[tuple[Kept, Reading]] = []
    count = 0
    for kept in payloads:
        count += 1
        reading = understand(kept, notebook)
        if reading is not None:
            understood.append((kept, reading))
    known = stored(understood)
    series: dict[tuple[str, str], list[Observation]] = {}
    before = dropped = 0
    for kept, reading in understood:
        new = known.take(kept, reading)
        before += len(reading.observations) - len(new)
        dropped += reading.dropped
        for observation in new:
            series.setdefault((observation.channel, observation.kind), []).append(observation)
    lines: list[Lines] = []
    for (channel, kind), some in sorted(series.items()):
        some.sort(key=lambda one: one.time)
        lines.append(Lines(channel, kind, len(some), some[0], some[-1]))
    readings = sum(line.count for line in lines)
    return Preview(count, count - len(understood), readings, dropped, lines, before)


def settings_with(settings: DialectSettings, rules: tuple[Rule, ...]) -> DialectSettings:
    """The settings with other rules."""
    return msgspec.structs.replace(settings, taught=rules)


def _key(one: Observation) -> tuple[object, ...]:
    return one.channel, one.kind, one.time, one.value

"""How payloads, rules and previews look to the person who teaches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from cli.render import ago, count, escape, table
from cli.said import spoken
from cli.values import label_of, unit_of, words

if TYPE_CHECKING:
    from gateway.client.shapes import Member, Shape
    from gateway.client.teach import Preview
    from gateway.dialects.rules import Rule

SHOWN: Final = 3  # values of a field
VALUE_MAX: Final = 24  # characters of each


def members_table(found: list[Member]) -> str:
    """What is in the payloads, and what it is or may be."""
    rows = []
    for member in found:
        values = ", ".join(_short(value) for value in member.values[:SHOWN])
        if member.meaning == "-":
            meaning = "understood" if not member.is_time else "the time"
        elif member.meaning:
            meaning = f"understood: {label_of(member.meaning)}"
        else:
            meaning = ", ".join(spoken(one) for one in member.proposals) or (
                "the time?" if member.is_time else ""
            )
        rows.append((name_of(member), values, meaning))
    return table(["PATH", "VALUES", "MAY BE"], rows)


def name_of(member: Member) -> str:
    """Where a member is."""
    return ",".join(filter(None, member.place)) if member.place else member.path or "(the payload)"


def shapes_table(found: list[Shape], now: int) -> str:
    """Payloads by shape."""
    rows = [
        (number, shape.topic, len(shape.payloads), ago(shape.payloads[-1].time, now))
        for number, shape in enumerate(found, start=1)
    ]
    return table(["", "TOPIC", "PAYLOADS", "LATEST"], rows, right=("PAYLOADS",))


def _short(value: Any) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= VALUE_MAX else text[: VALUE_MAX - 3] + "..."


def raw_lines(shape: Shape) -> str:
    """The beginnings of payloads that hold nothing to be named."""
    return "\n".join(
        f"  {escape(kept.payload[:60].decode('utf-8', 'backslashreplace'))}"
        for kept in shape.payloads[-SHOWN:]
    )


def preview_lines(shown: Preview) -> str:
    """What would come of it."""
    lines = [
        f"{count(shown.leave, 'payload')} would become {count(shown.readings, 'reading')};"
        f" {count(shown.stay, 'payload')} would stay as they are"
    ]
    if shown.series:
        rows = [
            (
                line.channel or "itself",
                label_of(line.kind),
                f"{line.count:,}",
                words(line.first.value, unit_of(line.kind)),
                words(line.last.value, unit_of(line.kind)),
            )
            for line in shown.series
        ]
        lines.append(table(["CHANNEL", "KIND", "READINGS", "FIRST", "LAST"], rows, right=("READINGS",)))
    if shown.stored:
        lines.append(
            f"{count(shown.stored, 'reading')} of theirs are in your vault already, and stay as they are"
        )
    if shown.dropped:
        lines.append(
            f"{count(shown.dropped, 'value')} are out of range, and would be dropped: is the unit right?"
        )
    return "\n".join(lines)


def rule_line(number: int, rule: Rule) -> str:
    """``1  home/{name}/x: tmp_c = temperature, in.pwr = power (kW); ignores fw``."""
    said = []
    for field in rule.fields:
        place = ",".join(filter(None, (field.lat, field.lon)))
        unit = f" ({field.unit})" if field.unit else ""
        scale = f" x {field.scale:g}" if field.scale != 1 else ""
        said.append(f"{field.path or place or 'the payload'} = {label_of(field.kind)}{unit}{scale}")
    topics = rule.topic if isinstance(rule.topic, str) else ", ".join(rule.topic)
    ignores = f"; ignores {', '.join(rule.ignore)}" if rule.ignore else ""
    return f"{number}  {topics}: {', '.join(said) or 'no readings'}{ignores}"

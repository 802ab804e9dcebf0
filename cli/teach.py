"""``device teach``: a person says once what unknown payloads mean; old and new ones are read by it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import rich_click as click

from cli import options
from cli.ask import ask, choose, interactive, say
from cli.errors import CancelledError, CliError, NotFoundError, UsageError
from cli.known import find
from cli.lesson import members_table, name_of, preview_lines, raw_lines, rule_line, shapes_table
from cli.passphrase import PassphraseSource
from cli.progress import Bar
from cli.render import count, emit, escape
from cli.said import Said, make, parse_kind, spoken, told_rule
from cli.session import now_ms, suggest, unlocked, with_vault
from cli.text import quoted
from gateway.client import device as devices

if TYPE_CHECKING:
    from gateway.client.device import Device
    from gateway.client.quarantine import Applied, Quarantine
    from gateway.client.session import Session
    from gateway.client.shapes import Kept, Member, Shape
    from gateway.client.teach import Choice
    from gateway.dialects import DialectSettings, Notebook
    from gateway.dialects.rules import Rule, Time

HOW: Final = (
    "Enter takes what is in brackets; i ignores it; t is the time; or write KIND,\n"
    "KIND:UNIT, KIND:UNIT*SCALE, KIND@CHANNEL"
)

FORGET: Final = "Let go of such payloads, these and all to come? [y]es [n]o"


@click.command("teach")
@click.argument("name")
@click.option("--topic", metavar="TOPIC", help="Whose payloads; a level may be {name}. Else you are asked.")
@click.option(
    "--field", "fields", multiple=True, metavar="PATH=KIND", help="KIND[:UNIT][*SCALE][@CHANNEL]; repeatable."
)
@click.option("--ignore", "ignored", multiple=True, metavar="PATH", help="This is no reading; repeatable.")
@click.option("--time", "time", metavar="PATH[:FORM]", help="When it was measured; s, ms, rfc3339, %Y ...")
@click.option("--channel", metavar="TEXT", help="Which part of the device it is; else its topic.")
@click.option("--list", "listed", is_flag=True, help="Show what it was taught.")
@click.option("--forget", type=int, metavar="N", help="Forget the Nth of these; what was read stays.")
@options.yes
@with_vault
def teach(
    name: str,
    topic: str | None,
    fields: tuple[str, ...],
    ignored: tuple[str, ...],
    time: str | None,
    channel: str | None,
    listed: bool,
    forget: int | None,
    yes: bool,
    passphrase: PassphraseSource,
    home: Path,
    as_json: bool,
) -> None:
    """Say what a device's payloads mean that were not understood.

    What it sends from now on is read by it, and so is what was kept whole until now: those payloads become
    readings, once, under the time at which they came or that they name.

    PATH is where a value stands, such as a.b or list[].c; nothing before the = is the whole payload. KIND is
    a name such as temperature; a place is LAT,LON=location.
    """
    told = bool(fields or ignored or time)
    if told and topic is None:
        raise UsageError("what is said of fields is said of a topic", "add --topic, as `device show` has it")
    if sum((told or topic is not None, listed, forget is not None)) > 1:
        raise UsageError("teach, list or forget, one at a time", "leave the others out")
    if not (told or topic or listed or forget is not None or interactive()):
        raise UsageError("there is no terminal to ask at", "give --topic and --field")
    with unlocked(home, passphrase) as session:
        one = find(devices.fetch(session), name)
        settings = devices.settings_of(session, one)
        if listed or forget is not None:
            settings = settings if forget is None else _forget(session, one, settings, forget)
            _answer(one, settings, None, one.row.quarantined, as_json)
            return
        _Lesson(session, one, settings, yes=yes, as_json=as_json).give(topic, fields, ignored, time, channel)


class _Lesson:
    """One run of the command."""

    def __init__(
        self, session: Session, one: Device, settings: DialectSettings, *, yes: bool, as_json: bool
    ) -> None:
        from gateway.client.quarantine import Quarantine
        from gateway.dialects import Notebook

        self._session, self._one, self._settings = session, one, settings
        self._yes, self._json = yes, as_json
        self._kept: Quarantine = Quarantine(session, one)
        self._notebook: Notebook = Notebook(settings, devices.lessons_of(session, one))

    def give(
        self,
        topic: str | None,
        fields: tuple[str, ...],
        ignored: tuple[str, ...],
        time: str | None,
        channel: str | None,
    ) -> None:
        """Look, ask where something is not said, show, store the rule, and read what was kept by it."""
        from gateway.client.shapes import shapes
        from gateway.client.teach import understand

        with Bar("looking"):
            payloads = list(self._kept.payloads())
        unknown = [kept for kept in payloads if understand(kept, self._notebook) is None]
        if len(unknown) < len(payloads):
            say(f"{count(len(payloads) - len(unknown), 'payload')} of it are understood by now")
        while True:
            rule: Rule | None = None
            if topic is not None:
                rule = told_rule(payloads, self._notebook, topic, fields, ignored, time, channel)
            elif unknown:
                shape = _which(self._one, shapes(unknown))
                rule = _asked(shape, self._notebook)
            elif not payloads:
                raise NotFoundError(
                    f"nothing of {escape(self._one.name)} was kept", "all of it was understood"
                )
            if self._agreed(rule, payloads):
                return
            topic = None  # from now on they are asked

    def _agreed(self, rule: Rule | None, payloads: list[Kept]) -> bool:
        """Show what it gives; False: the person wants to say it otherwise."""
        from gateway.client.teach import preview, settings_with, with_rule

        settings = self._settings
        if rule is not None:
            settings = settings_with(settings, with_rule(settings.taught, rule))
        notebook = self._notebook.with_settings(settings)
        shown = preview(payloads, notebook, self._kept.stored)
        if not self._json:
            say(preview_lines(shown))
        if not self._yes:
            answers = {"y": "yes", "n": "no", "c": "change"}
            match choose("Read them so, and what comes? [y]es [n]o [c]hange", answers, instead="--yes"):
                case "n":
                    raise CancelledError("nothing was taught", "")
                case "c":
                    return False
        if settings != self._settings:
            devices.configure(self._session, self._one, settings)
        with Bar("reading") as progress:
            applied = self._kept.apply(notebook, progress)
        left = next(
            (row.row.quarantined for row in devices.fetch(self._session).devices if row.id == self._one.id), 0
        )
        _answer(self._one, settings, applied, left, self._json)
        if not self._one.row.notes:
            say("give it a new password once, so that the server can read by rules: device rotate")
        return True


def _which(one: Device, found: list[Shape]) -> Shape:
    """The payloads that are to be taught."""
    say(f"{escape(one.name)} sent what was not understood:")
    say(shapes_table(found, now_ms()))
    while len(found) > 1:
        given = ask(f"Which? [1 to {len(found)}]", instead="--topic")
        if given == "" or (given.isdecimal() and 0 < int(given) <= len(found)):
            return found[int(given or 1) - 1]
        say("please answer with the number of a row; Enter takes the first")
    return found[0]


def _asked(shape: Shape, notebook: Notebook) -> Rule:
    """The rule of a conversation."""
    from gateway.client.shapes import members
    from gateway.client.teach import Choice
    from gateway.dialects.rules import Time

    found = members(shape, notebook)
    if not found:
        say(f"{raw_lines(shape)}\nThese cannot be read.")
        if choose(FORGET, {"y": "yes", "n": "no"}, instead="--ignore") == "n":
            raise CancelledError("nothing was taught", "")
        return make(Said(shape.topic, shape.form, [Choice("")], None, None), [])
    choices: list[Choice] = []
    time: Time | None = None
    say(members_table(found))
    say(HOW)
    for member in found:
        if member.meaning:
            continue
        choice = _about(member, time is None)
        if choice is None:
            time = Time(member.path)
        else:
            choices.append(choice)
    if not choices and time is None:
        raise NotFoundError(
            "every part of these payloads is understood, and yet not the whole", "they stay kept"
        )
    return make(Said(shape.topic, shape.form, choices, time, None), found)


def _about(member: Member, timeless: bool) -> Choice | None:
    """What one member is; None: the time."""
    from gateway.client.teach import Choice

    path = ",".join(filter(None, member.place)) if member.place else member.path
    best = member.proposals[0] if member.proposals else None
    proposed = "t" if member.is_time and timeless else "i" if best is None else spoken(best)
    while True:
        given = ask(f"  {escape(name_of(member))} [{proposed}]", instead="--field") or proposed
        if given == "i":
            return Choice(path)
        if given == "t" and not member.place:
            return None
        try:
            return msgspec.structs.replace(parse_kind(given), path=path)
        except CliError as error:
            say(f"{error.what}; {error.hint}")


def _answer(
    one: Device, settings: DialectSettings, applied: Applied | None, left: int, as_json: bool
) -> None:
    """What is taught now, and what came of it."""
    answer = {
        "device": one.id.text,
        "name": one.name,
        "taught": [msgspec.to_builtins(rule) for rule in settings.taught],
        "payloads": applied.payloads if applied else 0,
        "readings": applied.readings if applied else 0,
        "dropped": applied.dropped if applied else 0,
        "kept": left,
    }
    lines = [escape(rule_line(number, rule)) for number, rule in enumerate(settings.taught, start=1)]
    if applied is not None:
        lines = [
            f"{count(applied.payloads, 'payload')} became {count(applied.readings, 'reading')};"
            f" {count(left, 'payload')} still kept whole"
        ]
    emit(answer, as_json, "\n".join(lines) or f"{escape(one.name)} was taught nothing")
    if applied is not None:
        suggest(as_json, (f"device teach {quoted(one.name)} --list", "see what it was taught"))


def _forget(session: Session, one: Device, settings: DialectSettings, number: int) -> DialectSettings:
    if not 0 < number <= len(settings.taught):
        raise NotFoundError(
            "it was not taught so many", f"see: hypertouch device teach {quoted(one.name)} --list"
        )
    kept = (*settings.taught[: number - 1], *settings.taught[number:])
    left: DialectSettings = msgspec.structs.replace(settings, taught=kept)
    devices.configure(session, one, left)
    return left

"""``hypertouch demo``: the whole story on this computer, through the real doors, leaving nothing behind."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import rich_click as click

from cli.ask import say
from cli.errors import CliError
from cli.render import clock, count, next_steps, size
from cli.stage import QUIET, DemoDevice, Stage, find_plain, publish
from gateway.client.brand import Asked, Brand, BrandError
from vault.observation import Summary

ANSWER_S: Final = 30.0
QUIET_S: Final = 0.5  # after its last reading a past hour can be given, so long later at the soonest
KETTLES: Final = {430: 4, 1005: 5, 1230: 4}  # minute of the day it goes on: for so many


@click.command("demo")
def demo() -> None:
    """Play the whole story on this computer and leave nothing behind.

    A server, five devices, a brand and a person: everything is real but the people.
    """
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="hypertouch-demo-") as name:
        directory = Path(name)
        with _stage(directory) as (stage, started):
            _story(stage, started, directory)
    say()
    say(f"That took {time.monotonic() - begun:.0f} s; everything of it is deleted.")
    say(
        next_steps(
            ("hypertouch up", "start your own server"),
            ("hypertouch init", "make your vault, in another terminal"),
            ("hypertouch device add NAME", "connect your first device"),
        )
    )


@contextmanager
def _stage(directory: Path) -> Iterator[tuple[Stage, dict[str, Any]]]:
    stage = Stage(directory)
    try:
        yield stage, stage.up()
    finally:
        stage.down()


def _story(stage: Stage, started: dict[str, Any], directory: Path) -> None:
    _chapter("1  A server starts, and a person makes a vault")
    passphrase = directory / "passphrase"
    passphrase.write_text("velvet anchors hum beneath seven lanterns\n")
    passphrase.chmod(0o600)
    stage.run(
        "init", "--name", "home", "--server", started["http"], "--passphrase-file", str(passphrase),
        "--recovery-file", str(directory / "recovery"), *QUIET,
    )  # fmt: skip
    stage.run("unlock", "--passphrase-file", str(passphrase))
    say("  The passphrase and the 24 recovery words never left this terminal's side.")

    _chapter("2  Five devices publish over MQTT, each with its own topics and payloads")
    now = datetime.now(UTC)
    plain = _publish(stage, now)
    published = time.monotonic()
    stage.show("device", "list")

    _chapter("3  Acme asks for every reading of energy and power; a day would do")
    with _brand(stage, started, "Acme") as (acme, touchpoint):
        asked = acme.ask(touchpoint, [_bill(now)], message="Your bill")
        [request] = stage.ask("request", "list", "--wait", "30s")
        short = request["request"][:4].upper()
        stage.show("request", "show", short)

        _chapter("4  The person looks at what that would be, and gives energy by the hour")
        stage.show("request", "preview", short, "--kinds", "energy", "--detail", "hour", "--days", "1")
        given = ("--kinds", "energy", "--detail", "hour", "--for", "30d", "--history", "7d")
        time.sleep(max(0.0, published + QUIET_S - time.monotonic()))
        stage.show("request", "approve", short, *given, *QUIET)
        granted = acme.wait(asked, ANSWER_S)
        if granted is None:
            raise CliError("the brand got no answer in time")
        _read(acme, granted.access_token)
        _refused(acme, granted.access_token, "power", "Acme tries power, which it also asked for")

        _chapter("5  The person says once what to answer every time")
        stage.show("rule", "add", "never marketing")
        with _brand(stage, started, "Adverto") as (adverto, other):
            _denied(adverto, adverto.ask(other, [_advert()]))

        _chapter("6  The grant rests, goes on and ends; every read is written down")
        stage.show("grant", "pause", short)
        _refused(acme, granted.access_token, "energy", "Acme tries again")
        stage.show("grant", "resume", short)
        stage.show("grant", "revoke", short, *QUIET)
        _refused(acme, granted.access_token, "energy", "Acme tries again")
        stage.show("ledger", "log", "--grant", short)
        stage.show("ledger", "verify")

    _chapter("7  Somebody copies every file of the server")
    searched, octets, found = find_plain(stage.data, plain)
    say(f"  {count(searched, 'file')}, {size(octets)}: searched for {len(plain)} values that were sent")
    if found:
        raise CliError("plaintext was found in the server's files", "please report this")
    say("  none of them found")


def _publish(stage: Stage, now: datetime) -> list[bytes]:
    """Connect the devices, let each publish, and return what must be found nowhere."""
    devices = list(_devices(now))
    for device in devices:
        publish(stage.ask("device", "add", device.name), device)
        say(f"  {device.name:<12} {device.speaks:<24} {count(len(device.messages), 'message')} acknowledged")
    return [text for device in devices for text in device.plain]


@contextmanager
def _brand(stage: Stage, started: dict[str, Any], name: str) -> Iterator[tuple[Brand, str]]:
    """A brand that is registered, and the touchpoint where it may ask."""
    registered = stage.ask("brand", "add", name, "--site", f"https://{name.lower()}.example")
    touchpoint = stage.ask("touchpoint", "new", name)["touchpoint"]
    with Brand(started["http"], registered["client_id"], registered["client_secret"]) as brand:
        yield brand, touchpoint


def _read(acme: Brand, token: str) -> None:
    """What the brand gets: hours, and an answer made of them."""
    hours = [(one, one.value) for one in acme.readings(token) if isinstance(one.value, Summary)]
    say(f"  Acme reads {count(len(hours), 'hour')} of energy, and no reading of a minute, such as")
    for one, of in [(one, of) for one, of in hours if of.low is not None and of.high is not None][7:8]:
        figures = f"{count(of.count, 'reading')}, {of.low:,.2f} to {of.high:,.2f} {one.unit}"
        say(f"    from {clock(one.time, UTC)} on: {figures}")
    answers = [one for one in acme.answers(token, "energy", "max").answers if one.value is not None]
    for answer in answers[:1]:
        say(f"  Acme asks how far the meter got on {answer.since[:10]}: {answer.value:,.2f} {answer.unit}")


def _denied(brand: Brand, asked: Asked) -> None:
    try:
        brand.wait(asked, ANSWER_S)
    except BrandError as error:
        say(f"  Adverto asks where the phone is, for marketing: refused at once ({error.code})")
    else:
        raise CliError("the brand was not told no", "please report this")


def _refused(acme: Brand, token: str, kind: str, what: str) -> None:
    try:
        list(acme.readings(token, kind=kind))
    except BrandError as error:
        say(f"  {what}: refused ({error.status} {error.code})")
    else:
        raise CliError("the brand read what it may not", "please report this")


def _bill(now: datetime) -> dict[str, Any]:
    until = (now + timedelta(days=70)).replace(hour=0, minute=0, second=0, microsecond=0)
    return {
        "type": "personal_data",
        "datatypes": ["energy", "power"],
        "resolution": {"ideal": "raw", "minimum": "day"},
        "history": {"ideal": "P30D", "minimum": "P0D"},
        "data_until": until.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "purpose": "dpv:ServiceProvision",
        "purpose_text": "Bill by what you use",
        "retention": "P90D",
        "benefit": "10 % off the base fee",
        "required": True,
    }


def _advert() -> dict[str, Any]:
    return {"type": "personal_data", "datatypes": ["location"], "purpose": "dpv:TargetedAdvertising"}


def _devices(now: datetime) -> Iterator[DemoDevice]:
    """Payloads as these products send them, with values that can be searched for."""
    seconds = int(now.timestamp())
    phone = {"_type": "location", "tid": "JJ", "tst": seconds, "lat": 48.858327, "lon": 2.295131, "acc": 5}
    yield DemoDevice("phone", "OwnTracks", [("owntracks/jj/phone", phone)], [b"48.858327", b"2.295131"])
    climate = {"temperature": 27.34, "humidity": 44.72, "battery": 91, "linkquality": 124}
    known = [b"27.34", b"44.72", b"living room"]
    yield DemoDevice("hub", "Zigbee2MQTT", [("zigbee2mqtt/living room", climate)], known)
    yesterday = now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
    minutes, total = [], 4711.031
    for minute in range(1440):
        at = (yesterday + timedelta(minutes=minute)).strftime("%Y-%m-%dT%H:%M:%S")
        kettle = any(0 <= minute - on < lasts for on, lasts in KETTLES.items())
        power = 90 + 4 * (minute % 20) + (180 if minute >= 1000 else 0) + (2000 if kettle else 0)
        total += power / 60_000
        energy = {"Total": round(total, 4), "Power": power}
        minutes.append(("tele/meter/SENSOR", {"Time": at, "ENERGY": energy, "TempUnit": "C"}))
    yield DemoDevice("meter", "Tasmota, a day's minutes", minutes, [b"4711.0", f"{total:.2f}".encode()])
    voltage = {"bn": "urn:dev:ow:10e2073a0108006:", "bt": seconds, "n": "voltage", "u": "V", "v": 230.125}
    pack = [voltage, {"n": "current", "u": "A", "v": 1.625}]
    yield DemoDevice("sensor", "SenML (RFC 8428)", [("lab/sensor", pack)], [b"230.125", b"10e2073a0108006"])
    event = {"event": "purchase", "item": "espresso", "price": 3.2}
    yield DemoDevice("app", "an app's events", [("shop/app/events", event)], [b"espresso"])


def _chapter(title: str) -> None:
    say()
    say(title)

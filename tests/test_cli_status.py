"""What ``doctor`` looks at, one check at a time, and values as people read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID

from cli import checks
from cli.values import plain, unit_of, words
from tests.cli_world import Desk, Wall, desk, open_desk
from vault.observation import Observation, Place, Value

__all__ = ["desk", "open_desk"]
NOW = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.mark.parametrize(
    ("version", "state"),
    [((3, 36, 0), "fail"), ((3, 37, 0), "ok"), ((3, 51, 2), "ok"), ((3, 51, 3), "ok"), ((4, 0, 0), "ok")],
)
def test_the_version_of_sqlite(version: tuple[int, ...], state: str) -> None:
    (found,) = checks.sqlite_version(version)
    assert found.state == state


HEADER = "Filename Type Size Used Priority\n"


@pytest.mark.parametrize(
    ("swaps", "state"),
    [
        ("", "ok"),
        (HEADER, "ok"),
        (HEADER + "/dev/zram0 partition 1 0 100\n", "ok"),
        (HEADER + "/dev/dm-1 partition 1 0 -2\n", "ok"),
        (HEADER + "/swapfile file 1 0 -2\n", "warn"),
        (HEADER + "/dev/zram0 partition 1 0 100\n/dev/sda2 partition 1 0 -2\n", "warn"),
    ],
)
def test_swap(tmp_path: Path, swaps: str, state: str) -> None:
    path = tmp_path / "swaps"
    path.write_text(swaps)
    assert [found.state for found in checks.swap(path)] == [state]
    assert list(checks.swap(tmp_path / "none")) == []  # not Linux


@pytest.mark.parametrize("mode", [0o644, 0o660, 0o601])
def test_files_that_others_can_read_are_named_with_the_command_that_mends_it(
    tmp_path: Path, mode: int
) -> None:
    path = tmp_path / "key"
    path.write_text("x")
    path.chmod(0o600)
    (found,) = checks.private_files("home", [path])
    assert found.state == "ok"
    path.chmod(mode)
    (found,) = checks.private_files("home", [path])
    assert (found.state, found.next) == ("fail", f"run: chmod 600 {path}")


def certificate(path: Path, days: int) -> Path:
    """A certificate that is over in so many days."""
    key = Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - timedelta(days=400))
        .not_valid_after(NOW + timedelta(days=days))
        .sign(key, None)
    )
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.mark.parametrize(("days", "state"), [(90, "ok"), (29, "warn"), (0, "fail"), (-1, "fail")])
def test_a_certificate_is_over_some_day(tmp_path: Path, days: int, state: str) -> None:
    (found,) = checks.certificate(certificate(tmp_path / "server.pem", days), NOW)
    assert found.state == state


def test_no_certificate_is_no_fault_and_a_broken_one_is(tmp_path: Path) -> None:
    assert list(checks.certificate(tmp_path / "none", NOW)) == []
    (tmp_path / "bad").write_text("x")
    (found,) = checks.certificate(tmp_path / "bad", NOW)
    assert found.state == "fail"


def test_status_counts_what_was_read_today(open_desk: Desk) -> None:
    device, wall = open_desk.add_device(), Wall()()
    open_desk.publish(device, *(Observation("", "energy", wall - at, 1.0) for at in (0, 1, 3 * 86_400_000)))
    answer = open_desk.json("status")
    assert (answer["devices"], answer["pending"], answer["active"], answer["readings"]) == (1, 0, 0, 3)
    assert answer["readings_today"] in (1, 2)  # one, in the first millisecond of a day


def test_status_of_a_server_that_is_away_is_told_and_is_no_failure(open_desk: Desk) -> None:
    profile = open_desk.home / "profile"
    profile.write_text(profile.read_text().replace(open_desk.host.url, "http://127.0.0.1:1"))
    answer = open_desk.json("status")
    assert (answer["reachable"], answer["unlocked"]) == (False, True)
    assert open_desk.run("device", "list").status == 69
    assert open_desk.run("doctor").status == 1


@pytest.mark.parametrize(
    ("value", "unit", "said", "written"),
    [
        (0.412, "kWh", "0.412 kWh", 0.412),
        (21.0, "Cel", "21 °C", 21.0),
        (1234567.0, "", "1.23457e+06", 1234567.0),
        (True, "", "yes", True),
        ("open", "", "open", "open"),
        (Place(52.52, 13.405), "", "52.52000, 13.40500", {"lat": 52.52, "lon": 13.405}),
        (
            Place(-1.0, 2.0, 12.5),
            "",
            "-1.00000, 2.00000 (within 12.5 m)",
            {"lat": -1.0, "lon": 2.0, "accuracy": 12.5},
        ),
        (float("nan"), "", "nan", "nan"),
        (b"\x1b", "", "1 byte", "1b"),
    ],
)
def test_values_for_people_and_programs(value: Value, unit: str, said: str, written: object) -> None:
    assert (words(value, unit), plain(value)) == (said, written)


def test_units_come_from_the_vocabulary() -> None:
    assert (unit_of("energy"), unit_of("location"), unit_of("_quarantine")) == ("kWh", "", "")

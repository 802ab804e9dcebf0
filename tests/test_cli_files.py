"""``data files``: what devices sent as files is listed, saved whole, and nowhere among the readings."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.files import type_of
from tests.cli_world import Desk, desk, open_desk
from vault.ids import DeviceId
from vault.store.state import Arrival, Special

__all__ = ["desk", "open_desk"]

JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(range(200))
HOSTILE = "../../etc/\x1b[31mcam"


def send(desk: Desk, device: DeviceId, topic: str, payload: bytes) -> None:
    whole = Special(blob=topic.encode() + b"\0" + payload)
    arrival = Arrival(desk.vault, device, desk.host.clock(), [], special=whole)
    desk.host.run(lambda: desk.host.writer.commit([arrival]))


def test_files_are_listed_and_no_readings(open_desk: Desk) -> None:
    device = open_desk.add_device("camera")
    send(open_desk, device, "frigate/door/snapshot", JPEG)
    (row,) = open_desk.json("data", "files")
    assert (row["device"], row["topic"], row["type"], row["bytes"]) == (
        "camera", "frigate/door/snapshot", "jpg", len(JPEG),
    )  # fmt: skip
    assert row["file"] is None
    assert open_desk.json("data", "show")["series"] == []
    assert open_desk.run("data", "export").out == ""
    shown = open_desk.json("device", "show", "camera")
    assert (shown["blobs"], shown["quarantine"]["count"]) == (1, 0)


def test_a_file_is_saved_as_it_came_under_a_name_of_ours(open_desk: Desk, tmp_path: Path) -> None:
    send(open_desk, open_desk.add_device("camera"), HOSTILE, JPEG)
    (row,) = open_desk.json("data", "files", "--save", str(tmp_path / "saved"))
    saved = Path(row["file"])
    assert saved.parent == tmp_path / "saved"
    assert saved.suffix == ".jpg"
    assert saved.read_bytes() == JPEG
    assert saved.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in (tmp_path / "saved").iterdir()] == [saved.name]
    again = open_desk.run("data", "files", "--save", str(tmp_path / "saved"))
    assert again.status == 7
    assert "\x1b" not in open_desk.run("data", "files").out


def test_where_there_are_none_it_says_so(open_desk: Desk) -> None:
    open_desk.add_device("camera")
    assert open_desk.run("data", "files").out == "no files\n"


@pytest.mark.parametrize(
    ("begins", "kind"),
    [
        (b"\x89PNG\r\n\x1a\n", "png"),
        (b"GIF89a", "gif"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "webp"),
        (b"\0\0\0\x1cftypavif", "avif"),
        (b"\0\0\0\x18ftypheic", "heic"),
        (b"\0\0\0\x18ftypisom", "mp4"),
        (b"%PDF-1.7", "pdf"),
        (b"RIFF\x10\0\0\0WAVEfmt ", "bin"),
    ],
)
def test_the_ending_says_what_it_is(begins: bytes, kind: str) -> None:
    assert type_of(begins + bytes(20)) == kind

"""What `ledger.toml` pins: read as it is written, refused when it is not whole or the file is another."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from ledger import layout
from ledger.errors import BadInput, Refused
from ledger.ledger import Ledger
from ledger.pins import Pin, pinned_bytes, read_pin, write_pin

NAME = "approval_policy"
DATA = b"a policy"
DIGEST = sha256(DATA).hexdigest()


def test_a_pin_is_read_as_it_was_written_and_leaves_the_description_as_it_was(ledger: Ledger) -> None:
    before = layout.read_description(ledger.path)
    assert read_pin(ledger.path, NAME) is None
    for file in ("policy.json", "../a folder/\u00fc.json"):
        write_pin(ledger.path, NAME, Pin(file, DIGEST))
        write_pin(ledger.path, "something_else", Pin("b", "0" * 64))
        assert read_pin(ledger.path, NAME) == Pin(file, DIGEST)
        assert read_pin(ledger.path, "something_else") == Pin("b", "0" * 64)
    assert layout.read_description(ledger.path) == before
    assert (ledger.path / "ledger.toml").read_text(encoding="utf-8").count(f"[{NAME}]") == 1


@pytest.mark.parametrize(
    "table",
    ['file = "p"', f'sha256 = "{DIGEST}"', 'file = "p"\nsha256 = "abc"', f'file = ""\nsha256 = "{DIGEST}"', "file = 1"],
)
def test_a_pin_that_is_not_whole_is_refused(ledger: Ledger, table: str) -> None:
    description = ledger.path / "ledger.toml"
    description.write_text(f"{description.read_text(encoding='utf-8')}[{NAME}]\n{table}\n", encoding="utf-8")
    with pytest.raises(BadInput) as caught:
        read_pin(ledger.path, NAME)
    assert caught.value.code == "bad_pin"


def test_a_pin_that_is_no_table_is_refused(ledger: Ledger) -> None:
    description = ledger.path / "ledger.toml"
    description.write_text(f"{description.read_text(encoding='utf-8')}{NAME} = 1\n", encoding="utf-8")
    with pytest.raises(BadInput):
        read_pin(ledger.path, NAME)


def test_a_pinned_file_must_be_there_and_be_what_was_pinned(tmp_path: Path) -> None:
    pin = Pin("p.json", DIGEST)
    with pytest.raises(Refused) as missing:
        pinned_bytes(tmp_path, pin)
    assert missing.value.code == "pinned_file_missing"
    (tmp_path / "p.json").write_bytes(DATA)
    assert pinned_bytes(tmp_path, pin) == DATA
    (tmp_path / "p.json").write_bytes(DATA + b" ")
    with pytest.raises(Refused) as changed:
        pinned_bytes(tmp_path, pin)
    assert changed.value.code == "pinned_file_changed"

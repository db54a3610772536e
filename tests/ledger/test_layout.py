"""Which folder is the ledger, what its description must say, and where outputs may go."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.errors import BadInput
from ledger.layout import FORMAT_VERSION, check_origin, find, outside_ledger, read_description
from ledger.ledger import Ledger

GOOD = 'format = 1\norigin = "alpha"\ncreated = "2026-06-01T00:00:00.000000Z"\n'


def described(folder: Path, text: str | bytes) -> Path:
    """Write a ledger.toml; return its folder."""
    data = text if isinstance(text, bytes) else text.encode()
    (folder / "ledger.toml").write_bytes(data)
    return folder


class TestFinding:
    """A ledger is given, or is the nearest `.perfledger` from here upward."""

    def test_the_folder_itself_and_the_one_that_holds_it_both_name_it(self, ledger: Ledger, tmp_path: Path) -> None:
        assert find(ledger.path) == find(tmp_path) == find(str(tmp_path)) == ledger.path

    def test_the_nearest_one_upward_is_taken(
        self, ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        deep = tmp_path / "a" / "b"
        deep.mkdir(parents=True)
        monkeypatch.chdir(deep)
        assert find(None) == ledger.path
        nearer = Ledger.create(tmp_path / "a", origin="nearer")
        assert find(None) == nearer.path

    def test_a_folder_without_a_description_is_passed_over(
        self, ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """ledger.toml is written last: a folder without one is a ledger that was never complete."""
        (tmp_path / "a" / ".perfledger" / "log").mkdir(parents=True)
        monkeypatch.chdir(tmp_path / "a")
        assert find(None) == ledger.path

    def test_where_there_is_none_the_next_step_is_init(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        with pytest.raises(BadInput, match="run `perfledger init`"):
            find(None)
        with pytest.raises(BadInput) as caught:
            find(tmp_path / "elsewhere")
        assert str(tmp_path / "elsewhere") in caught.value.message and caught.value.code == "no_ledger"
        assert caught.value.hint == f"perfledger init {tmp_path / 'elsewhere'}"


class TestDescription:
    """`ledger.toml` is read or refused; nothing is guessed from it."""

    def test_it_says_format_origin_and_creation(self, tmp_path: Path) -> None:
        found = read_description(described(tmp_path, GOOD))
        assert (found.format, found.origin, found.created) == (1, "alpha", "2026-06-01T00:00:00.000000Z")

    def test_what_a_later_version_adds_is_passed_over(self, tmp_path: Path) -> None:
        assert read_description(described(tmp_path, GOOD + "[remotes]\nmain = 1\n")).origin == "alpha"

    @pytest.mark.parametrize("field", ["format", "origin", "created"])
    def test_a_field_that_is_missing_is_named_with_the_file(self, tmp_path: Path, field: str) -> None:
        text = "".join(line for line in GOOD.splitlines(keepends=True) if not line.startswith(field))
        with pytest.raises(BadInput, match=rf"ledger\.toml is not a ledger description: '{field}' is missing"):
            read_description(described(tmp_path, text))

    @pytest.mark.parametrize("value", ["inf", "nan", "1.9", "1.0", "true", '"1"', "0", "-1", "[1]", "{}", "1979-05-27"])
    def test_a_format_that_is_no_number_of_one_is_refused_and_not_rounded_to_one(
        self, tmp_path: Path, value: str
    ) -> None:
        with pytest.raises(BadInput) as caught:
            read_description(described(tmp_path, GOOD.replace("format = 1", f"format = {value}")))
        assert caught.value.code == "bad_ledger_toml" and "format" in caught.value.message

    @pytest.mark.parametrize("data", [b"", b"\xff\xfe", b"format", b"= 1\n", b"a = " + b"[" * 5000, b"a = 1\na = 2\n"])
    def test_what_is_no_toml_is_refused_with_the_way_out(self, tmp_path: Path, data: bytes) -> None:
        with pytest.raises(BadInput) as caught:
            read_description(described(tmp_path, data))
        assert str(tmp_path / "ledger.toml") in caught.value.message and "restore" in caught.value.hint

    def test_a_newer_format_is_not_touched(self, tmp_path: Path) -> None:
        newer = GOOD.replace("format = 1", f"format = {FORMAT_VERSION + 1}")
        with pytest.raises(BadInput, match="nothing was touched") as caught:
            read_description(described(tmp_path, newer))
        assert (caught.value.code, caught.value.hint) == ("newer_format", "upgrade perfledger")

    @pytest.mark.parametrize("origin", ["../up", "a/b", "Alpha", "", "-a", ".", "a b", "a" * 64, "ä", "a\n"])
    def test_an_origin_that_would_lead_out_of_the_folder_is_refused(self, origin: str) -> None:
        with pytest.raises(BadInput, match="is not a name"):
            check_origin(origin)

    @pytest.mark.parametrize("origin", ["a", "0", "a" * 63, "host-1.example_org-3f2a"])
    def test_an_origin_of_letters_digits_and_the_three_marks_is_a_name(self, origin: str) -> None:
        assert check_origin(origin) == origin


class TestOutputs:
    """In a ledger only the ledger writes (trust rule: a copy is acted on, never the evidence of it)."""

    def test_no_output_goes_into_any_ledger_whether_it_is_open_or_not(self, ledger: Ledger, tmp_path: Path) -> None:
        other = Ledger.create(tmp_path / "other", origin="other")
        for place in (ledger.path / "out.json", ledger.path / "log" / "deep" / "out.json", other.path / "x"):
            for opened in (None, ledger.path):
                with pytest.raises(BadInput, match="nothing was written"):
                    outside_ledger(place, opened)

    def test_a_link_or_a_way_back_into_a_ledger_is_seen_through(self, ledger: Ledger, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to(ledger.path / "evidence")
        for place in (tmp_path / "link" / "x", tmp_path / "a" / ".." / ".perfledger" / "x"):
            with pytest.raises(BadInput, match="inside the ledger"):
                outside_ledger(place)

    def test_a_file_beside_the_ledger_and_a_link_to_itself_are_outside(self, ledger: Ledger, tmp_path: Path) -> None:
        (tmp_path / "loop").symlink_to(tmp_path / "loop")
        assert outside_ledger(tmp_path / "out.json", ledger.path) == tmp_path / "out.json"
        assert outside_ledger(tmp_path / "loop", ledger.path).name == "loop"

from pathlib import Path

import pytest

from historian.progress import Cursor, Status, load_cursor, load_status, save_cursor, save_status


def test_a_cursor_comes_back(tmp_path: Path) -> None:
    cursor = Cursor("abc", {"R1": 7, "R2": 8}, forwarded=100, quarantined=2)
    save_cursor(tmp_path / "cursor", cursor)
    assert load_cursor(tmp_path / "cursor") == cursor
    assert [p.name for p in tmp_path.iterdir()] == ["cursor"]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "7", '{"rows": 7}', '{"store": "a", "rows": {"R1": "x"}}', "\x00" * 99]
)
def test_a_damaged_cursor_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "cursor").write_text(text)
    assert load_cursor(tmp_path / "cursor") is None


def test_a_status_comes_back_also_with_keys_of_another_version(tmp_path: Path) -> None:
    assert load_status(tmp_path / "status") is None
    status = Status(pid=3, forwarded=10, error="x", failing_since=1.0)
    save_status(tmp_path / "status", status)
    assert load_status(tmp_path / "status") == status
    (tmp_path / "status").write_text('{"forwarded": 4, "newer": 1}')
    assert load_status(tmp_path / "status") == Status(forwarded=4)

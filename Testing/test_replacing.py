"""A file is replaced whole, or stays as it was."""

from __future__ import annotations

import pytest

from MetaSegmentLib.replacing import replacing


def test_the_old_file_is_there_until_the_new_one_is_whole(tmp_path):
    final = tmp_path / "file.txt"
    final.write_text("old", encoding="utf-8")
    with replacing(final) as waiting:
        waiting.write_text("new", encoding="utf-8")
        assert waiting.parent == final.parent
        assert final.read_text(encoding="utf-8") == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["file.txt"]
    assert final.read_text(encoding="utf-8") == "new"


def test_an_error_changes_nothing_and_leaves_nothing_behind(tmp_path):
    final = tmp_path / "file.txt"
    final.write_text("old", encoding="utf-8")
    with pytest.raises(ValueError, match="halfway"), replacing(final) as waiting:
        waiting.write_text("ne", encoding="utf-8")
        raise ValueError("halfway")
    assert [path.name for path in tmp_path.iterdir()] == ["file.txt"]
    assert final.read_text(encoding="utf-8") == "old"


def test_what_a_link_leads_to_is_replaced(tmp_path):
    (tmp_path / "link").symlink_to("file.txt")
    with replacing(tmp_path / "link") as waiting:
        waiting.write_text("new", encoding="utf-8")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file.txt").read_text(encoding="utf-8") == "new"

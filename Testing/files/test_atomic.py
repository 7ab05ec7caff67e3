"""Outputs appear together or not at all."""

from __future__ import annotations

import errno
import os
from itertools import permutations
from pathlib import Path

import pytest

from MetaSegmentLib import OutputError
from MetaSegmentLib.files.atomic import Staging, output_error


def test_committed_files_appear_and_replace_older_ones(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("old", encoding="utf-8")
    with Staging() as staging:
        for name in ("a.txt", "b.txt"):
            staging.path(tmp_path / name).write_text("new", encoding="utf-8")
        assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "old"
        staging.commit()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "b.txt"]
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "new"


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_nothing_is_left_when_the_block_is_left_early(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), Staging() as staging:
        staging.path(tmp_path / "a.txt").write_text("half", encoding="utf-8")
        raise error
    assert list(tmp_path.iterdir()) == []


def test_the_name_and_so_the_format_is_kept_while_waiting(tmp_path: Path) -> None:
    with Staging() as staging:
        assert staging.path(tmp_path / "a.seg.nrrd").name == "a.seg.nrrd"


def test_a_relative_name_is_beside_the_caller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with Staging() as staging:
        staging.path(Path("a.txt")).write_text("here", encoding="utf-8")
        staging.commit()
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "here"


def test_missing_folder_and_a_folder_as_output_are_told(tmp_path: Path) -> None:
    with Staging() as staging:
        with pytest.raises(OutputError, match="does not exist"):
            staging.path(tmp_path / "missing" / "a.txt")
        with pytest.raises(OutputError, match="name of a folder"):
            staging.path(tmp_path)


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.ENOSPC, "disk is full"), (errno.EROFS, "cannot be written to"), (errno.EACCES, "cannot be written to")],
)
def test_system_errors_become_sentences_without_paths(tmp_path: Path, number: int, words: str) -> None:
    sentence = str(output_error(OSError(number, os.strerror(number), str(tmp_path)), tmp_path))
    assert words in sentence
    assert str(tmp_path) not in sentence


def test_outputs_of_several_folders_come_all_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second rename fails: the first output is what it was before, and nothing new is there."""
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
    (folders[0] / "old.txt").write_text("earlier", encoding="utf-8")
    replace, done = os.replace, []

    def failing(source: Path, target: Path) -> None:
        if len(done) == 2:
            done.append(target)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        done.append(target)
        replace(source, target)

    with pytest.raises(OutputError, match="disk is full"), Staging() as staging:
        staging.path(folders[0] / "old.txt").write_text("new", encoding="utf-8")
        staging.path(folders[0] / "fresh.txt").write_text("new", encoding="utf-8")
        staging.path(folders[1] / "last.txt").write_text("new", encoding="utf-8")
        monkeypatch.setattr(os, "replace", failing)
        staging.commit()
    assert len(done) > 2
    assert (folders[0] / "old.txt").read_text(encoding="utf-8") == "earlier"
    assert sorted(file.name for folder in folders for file in folder.iterdir()) == ["old.txt"]


def test_a_limit_on_the_size_of_files_is_called_that(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    assert "become that large" in str(output_error(OSError(errno.EFBIG, "too large"), tmp_path))
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (512, 512))
    assert "become that large" in str(output_error(RuntimeError("no reason"), tmp_path))


def test_what_a_link_leads_to_is_replaced_and_the_link_stays(tmp_path: Path) -> None:
    """Also where the file is not there yet, and where one of the same name waits for the link's own folder."""
    store, here = tmp_path / "store", tmp_path / "here"
    store.mkdir(), here.mkdir()
    (store / "x1").write_text("old", encoding="utf-8")
    (here / "last.nrrd").symlink_to("../store/x1")
    (here / "next.nrrd").symlink_to(store / "x2")
    with Staging() as staging:
        for file in (here / "last.nrrd", here / "next.nrrd", store / "last.nrrd"):
            waiting = staging.path(file)
            assert waiting.name == file.name  # by which writers choose the format
            waiting.write_text(str(file), encoding="utf-8")
        assert (store / "x1").read_text(encoding="utf-8") == "old"
        staging.commit()
    assert all(file.is_symlink() for file in here.iterdir()) and not any(file.is_symlink() for file in store.iterdir())
    assert (store / "x1").read_text(encoding="utf-8") == str(here / "last.nrrd")
    assert (store / "x2").read_text(encoding="utf-8") == str(here / "next.nrrd")
    assert sorted(file.name for file in store.iterdir()) == ["last.nrrd", "x1", "x2"]


def test_a_file_is_one_place_whatever_links_lead_to_its_folder(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "alias").symlink_to("store")
    (tmp_path / "link.nrrd").symlink_to("alias/x.nrrd")
    names = ["link.nrrd", "alias/x.nrrd", "store/x.nrrd"]
    for first, second in permutations(names, 2):
        with Staging() as staging:
            staging.path(tmp_path / first)
            with pytest.raises(OutputError, match="same name"):
                staging.path(tmp_path / second)
    with Staging() as staging:
        staging.path(tmp_path / "alias" / "y.nrrd").write_text("y", encoding="utf-8")
        staging.path(tmp_path / "store" / "z.nrrd").write_text("z", encoding="utf-8")
        staging.commit()
    assert sorted(file.name for file in (tmp_path / "store").iterdir()) == ["y.nrrd", "z.nrrd"]


def test_links_that_cannot_be_followed_are_told(tmp_path: Path) -> None:
    for name, target in (("loop.nrrd", "loop.nrrd"), ("gone.nrrd", "gone/x"), ("a.nrrd", "x"), ("b.nhdr", "x")):
        (tmp_path / name).symlink_to(target)
    with Staging() as staging:
        with pytest.raises(OutputError, match="leads to itself"):
            staging.path(tmp_path / "loop.nrrd")
        with pytest.raises(OutputError, match="folder does not exist"):
            staging.path(tmp_path / "gone.nrrd")
        with pytest.raises(OutputError, match="of two files has the name of a link"):
            staging.path(tmp_path / "b.nhdr")
        staging.path(tmp_path / "x")
        with pytest.raises(OutputError, match="same name"):
            staging.path(tmp_path / "a.nrrd")

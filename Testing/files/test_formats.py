"""Formats by name, the files that volumes consist of, and outputs that would fall onto inputs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from MetaSegmentLib import InputError, OutputError
from MetaSegmentLib.files.atomic import Staging
from MetaSegmentLib.files.formats import FORMATS, files_written, format_of, writable_format
from MetaSegmentLib.files.grids import Grid
from MetaSegmentLib.files.images import read_image, write_image
from MetaSegmentLib.files.leftovers import PREFIX, WaitingFolder, remove_leftovers
from MetaSegmentLib.files.parts import clash, files_of
from MetaSegmentLib.files.run import Job, run

GRID = Grid((5, 4, 3), (1.0, 2.0, 3.0), (0.5, 0.75, 2.0), tuple(np.eye(3).ravel()))
VOLUME = np.arange(60, dtype=np.uint8).reshape(3, 4, 5)
NOT_UTF8 = os.fsdecode(b"caf\xe9")


def write_all(path: Path) -> None:
    with Staging() as staging:
        write_image(staging.path(path), VOLUME, GRID)
        staging.commit()


def test_a_longer_ending_wins_and_capitals_do_not_matter() -> None:
    endings = {"a.SEG.nrrd": ".seg.nrrd", "a.NII.GZ": ".nii.gz", "a.img.gz": ".img.gz", "a.b.Mhd": ".mhd"}
    for name, ending in endings.items():
        found = format_of(Path(name))
        assert found is not None and found.ending == ending
    assert format_of(Path("a.doc")) is None and format_of(Path(".nrrd")) is None


@pytest.mark.parametrize("name", ["o.dcm", "o.DCM", "o.png", "o", "o.nrrd.gz", "o.nrrd ", "o.tif", ".nii"])
def test_a_name_of_no_output_format_is_answered_with_those_that_are(name: str) -> None:
    with pytest.raises(OutputError, match=r"\.seg\.nrrd, .*\.nii\.gz.*\.$"):
        writable_format(Path(name))


@pytest.mark.parametrize("one", [f for f in FORMATS if f.writable and ".seg" not in f.ending], ids=lambda f: f.ending)
@pytest.mark.parametrize("capitals", [False, True])
@pytest.mark.parametrize("stem", ["x", "Ä 動", NOT_UTF8, "two\nlines"], ids=["plain", "unicode", "bytes", "newline"])
def test_what_is_written_under_any_name_is_read_again(tmp_path: Path, one, capitals: bool, stem: str) -> None:
    path = tmp_path / (stem + (one.ending.upper() if capitals else one.ending))
    if one.names_data and stem not in ("x", "Ä 動"):
        with pytest.raises(OutputError, match="plain name"):
            write_all(path)
        assert list(tmp_path.iterdir()) == []
        return
    write_all(path)
    assert {file.name for file in tmp_path.iterdir()} <= {file.name for file in files_written(path)}
    array, grid = read_image(path)
    assert np.array_equal(array, VOLUME) and np.allclose(grid.matrix, GRID.matrix, atol=1e-4)


@pytest.mark.parametrize("ending", ["nrrd", "mhd", "nii.gz", "hdr"])
def test_files_are_read_and_written_in_a_folder_that_is_not_utf8(tmp_path: Path, ending: str) -> None:
    folder = tmp_path / NOT_UTF8
    folder.mkdir()
    write_all(folder / f"a.{ending}")
    assert np.array_equal(read_image(folder / f"a.{ending}")[0], VOLUME)


@pytest.mark.parametrize(
    ("header", "names"),
    [
        ("NRRD0004\ndata file: a.raw\n", ["a.raw"]),
        ("NRRD0004\nDatafile: sub/a b.raw\n", ["sub/a b.raw"]),
        ("NRRD0004\ndata file: LIST 2\nx1.raw\nx2.raw\n", ["x1.raw", "x2.raw"]),
        ("NRRD0004\ndata file: x%02d.raw 9 5 -2 2\n", ["x09.raw", "x07.raw", "x05.raw"]),
        ("NRRD0004\nencoding: raw\n\ndata file: no.raw\n", []),
    ],
)
def test_the_data_files_of_a_detached_nrrd(tmp_path: Path, header: str, names: list[str]) -> None:
    path = tmp_path / "a.nhdr"
    path.write_text(header, encoding="utf-8")
    assert files_of(path) == [path, *(tmp_path / name for name in names)]


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("LOCAL", []),
        ("a.zraw", ["a.zraw"]),
        ("LIST\ns1.raw\ns2.raw", ["s1.raw", "s2.raw"]),
        ("s%d 1 2 1", ["s1", "s2"]),
    ],
)
def test_the_data_files_of_a_meta_image(tmp_path: Path, line: str, names: list[str]) -> None:
    path = tmp_path / "a.mhd"
    path.write_text(f"NDims = 3\nElementDataFile = {line}\n", encoding="utf-8")
    assert files_of(path) == [path, *(tmp_path / name for name in names)]


@pytest.mark.parametrize(
    ("given", "output"),
    [
        ("v.hdr", "v.img"),
        ("v.img", "v.hdr"),
        ("v.nhdr", "v.raw.gz"),
        ("v.mhd", "v.zraw"),
        ("v.mhd", "sub/../v.mhd"),
        ("v.nrrd", "link.nrrd"),
        ("v.nrrd", "hard.nrrd"),
        ("v.mhd", "hard.zraw"),
        (".", "v.nrrd"),
    ],
)
def test_an_output_that_is_a_file_of_an_input_is_found(tmp_path: Path, given: str, output: str) -> None:
    (tmp_path / "sub").mkdir()
    for ending in ("hdr", "nhdr", "mhd", "nrrd"):
        write_all(tmp_path / f"v.{ending}")
    (tmp_path / "link.nrrd").symlink_to("v.nrrd")
    (tmp_path / "hard.nrrd").hardlink_to(tmp_path / "v.nrrd")
    (tmp_path / "hard.zraw").hardlink_to(tmp_path / "v.zraw")
    assert clash([tmp_path / output], [tmp_path / given])
    assert not clash([tmp_path / f"new{Path(output).suffix}"], [tmp_path / given])


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    for name in ("a.nhdr", "a.mhd", "a.nrrd"):
        os.mkfifo(tmp_path / name)
        assert files_of(tmp_path / name)[0] == tmp_path / name
        with pytest.raises(InputError, match="pipe or a device"):
            read_image(tmp_path / name)


def test_two_outputs_that_share_a_data_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="same name"), Staging() as staging:
        write_image(staging.path(tmp_path / "q.hdr"), VOLUME, GRID)
        staging.path(tmp_path / "q.img")


@pytest.mark.parametrize("name", ["x" * 251 + ".nrrd", "ä" * 126 + ".nrrd", "x" * 250 + ".nhdr"])
def test_a_name_that_is_too_long_is_called_that(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match="too long"):
        write_all(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_advice_does_not_name_what_was_asked_for(tmp_path: Path) -> None:
    sheared = Grid((5, 4, 3), GRID.origin, GRID.spacing, (1, 0, 0, 0, 1, 0.25, 0, 0, 0.968))
    for ending in ("nii.gz", "gipl", "vtk"):
        with pytest.raises(OutputError) as refused:
            write_image(tmp_path / f"o.{ending}", VOLUME, sheared)
        advice = str(refused.value).partition("write ")[2]
        assert advice and ending not in advice


def test_a_killed_run_s_folder_goes_with_the_next_one_a_living_one_s_stays(tmp_path: Path) -> None:
    living = WaitingFolder(tmp_path)
    killed = WaitingFolder(tmp_path)
    (killed.path / "half.nrrd").write_bytes(b"half")
    killed._hold.close()  # as the system does when a process ends
    (tmp_path / f"{PREFIX}empty").mkdir()
    write_all(tmp_path / "o.nrrd")
    assert {file.name for file in tmp_path.iterdir()} == {"o.nrrd", living.path.name}
    living.remove()
    assert sitk.ReadImage(str(tmp_path / "o.nrrd")).GetSize() == (5, 4, 3)


def test_a_waiting_folder_that_somebody_else_removed_is_no_error(tmp_path: Path) -> None:
    waiting = WaitingFolder(tmp_path)
    shutil.rmtree(waiting.path)
    waiting.remove()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("stop", range(6))
@pytest.mark.parametrize("by", ["itself", "another"])
def test_what_is_killed_while_it_is_removed_is_still_known_for_a_leftover(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str, stop: int
) -> None:
    waiting = WaitingFolder(tmp_path)
    for name in ("earlier-1", "earlier-2"):
        (waiting.path / name).mkdir()
        (waiting.path / name / "o.nrrd").write_bytes(b"older")
    left = stop

    def stopping(really: Callable[..., None]) -> Callable[..., None]:
        def step(*words: object, **named: object) -> None:
            nonlocal left
            if not left:
                raise SystemExit
            left -= 1
            really(*words, **named)

        return step

    with monkeypatch.context() as patched:
        patched.setattr(os, "unlink", stopping(os.unlink))
        patched.setattr(os, "rmdir", stopping(os.rmdir))
        if by == "another":
            waiting._hold.close()
        with pytest.raises(SystemExit):
            waiting.remove() if by == "itself" else remove_leftovers(tmp_path)
    waiting._hold.close()
    remove_leftovers(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("output", "beside"), [("a.hdr", "a.img"), ("a.img", "a.hdr"), ("a.mhd", "a.zraw")])
def test_a_file_that_would_lose_its_place_to_the_data_of_an_output_stays(
    tmp_path: Path, output: str, beside: str
) -> None:
    job = Job(tmp_path / "image.nrrd", tmp_path / "painted.nrrd", tmp_path / output)
    (tmp_path / beside).write_text("something else")
    with pytest.raises(OutputError, match="beside an output belongs to something else"):
        run(job)
    (tmp_path / output).write_text("an older result")
    with pytest.raises(InputError, match="does not exist"):  # what is looked at next
        run(job)

"""Trees of DICOM folders: series by their headers, paint by what it refers to, ids without patients."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from cohort.scans import RTSTRUCT, assert_plain, found, sentence, some_dicom_paint, some_paint
from files.dicom_objects import a_matrix, saved, write_frames, write_slices
from MetaSegmentLib.cohort.cases import Cases, Common
from MetaSegmentLib.cohort.dicom_tree import IDS
from MetaSegmentLib.errors import InputError
from MetaSegmentLib.files.images import read_image

VOLUME = np.arange(5 * 4 * 3, dtype=np.int16).reshape(5, 4, 3)
PATIENT = "Somebody^Private"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return tmp_path / "archive" / PATIENT


def a_series(folder: Path, series: str, **changed: object) -> Path:
    def named(k: int, data: Dataset) -> None:
        data.PatientName = PATIENT

    folder.mkdir(parents=True, exist_ok=True)
    write_slices(folder, VOLUME, a_matrix(), series=series, **{"change": named, **changed})  # type: ignore[arg-type]
    return folder


def of(tree: Path, common: Common | None = None) -> Cases:
    cases = found(tree.parent, tree.parents[1] / "results", common)
    assert_plain([one.sentence for one in cases.problems], PATIENT, "Somebody", "1.2.3")
    return cases


def test_series_and_their_paint(tree: Path) -> None:
    a_series(tree / "ct", "1.2.3.1")
    a_series(tree / "mr", "1.2.3.2")
    write_frames(
        tree / "frames.dcm", VOLUME, a_matrix(), change=lambda data, *_: setattr(data, "SeriesInstanceUID", "1.2.3.3")
    )
    paint = [
        some_dicom_paint(tree / "ct" / "seg.dcm", "1.2.3.1"),
        some_dicom_paint(tree / "elsewhere" / "rt.dcm", "1.2.3.2", RTSTRUCT),
        some_dicom_paint(tree / "elsewhere" / "seg.dcm", "1.2.3.3"),
    ]
    (tree / "readme.txt").write_text("hello", encoding="utf-8")
    cases, problems = of(tree)
    assert not problems
    by_id = {case.id: case for case in cases}
    assert set(by_id) == {"series-001", "series-002", "series-003"}
    assert {case.image: case.support for case in cases} == {
        tree / "ct": (paint[0],), tree / "mr": (paint[1],), tree: (paint[2],)
    }  # fmt: skip
    for case in cases:
        array, _ = read_image(case.image)
        assert np.array_equal(array, VOLUME)


def test_paint_for_all_series_without_paint(tree: Path) -> None:
    a_series(tree / "a", "1.2.3.1")
    a_series(tree / "b", "1.2.3.2")
    own = some_dicom_paint(tree / "seg.dcm", "1.2.3.2")
    assert "no painted slices" in sentence(of(tree), "series-001")
    support = some_paint(tree.parents[1] / "paint.nrrd")
    cases, problems = of(tree, Common((support,), (tree / "a",)))
    assert not problems
    assert [(case.support, case.support_images) for case in cases] == [((support,), ()), ((own,), ())]


def test_a_tree_without_paint_needs_some_for_all(tree: Path) -> None:
    a_series(tree / "a", "1.2.3.1")
    with pytest.raises(InputError, match="--support"):
        of(tree)


def _tilted(folder: Path) -> None:
    a_series(folder, "1.2.3.9")
    shutil.rmtree(folder)
    folder.mkdir(parents=True)
    write_slices(folder, VOLUME, a_matrix(shear=0.8), series="1.2.3.9")


def _missing(folder: Path) -> None:
    a_series(folder, "1.2.3.9")
    sorted(folder.iterdir())[2].unlink()


def _duplicate(folder: Path) -> None:
    a_series(folder, "1.2.3.9")
    a_series(folder, "1.2.3.9", names=[f"again-{k}.dcm" for k in range(5)])


def _mixed(folder: Path) -> None:
    a_series(folder, "1.2.3.9")
    a_series(folder, "1.2.3.10")


def _scattered(folder: Path) -> None:
    a_series(folder, "1.2.3.9")
    (folder / "more").mkdir()
    for file in sorted(folder.glob("*.dcm"))[:2]:
        file.rename(folder / "more" / file.name)


def _localiser(folder: Path) -> None:
    a_series(folder, "1.2.3.9", change=lambda k, data: setattr(data, "ImageType", ["ORIGINAL", "PRIMARY", "LOCALIZER"]))


def _single(folder: Path) -> None:
    folder.mkdir(parents=True)
    write_slices(folder, VOLUME[:1], a_matrix(), series="1.2.3.9")


def _frames(folder: Path) -> None:
    folder.mkdir(parents=True)
    for name in ("a.dcm", "b.dcm"):
        write_frames(folder / name, VOLUME, a_matrix())


def _uneven_frames(folder: Path) -> None:
    folder.mkdir(parents=True)

    def change(data: Dataset, shared: Dataset, frames: list[Dataset]) -> None:
        frames[1].PlanePositionSequence[0].ImagePositionPatient = [0, 0, 999]

    write_frames(folder / "a.dcm", VOLUME, a_matrix(), change=change)


def _nowhere(folder: Path) -> None:
    a_series(folder, "1.2.3.9", change=lambda k, data: data.__delattr__("ImagePositionPatient"))


def _colour(folder: Path) -> None:
    a_series(folder, "1.2.3.9")
    for file in folder.iterdir():
        saved(file, _coloured)


def _coloured(data: Dataset) -> None:
    data.SamplesPerPixel, data.PhotometricInterpretation, data.PlanarConfiguration = 3, "RGB", 0
    data.PixelData = data.PixelData * 3


def _cut(folder: Path) -> None:
    a_series(folder, "1.2.3.9")
    file = sorted(folder.iterdir())[0]
    file.write_bytes(file.read_bytes()[:-10])


def _all_cut(folder: Path) -> None:
    _single(folder)
    (file,) = folder.iterdir()
    file.write_bytes(file.read_bytes()[:-10])


def _painted_twice(folder: Path) -> None:
    a_series(folder, "1.2.3.9")
    some_dicom_paint(folder / "seg.dcm", "1.2.3.9")
    some_dicom_paint(folder / "rt.dcm", "1.2.3.9", RTSTRUCT)


@pytest.mark.parametrize(
    ("build", "why", "count"),
    [
        (_tilted, "tilted", 1),
        (_missing, "not evenly spaced", 1),
        (_duplicate, "several times at the same place", 1),
        (_mixed, "several series", 2),
        (_scattered, "several folders", 1),
        (_localiser, "localiser", 1),
        (_single, "single slice", 1),
        (_frames, "many frames", 1),
        (_uneven_frames, "not evenly spaced", 1),
        (_nowhere, "without position", 1),
        (_colour, "several numbers a voxel", 1),
        (_cut, "damaged or cut short", 1),
        (_all_cut, "damaged or cut short", 1),
        (_painted_twice, "Several DICOM segmentations", 1),
        (lambda folder: some_dicom_paint(folder / "seg.dcm", "1.2.3.77"), "not in the tree", 1),
    ],
)
def test_what_is_no_case_stops_no_other(tree: Path, build: object, why: str, count: int) -> None:
    a_series(tree / "a", "1.2.3.1")
    some_dicom_paint(tree / "a" / "seg.dcm", "1.2.3.1")
    build(tree / "b")  # type: ignore[operator]
    cases = of(tree)
    assert [case.image for case in cases.cases] == [tree / "a"]
    assert len(cases.problems) == count
    assert all(why in one.sentence for one in cases.problems), cases.problems
    assert len({one.id for one in (*cases.cases, *cases.problems)}) == count + 1


def test_copies_of_a_file_are_one(tree: Path) -> None:
    a_series(tree / "a", "1.2.3.1")
    some_dicom_paint(tree / "a" / "seg.dcm", "1.2.3.1")
    shutil.copy(tree / "a" / "1.2.3.1-001.dcm", tree / "a" / "copy.dcm")
    cases, problems = of(tree)
    assert len(cases) == 1 and not problems


def test_results_inside_the_tree_are_no_paint(tree: Path) -> None:
    a_series(tree / "a", "1.2.3.1")
    some_dicom_paint(tree / "a" / "seg.dcm", "1.2.3.1")
    some_dicom_paint(tree / "results" / "series-001.seg.dcm", "1.2.3.1")
    cases, problems = found(tree, tree / "results")
    assert len(cases) == 1 and not problems


def test_a_tree_with_a_circle(tree: Path) -> None:
    a_series(tree / "a", "1.2.3.1")
    some_dicom_paint(tree / "a" / "seg.dcm", "1.2.3.1")
    (tree / "a" / "round").symlink_to(tree, target_is_directory=True)
    cases, problems = of(tree)
    assert len(cases) == 1 and not problems


def test_ids_stay_when_the_tree_grows(tree: Path) -> None:
    for name, series in (("b", "1.2.3.2"), ("d", "1.2.3.4")):
        a_series(tree / name, series)
        some_dicom_paint(tree / name / "seg.dcm", series)
    before = {case.image: case.id for case in of(tree).cases}
    assert before == {tree / "b": "series-001", tree / "d": "series-002"}
    a_series(tree / "a", "1.2.3.1")
    some_dicom_paint(tree / "a" / "seg.dcm", "1.2.3.1")
    shutil.rmtree(tree / "b")
    assert {case.image: case.id for case in of(tree).cases} == {tree / "a": "series-003", tree / "d": "series-002"}


def test_the_list_of_ids_is_for_its_owner_alone(tree: Path) -> None:
    a_series(tree / "a", "1.2.3.1")
    some_dicom_paint(tree / "a" / "seg.dcm", "1.2.3.1")
    (case,), _ = of(tree)
    file = tree.parents[1] / "results" / IDS
    text = file.read_text(encoding="utf-8")
    assert text.splitlines()[0] == "id,series,folder" and f"{case.id},1.2.3.1," in text
    if os.name == "posix":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "Somebody" not in case.id
    file.write_text("something else", encoding="utf-8")
    with pytest.raises(InputError, match="damaged"):
        of(tree)


def test_a_folder_with_one_dicom_segmentation_is_a_support(tree: Path) -> None:
    a_series(tree / "a", "1.2.3.1")
    (tree / "paint").mkdir()
    some_dicom_paint(tree / "paint" / "seg.dcm", "1.2.3.1")
    manifest = tree / "cases.csv"
    manifest.write_text("id,image,support\none,a,paint\n", encoding="utf-8")
    (case,) = found(manifest, tree.parents[1] / "results").cases
    assert case.support == (tree / "paint",)

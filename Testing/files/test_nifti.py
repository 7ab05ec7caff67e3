"""NIfTI headers: read where every program has them, or refused with the reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from MetaSegmentLib import InputError, OutputError
from MetaSegmentLib.files.grids import Grid
from MetaSegmentLib.files.images import read_image, write_image

TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
ARRAY = np.random.default_rng(0).integers(-9, 999, (7, 9, 11)).astype(np.int16)
TURN = np.linalg.qr(np.array([[0.9, 0.2, 0.4], [-0.3, 0.8, 0.5], [0.1, -0.4, 0.9]]))[0]


def an_affine(shift: float = 0.0, flip: int = 1, shear: float = 0.0) -> np.ndarray:
    """4×4 to RAS mm."""
    affine = np.eye(4)
    affine[:3, :3] = TURN * (1.1, 0.9, 2.5 * flip)
    affine[:3, 2] += shear * affine[:3, 1]
    affine[:3, 3] = (40 + shift, -31, 17)
    return affine


def save(
    path: Path,
    sform: Any = None,
    qform: Any = None,
    codes: tuple[int, int] = (1, 1),
    kind: Any = nibabel.Nifti1Image,
    **fields: Any,
) -> Path:
    """Codes of the sform and the qform; ``fields`` are set in the header as they are."""
    image = kind(ARRAY.T, None)
    image.header.set_sform(an_affine() if sform is None else sform, codes[0])
    image.header.set_qform(an_affine() if qform is None else qform, codes[1])
    image.to_filename(path)
    if fields:  # which nibabel would put right
        content = bytearray(path.read_bytes())
        header = image.header.structarr.copy()
        header["vox_offset"] = 352
        for name, value in fields.items():
            header[name] = value
        content[: header.itemsize] = header.tobytes()
        path.write_bytes(content)
    return path


@pytest.mark.parametrize("codes", [(1, 1), (4, 1), (1, 0), (0, 1), (2, 0), (0, 3)])
@pytest.mark.parametrize("flip", [1, -1], ids=["one hand", "the other"])
@pytest.mark.parametrize("units", [0, 2, 10])
def test_forms_that_agree_are_read(tmp_path: Path, codes: tuple[int, int], flip: int, units: int) -> None:
    affine = an_affine(flip=flip)
    array, grid = read_image(save(tmp_path / "a.nii", affine, affine, codes, xyzt_units=units))
    np.testing.assert_array_equal(array, ARRAY)
    np.testing.assert_allclose(grid.matrix, TO_LPS @ affine, atol=1e-4)


@pytest.mark.parametrize("pair", [nibabel.Nifti1Pair, nibabel.Nifti1Image], ids=["pair", "single"])
@pytest.mark.parametrize("named", ["hdr", "img"])
def test_a_form_that_is_not_set_is_not_looked_at(tmp_path: Path, pair: Any, named: str) -> None:
    affine = an_affine()
    if pair is nibabel.Nifti1Image:
        path = save(tmp_path / "a.nii", affine, an_affine(shift=20), (1, 0))
    else:
        save(tmp_path / "a.hdr", affine, an_affine(shift=20), (1, 0), pair)
        path = tmp_path / f"a.{named}"
    np.testing.assert_allclose(read_image(path)[1].matrix, TO_LPS @ affine, atol=1e-4)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"qform": an_affine(shift=0.5)}, "disagree"),
        ({"qform": an_affine(shift=0.5), "codes": (4, 1)}, "disagree"),
        ({"qform": np.diag([1.1, 0.9, 2.5, 1.0])}, "disagree"),
        ({"qform": an_affine(flip=-1)}, "disagree"),
        ({"codes": (0, 0)}, "without orientation"),
        ({"sform": an_affine(shear=0.4), "codes": (1, 0)}, "sheared"),
        ({"sform": an_affine(shear=0.02), "codes": (2, 0)}, "sheared"),
        ({"sform": an_affine(shear=0.4)}, "sheared"),
        ({"xyzt_units": 1}, "another unit"),
        ({"xyzt_units": 3}, "another unit"),
        ({"codes": (1, 0), "pixdim": [1, 1, 1, 1, 0, 0, 0, 0]}, "disagree"),
        ({"codes": (1, 0), "pixdim": [1, -1.1, 0.9, 2.5, 0, 0, 0, 0]}, "disagree"),
        ({"codes": (1, 0), "pixdim": [1, 1.1, 0.9, 0, 0, 0, 0, 0]}, "disagree"),
        ({"sform": np.full((4, 4), np.nan), "codes": (1, 0)}, "nothing of where"),
        ({"sform": np.zeros((4, 4)), "codes": (1, 0)}, "nothing of where"),
        ({"kind": nibabel.Nifti2Image}, "NIfTI-2"),
    ],
)
@pytest.mark.parametrize("order", ["little", "big"])
def test_what_programs_place_differently_is_refused(
    tmp_path: Path, given: dict[str, Any], words: str, order: str
) -> None:
    path = save(tmp_path / "a.nii", **given)
    if order == "big":
        if "kind" in given:
            pytest.skip("one order is enough")
        header = nibabel.Nifti1Header(path.read_bytes()[:348], check=False).as_byteswapped(">")
        path.write_bytes(header.binaryblock + bytes(4) + ARRAY.astype(">i2").tobytes())
    with pytest.raises(InputError, match=words):
        read_image(path)


@pytest.mark.parametrize("ending", ["nii", "nii.gz"])
@pytest.mark.parametrize("flip", [1, -1], ids=["one hand", "the other"])
def test_both_forms_are_written(tmp_path: Path, ending: str, flip: int) -> None:
    affine = an_affine(flip=flip)
    grid = Grid.from_matrix(ARRAY.shape[::-1], TO_LPS @ affine)
    write_image(tmp_path / f"a.{ending}", ARRAY, grid)
    write_image(tmp_path / f"p.{ending}", np.stack([ARRAY, ARRAY]), grid)
    assert nibabel.load(tmp_path / f"p.{ending}").shape == (*ARRAY.shape[::-1], 2)
    np.testing.assert_allclose(nibabel.load(tmp_path / f"p.{ending}").affine, affine, atol=1e-4)
    image = nibabel.load(tmp_path / f"a.{ending}")
    for form, code in (image.get_sform(coded=True), image.get_qform(coded=True)):
        assert code > 0
        np.testing.assert_allclose(form, affine, atol=1e-4)
    assert image.header.get_xyzt_units()[0] == "mm"


@pytest.mark.parametrize("ending", ["nii", "nii.gz", "hdr"])
def test_a_shear_is_not_written_where_programs_would_drop_it(tmp_path: Path, ending: str) -> None:
    grid = Grid.from_matrix(ARRAY.shape[::-1], TO_LPS @ an_affine(shear=0.3))
    with pytest.raises(OutputError, match=r"write \.nrrd"):
        write_image(tmp_path / f"a.{ending}", ARRAY, grid)


def test_scaled_numbers_are_scaled(tmp_path: Path) -> None:
    array, _ = read_image(save(tmp_path / "a.nii", scl_slope=0.25, scl_inter=-3))
    np.testing.assert_allclose(array, ARRAY * 0.25 - 3, rtol=1e-6)


def test_half_a_turn_is_not_lost_in_rounding(tmp_path: Path) -> None:
    """Of its quaternion, single precision leaves a rest that turns a large volume by a tenth of a voxel."""
    affine = np.array([[-1.0, 0, 0, 127.4], [0, 0, 1, -128], [0, -1, 0, 128], [0, 0, 0, 1]])
    image = nibabel.Nifti1Image(np.zeros((256, 256, 256), np.uint8), affine)
    image.set_qform(affine, 1)
    image.to_filename(tmp_path / "a.nii")
    np.testing.assert_allclose(read_image(tmp_path / "a.nii")[1].matrix, TO_LPS @ affine, atol=1e-3)


@pytest.mark.parametrize("spacing", [0.0, -2.0, np.nan])
def test_analyze_without_a_spacing_is_refused(tmp_path: Path, spacing: float) -> None:
    image = nibabel.AnalyzeImage(ARRAY.T, np.diag([-1.1, 0.9, 2.5, 1]))
    image.to_filename(tmp_path / "a.hdr")
    assert read_image(tmp_path / "a.img")[1].spacing == pytest.approx((1.1, 0.9, 2.5))
    content = bytearray((tmp_path / "a.hdr").read_bytes())
    content[88:92] = np.float32(spacing).tobytes()
    (tmp_path / "a.hdr").write_bytes(content)
    for name in ("a.hdr", "a.img"):
        with pytest.raises(InputError, match="no spacing"):
            read_image(tmp_path / name)

"""Damaged files are called damaged; whole ones, and what other programs round off, are not."""

from __future__ import annotations

import gzip
import resource
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from MetaSegmentLib import InputError
from MetaSegmentLib.files.grids import Grid
from MetaSegmentLib.files.images import read_image, write_image
from MetaSegmentLib.files.segmentations import read_painted

GRID = Grid((30, 20, 10), (1.0, 2.0, 3.0), (0.5, 0.75, 2.0), tuple(np.eye(3).ravel()))
NOISE = np.random.default_rng(0).integers(0, 255, (10, 20, 30)).astype(np.uint8)
PACKED = ["a.nrrd", "a.mha", "a.nii.gz", "a.gipl.gz"]


@pytest.mark.parametrize("name", PACKED)
@pytest.mark.parametrize("place", [0.4, 0.7, 0.95])
def test_a_byte_that_flipped_in_packed_data_is_noticed(tmp_path: Path, name: str, place: float) -> None:
    write_image(tmp_path / name, NOISE, GRID)
    content = bytearray((tmp_path / name).read_bytes())
    content[int(place * len(content))] ^= 4
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=r"cannot be read; .*(damaged|cut short)"):
        read_image(tmp_path / name)


@pytest.mark.parametrize("name", ["a.nrrd", "a.nii.gz", "a.gipl.gz"])
def test_a_wrong_checksum_alone_is_noticed(tmp_path: Path, name: str) -> None:
    write_image(tmp_path / name, NOISE, GRID)
    content = bytearray((tmp_path / name).read_bytes())
    content[-6] ^= 1
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match="checksum"):
        read_image(tmp_path / name)


@pytest.mark.parametrize(("name", "part"), [("a.nhdr", "a.raw.gz"), ("a.mhd", "a.zraw"), ("a.hdr", "a.img")])
@pytest.mark.parametrize("harm", ["missing", "cut short"])
def test_the_part_that_is_missing_is_named(tmp_path: Path, name: str, part: str, harm: str) -> None:
    write_image(tmp_path / name, NOISE, GRID)
    content = (tmp_path / part).read_bytes()
    (tmp_path / part).write_bytes(content[: len(content) // 2])
    if harm == "missing":
        (tmp_path / part).unlink()
    with pytest.raises(InputError, match=f"{part}, is missing" if harm == "missing" else harm):
        read_image(tmp_path / name)


def test_a_slice_that_is_missing_from_many_files_is_named(tmp_path: Path) -> None:
    for number in range(10):
        (tmp_path / f"s{number}.raw").write_bytes(NOISE[number].tobytes())
    header = "NRRD0004\ntype: uint8\ndimension: 3\nsizes: 30 20 10\nencoding: raw\ndata file: s%d.raw 0 9 1\n"
    (tmp_path / "a.nhdr").write_text(header, encoding="utf-8")
    assert np.array_equal(read_image(tmp_path / "a.nhdr")[0], NOISE)
    (tmp_path / "s4.raw").write_bytes(b"short")
    with pytest.raises(InputError, match=r"s4\.raw, is damaged or cut short"):
        read_image(tmp_path / "a.nhdr")


@pytest.mark.parametrize("name", ["a.nrrd", "a.seg.nrrd", "a.mha", "a.nii", "a.nii.gz", "a.gipl"])
def test_a_header_that_declares_far_more_than_there_is_costs_no_memory(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if "nrrd" in name:
        header = b"NRRD0004\ntype: short\ndimension: 3\nsizes: 30000 30000 30000\nencoding: gzip\n\n"
        path.write_bytes(header + gzip.compress(NOISE.tobytes()))
    elif name == "a.mha":
        path.write_bytes(
            b"NDims = 3\nDimSize = 30000 30000 30000\nElementType = MET_SHORT\nElementDataFile = LOCAL\n" + b"0" * 99
        )
    else:
        write_image(path, NOISE, GRID)
        content = bytearray(gzip.decompress(path.read_bytes()) if name.endswith("gz") else path.read_bytes())
        big = struct.pack(">3H", *[30000] * 3) if "gipl" in name else struct.pack("<3h", *[30000] * 3)
        at = 0 if "gipl" in name else 42
        content[at : at + 6] = big
        path.write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError, match="cut short"):
        read_painted(path, GRID) if "seg" in name else read_image(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000, "kB"


@pytest.mark.parametrize(
    ("header", "data"),
    [
        ("encoding: raw\nbyte skip: -1\n", b"junk" + NOISE.tobytes()),
        ("encoding: raw\nline skip: 2\n", b"one\ntwo\n" + NOISE.tobytes()),
        ("encoding: gz\n", gzip.compress(NOISE.tobytes()[:999]) + gzip.compress(NOISE.tobytes()[999:])),
        ("encoding: gzip\n", gzip.compress(NOISE.tobytes()) + b"behind"),
        ("encoding: ascii\n", " ".join(map(str, NOISE.ravel())).encode()),
    ],
    ids=["bytes from the end", "lines skipped", "two members", "something behind", "text"],
)
def test_unusual_files_that_are_whole_are_not_damaged(tmp_path: Path, header: str, data: bytes) -> None:
    from MetaSegmentLib.files.damage import require_whole

    path = tmp_path / "a.nrrd"
    path.write_bytes(f"NRRD0004\ntype: uint8\ndimension: 3\nsizes: 30 20 10\n{header}\n".encode() + data)
    require_whole(path)


@pytest.mark.parametrize("off", [0.002, -0.0078])
def test_labels_that_a_scaling_rounded_off_are_labels(tmp_path: Path, off: float) -> None:
    labels = (NOISE % 3).astype(np.float32)
    write_image(tmp_path / "p.nrrd", labels * (1 + off / 2), GRID)
    painted = read_painted(tmp_path / "p.nrrd", GRID)
    assert np.array_equal(painted.layers[0], labels) and [one.value for one in painted.segments] == [1, 2]


@pytest.mark.parametrize("values", [NOISE / 7, NOISE * 1.1, (NOISE > 99) * 0.95])
def test_an_image_is_no_label_map(tmp_path: Path, values: np.ndarray) -> None:
    write_image(tmp_path / "p.nrrd", values.astype(np.float32), GRID)
    with pytest.raises(InputError, match="not whole"):
        read_painted(tmp_path / "p.nrrd", GRID)


def test_a_damaged_file_of_a_rare_format_does_not_end_the_process(tmp_path: Path) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(NOISE), str(tmp_path / "a.h5"))
    assert np.array_equal(read_image(tmp_path / "a.h5")[0], NOISE)
    content = (tmp_path / "a.h5").read_bytes()
    (tmp_path / "a.h5").write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="cannot be read"):
        read_image(tmp_path / "a.h5")


NUMBERS = " ".join(map(str, NOISE.ravel())).encode()
VTK = (
    b"# vtk DataFile Version 3.0\na\nASCII\nDATASET STRUCTURED_POINTS\nDIMENSIONS 30 20 10\nSPACING 1 1 1\n"
    b"ORIGIN 0 0 0\nPOINT_DATA 6000\nSCALARS a unsigned_char 1\nLOOKUP_TABLE default\n"
)
NRRD = b"NRRD0004\ntype: uint8\ndimension: 3\nsizes: 30 20 10\nencoding: ascii\n\n"


@pytest.mark.parametrize(("name", "header"), [("a.vtk", VTK), ("a.nrrd", NRRD)])
def test_numbers_in_text_that_are_missing_or_none_are_noticed(tmp_path: Path, name: str, header: bytes) -> None:
    """What is missing would be what was in memory; what is no text would end the process."""
    path = tmp_path / name
    path.write_bytes(header + NUMBERS)
    assert np.array_equal(read_image(path)[0], NOISE)
    path.write_bytes(header + NUMBERS[:-1000])
    with pytest.raises(InputError, match="cut short"):
        read_image(path)
    path.write_bytes(header + NOISE.tobytes() * 4)
    with pytest.raises(InputError, match="no text of numbers"):
        read_image(path)


@pytest.mark.parametrize("title", [b"converted from ASCII data", b"BINARY SCALARS, DIMENSIONS 1 1 1", b""])
def test_words_of_a_vtk_file_are_no_encoding(tmp_path: Path, title: bytes) -> None:
    """Nor are they anything else that the header declares; the third line alone says how the data is written."""
    from MetaSegmentLib.files.damage import Damage, require_whole

    version, _, encoding, rest = VTK.split(b"\n", 3)
    rest = rest.replace(b"SCALARS a", b"SCALARS " + (b"BINARY" if b"BINARY" in title else b"ASCII"))
    path = tmp_path / "a.vtk"
    for form, data in ((b"BINARY", NOISE.tobytes()), (encoding, NUMBERS)):
        path.write_bytes(b"\n".join([version, title, form, rest]) + data)
        require_whole(path)
        if title:  # without one the reader takes the third line for it
            assert np.array_equal(read_image(path)[0], NOISE)
        path.write_bytes(path.read_bytes()[:-1000])
        with pytest.raises(Damage, match="cut short"):
            require_whole(path)


@pytest.mark.parametrize(("number", "value"), [(b"0x10", 16), (b"-1.#IND", -1)])
def test_numbers_are_text_however_a_program_writes_them(tmp_path: Path, number: bytes, value: float) -> None:
    """The reader of .nrrd knows them, but for whole numbers; that of .vtk would take all that follows for 0."""
    head = NRRD.replace(b"uint8", b"float")
    (tmp_path / "a.nrrd").write_bytes(head + number + b" " + NUMBERS.split(b" ", 1)[1])
    found = read_image(tmp_path / "a.nrrd")[0].ravel()
    assert found[0] == value and np.array_equal(found[1:], NOISE.ravel()[1:])
    (tmp_path / "a.nrrd").write_bytes(head + b"hello " + NUMBERS.split(b" ", 1)[1])
    with pytest.raises(InputError, match="cannot be read"):
        read_image(tmp_path / "a.nrrd")
    (tmp_path / "a.nrrd").write_bytes(head + b"\xff\0 " + NUMBERS.split(b" ", 1)[1])
    (tmp_path / "b.nrrd").write_bytes(NRRD + number + b" " + NUMBERS.split(b" ", 1)[1])
    (tmp_path / "c.vtk").write_bytes(VTK + number + b" " + NUMBERS.split(b" ", 1)[1])
    for path in tmp_path.iterdir():
        with pytest.raises(InputError, match="no text of numbers"):
            read_image(path)


@pytest.mark.parametrize(
    ("share", "words"), [(None, "how long"), (0.0, "how long"), (0.5, "no end"), (0.99, "no end"), (1.0, "")]
)
def test_the_length_of_packed_data_in_a_metaimage_is_heeded(tmp_path: Path, share: float | None, words: str) -> None:
    """The reader takes just as many bytes as the header says, and memory as it is for the voxels that they lack."""
    packed = zlib.compress(NOISE.tobytes())
    said = "" if share is None else f"CompressedDataSize = {int(share * len(packed))}\n"
    header = f"ObjectType = Image\nNDims = 3\nBinaryData = True\nCompressedData = True\n{said}DimSize = 30 20 10\n"
    end = "ElementType = MET_UCHAR\nElementDataFile = LOCAL\n"
    (tmp_path / "a.mha").write_bytes((header + end).encode() + packed)
    if not words:
        assert np.array_equal(read_image(tmp_path / "a.mha")[0], NOISE)
        return
    with pytest.raises(InputError, match=words):
        read_image(tmp_path / "a.mha")


@pytest.mark.parametrize(
    ("offset", "words"),
    [(0.0, "does not say where"), (-1.0, "does not say where"), (348.0, "its voxels begin within its header")],
)
def test_a_nifti_whose_voxels_begin_at_no_place_is_refused(tmp_path: Path, offset: float, words: str) -> None:
    """Programs then begin at different bytes, some of them at those of the header."""
    write_image(tmp_path / "a.nii", NOISE, GRID)
    content = bytearray((tmp_path / "a.nii").read_bytes())
    struct.pack_into("<f", content, 108, offset)
    (tmp_path / "a.nii").write_bytes(content)
    with pytest.raises(InputError, match=words):
        read_image(tmp_path / "a.nii")

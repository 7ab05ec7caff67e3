"""Packs: what comes out is what went in, only of what may be trained on, and no larger than allowed."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from MetaSegmentLib.cli import main
from MetaSegmentLib.errors import InputError
from MetaSegmentLib.files.grids import Grid
from MetaSegmentLib.files.images import read_image, write_image
from MetaSegmentLib.training.config import Share
from MetaSegmentLib.training.pack import contents, unpack, write_pack
from MetaSegmentLib.training.sources import Source, find_sources
from MetaSegmentLib.training.tasks import TaskMaker

SHAPE = (40, 72, 64)
BOX = (slice(12, 28), slice(30, 50), slice(20, 40))
MARGIN = 24
"""Voxels around the labels that are kept."""


def data_set(folder: Path, volumes: int, dtype: type = np.int16, use: str = "train") -> Path:
    """Noise with one labelled box, 2 mm thick slices."""
    grid = Grid(SHAPE[::-1], (5, 6, 7), (1, 1, 2), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    labels = np.zeros(SHAPE, np.uint16)
    labels[BOX] = 1
    labels[20:24, 35:45, 25:35] = 300
    for part in ("images", "labels"):
        (folder / part).mkdir(parents=True)
    for number in range(volumes):
        image = np.random.default_rng(number).normal(1000 * number, 100, SHAPE).astype(dtype)
        write_image(folder / "images" / f"someone{number:02d}.nii.gz", image, grid)
        write_image(folder / "labels" / f"someone{number:02d}.nii.gz", labels, grid)
    about = {"use": use, "licence": "CC0", "labels": {"1": "box"}, "cases": ["someone00"]}
    (folder / "dataset.json").write_text(json.dumps(about), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Three data sets, of eight persons, of one, and one that may only be scored."""
    folder = tmp_path_factory.mktemp("data")
    data_set(folder / "many", 8)
    data_set(folder / "one", 1, np.float32)
    data_set(folder / "scored", 1, use="evaluate")
    return folder


SHARES = (Share("many", "labelled", 0.5), Share("one", "supervoxels", 0.3), Share("", "shapes", 0.2))


def test_what_comes_out_is_what_went_in(data, tmp_path):
    packed = write_pack(data, [*SHARES, Share("absent", "labelled", 0.1)], tmp_path / "pack.zip")
    assert set(packed) == set(contents(tmp_path / "pack.zip")) == {"many", "one"}
    assert packed["many"].volumes == packed["many"].of == 8 and packed["many"].licence == "CC0"
    folder = unpack(tmp_path / "pack.zip", tmp_path / "data")
    cut = tuple(slice(max(0, b.start - MARGIN), b.stop + MARGIN) for b in BOX)
    for number, file in enumerate(sorted((folder / "many" / "images").iterdir())):
        image, grid = read_image(file)
        labels, _ = read_image(folder / "many" / "labels" / file.name)
        before, _ = read_image(data / "many" / "images" / f"someone{number:02d}.nii.gz")
        assert np.array_equal(image, before[cut]) and image.dtype == np.int16
        assert grid.array_spacing == (2, 1, 1)
        truth, _ = read_image(data / "many" / "labels" / f"someone{number:02d}.nii.gz")
        assert np.array_equal(labels, truth[cut]) and labels.dtype == np.uint16
    (file,) = (folder / "one" / "images").iterdir()
    image, _ = read_image(file)
    before, _ = read_image(data / "one" / "images" / "someone00.nii.gz")
    assert image.dtype == np.int16 and image.shape == before.shape
    assert np.corrcoef(image.ravel(), before.ravel())[0, 1] > 0.9999
    assert not (folder / "one" / "labels").exists(), "supervoxels need none"


def test_sources_draw_from_it_and_keep_out_who_was_kept_out(data, tmp_path):
    write_pack(data, SHARES, tmp_path / "pack.zip")
    folder = unpack(tmp_path / "pack.zip", tmp_path / "data")
    assert [one.folder.name for one in find_sources(folder, SHARES) if one.kind != "shapes"] == ["many", "one"]
    for validation in (False, True):
        before = [int(file.name[7:9]) for file in Source(data / "many", 1.0).files(validation)]
        after = [int(file.name[:4]) for file in Source(folder / "many", 1.0).files(validation)]
        assert before == after == ([0, 6] if validation else [1, 2, 3, 4, 5, 7])
    assert TaskMaker([Source(folder / "many", 1.0)]).make(np.random.default_rng(0)).mask.any()


def test_no_file_says_who_was_scanned(data, tmp_path):
    write_pack(data, SHARES, tmp_path / "pack.zip")
    with zipfile.ZipFile(tmp_path / "pack.zip") as archive:
        for name in archive.namelist():
            assert "someone" not in name and b"someone" not in archive.read(name)


@pytest.mark.parametrize(("most_mb", "volumes", "coarser"), [(1.2, 6, 0), (0.4, 6, 1)])
def test_a_set_that_is_too_large_loses_volumes_and_then_gets_coarser(data, tmp_path, most_mb, volumes, coarser):
    file = tmp_path / "pack.zip"
    packed = write_pack(data, SHARES[:1], file, most_mb)
    assert file.stat().st_size <= most_mb * 1e6
    assert (packed["many"].volumes, packed["many"].coarser) == (volumes, coarser)
    folder = unpack(file, tmp_path / "data")
    assert len(Source(folder / "many", 1.0).files(True)) == 1 and len(Source(folder / "many", 1.0).files()) == 5
    image, grid = read_image(folder / "many" / "images" / "0000.nii")
    labels, _ = read_image(folder / "many" / "labels" / "0000.nii")
    assert grid.array_spacing == ((2, 2, 2) if coarser else (2, 1, 1))
    assert image.shape == labels.shape and (labels > 0).sum() * 4**coarser == 16 * 20 * 20


def test_a_set_that_may_only_be_scored_is_refused(data, tmp_path):
    with pytest.raises(InputError, match="'scored' may not be trained on"):
        write_pack(data, [*SHARES, Share("scored", "labelled", 0.1)], tmp_path / "pack.zip")
    assert not list(tmp_path.iterdir())


def test_a_damaged_pack_is_told(data, tmp_path):
    file = tmp_path / "pack.zip"
    write_pack(data, SHARES[1:2], file)
    with zipfile.ZipFile(file) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    image = next(name for name in parts if name.endswith(".nii"))
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content[:-1] + b"x" if name == image else content)
    with pytest.raises(InputError, match="damaged"):
        unpack(file, tmp_path / "data")
    file.write_bytes(b"no pack")
    with pytest.raises(InputError, match="damaged"):
        unpack(file, tmp_path / "data")
    with pytest.raises(InputError, match="train pack"):
        unpack(tmp_path / "nothing.zip", tmp_path / "data")


def test_a_folder_that_is_one_set_is_packed_by_the_command(data, tmp_path, capsys):
    file = tmp_path / "pack.zip"
    assert main(["train", "pack", "--data", str(data / "many"), "--output", str(file)]) == 0
    assert "many: 8 of 8 volumes" in capsys.readouterr().out
    folder = unpack(file, tmp_path / "data")
    assert folder.name == "many" and find_sources(folder)[0].kind == "labelled"
    assert unpack(file, tmp_path / "data") == folder

"""The reference protocol and real volumes, where they lie beside the repository, and shapes for when they do not."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

SHARED = Path(__file__).resolve().parents[3] / "shared"
REFERENCE = SHARED / "bench"
DATA = SHARED / "data"


@pytest.fixture
def reference() -> Callable[[str], ModuleType]:
    """Loads one module of the reference by its path, so that its name cannot hide ours."""
    if not REFERENCE.is_dir():
        pytest.skip("the reference ../shared/bench is not here")
    return _load


@pytest.fixture(scope="session")
def blobs() -> list[np.ndarray]:
    """Sixty random (24, 22, 20) masks of one to a few pieces; some touch the border, some have gaps."""
    return [_blob(seed) for seed in range(60)]


@pytest.fixture(scope="session")
def real_structures() -> list[np.ndarray]:
    """A few structures of real volumes, cropped to their neighbourhood; empty where there is no data."""
    return list(_real_masks())


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"reference_{name}", REFERENCE / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _blob(seed: int, shape: tuple[int, int, int] = (24, 22, 20)) -> np.ndarray:
    random = np.random.default_rng(seed)
    noise = gaussian_filter(random.standard_normal(shape), random.uniform(2.0, 5.0))
    return noise > np.quantile(noise, random.uniform(0.75, 0.97))


def _real_masks() -> Iterator[np.ndarray]:
    for name in ("msd_hippocampus", "msd_spleen_crop", "openkbp"):
        label_files = sorted((DATA / name / "labels").glob("*.nii.gz"))
        if label_files:
            import SimpleITK

            labels = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(label_files[0])))
            for value in np.unique(labels[labels > 0])[:3]:
                mask = labels == value
                box = tuple(slice(max(c.min() - 3, 0), c.max() + 4) for c in np.nonzero(mask))
                yield mask[box]


@pytest.fixture
def a_data_set(tmp_path: Path) -> Path:
    """Two volumes of 24 × 40 × 44 with an ellipsoid (1) and a slanted tube (2), brighter than the noise around."""
    folder = tmp_path / "phantoms"
    for number in (1, 2):
        labels = _phantom(number)
        noise = np.random.default_rng(number).normal(0, 20, labels.shape)
        image = gaussian_filter(np.choose(labels, (0.0, 200.0, 350.0)), 0.7) + noise
        _write(folder / "images" / f"patient_{number}.nii.gz", image.astype(np.int16))
        _write(folder / "labels" / f"patient_{number}.nii.gz", labels)
    about = {"labels": {"1": "ellipsoid", "2": "tube"}, "slice_axis": 0}
    (folder / "dataset.json").write_text(json.dumps(about), encoding="utf-8")
    return folder


def _phantom(number: int) -> np.ndarray:
    k, j, i = np.indices((24, 40, 44))
    labels = np.zeros(k.shape, np.uint8)
    labels[((k - 11) / 9) ** 2 + ((j - 14) / (6 + number)) ** 2 + ((i - 14) / 8) ** 2 < 1] = 1
    labels[((j - 30 + k / 6) ** 2 + (i - 32 + k / 4) ** 2 < 16) & (k > 2) & (k < 22)] = 2
    return labels


def _write(file: Path, array: np.ndarray) -> None:
    import SimpleITK

    file.parent.mkdir(parents=True, exist_ok=True)
    image = SimpleITK.GetImageFromArray(array)
    image.SetSpacing((1.0, 1.2, 2.5))
    SimpleITK.WriteImage(image, str(file))

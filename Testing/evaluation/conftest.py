"""The reference protocol and real volumes, where they lie beside the repository, and shapes for when they do not."""

from __future__ import annotations

import importlib.util
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
    for name in ("acdc", "msd_hippocampus", "openkbp"):
        label_files = sorted((DATA / name / "labels").glob("*.nii.gz"))
        if label_files:
            import SimpleITK

            labels = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(label_files[0])))
            for value in np.unique(labels[labels > 0])[:3]:
                mask = labels == value
                box = tuple(slice(max(c.min() - 3, 0), c.max() + 4) for c in np.nonzero(mask))
                yield mask[box]

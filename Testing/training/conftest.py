"""What the tests of training share: a cohort on disk, and episodes that cost nothing to make."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from MetaSegmentLib.files.grids import Grid
from MetaSegmentLib.files.images import write_image
from MetaSegmentLib.networks.plan import SLICE_V1

SIZE = SLICE_V1.frame.size


@pytest.fixture(scope="session")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two labelled volumes."""
    folder = tmp_path_factory.mktemp("cohort")
    grid = Grid((40, 40, 24), (0, 0, 0), (1, 1, 1), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    for name in ("images", "labels"):
        (folder / name).mkdir()
    for number in range(2):
        z, y, x = np.indices((24, 40, 40))
        labels = ((z - 12) / 10) ** 2 + ((y - 20) / 13) ** 2 + ((x - 18 - number) / 11) ** 2 < 1
        image = 100 * labels + np.random.default_rng(number).normal(0, 10, labels.shape)
        write_image(folder / "images" / f"{number}.nii.gz", image.astype(np.float32), grid)
        write_image(folder / "labels" / f"{number}.nii.gz", labels.astype(np.uint8), grid)
    return folder


@pytest.fixture(scope="session")
def episodes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of three episodes: bright discs, of which the predictors know nothing."""
    folder = tmp_path_factory.mktemp("episodes")
    rows, columns = np.indices((SIZE, SIZE))
    for number in range(3):
        random = np.random.default_rng(number)
        parts = {}
        for kind, count in (("support", 3), ("query", 4)):
            centres = random.uniform(35, 60, (count, 2))
            truth = np.stack([(rows - y) ** 2 + (columns - x) ** 2 < 20**2 for y, x in centres])
            inputs = random.normal(0, 0.1, (count, len(SLICE_V1.inputs), SIZE, SIZE))
            inputs[:, SLICE_V1.place("image")] += 2 * truth - 1
            inputs[:, SLICE_V1.place("outside")] = 0
            parts |= {kind: inputs.astype(np.float16), f"{kind}_truth": truth}
        save_file(parts, folder / f"{number:06d}.safetensors")
    return folder

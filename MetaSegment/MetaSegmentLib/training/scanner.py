"""Other patients and other scanners: the whole volume of a task changed, with its structure or in its intensities.

MONAI's transforms, driven by the generator of the task, so that a task can be drawn again.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from monai.transforms import (
    Compose,
    RandAdjustContrast,
    RandAffined,
    RandBiasField,
    RandFlipd,
    RandGaussianNoise,
    RandGaussianSmooth,
    RandGibbsNoise,
    RandGridDistortiond,
    RandSimulateLowResolution,
)
from numpy.typing import NDArray

Random = np.random.Generator

_KEYS = ("image", "mask")
_MODES: Any = ("bilinear", "nearest")  # MONAI asks for one mode where it takes one for each key


class Scanner:
    """Changes volumes.

    Args:
        deformed: share of volumes that are turned, scaled, sheared and bent.
        disturbed: scale of the chances of everything that happens to intensities; 1 spares hardly a volume.
    """

    def __init__(self, deformed: float, disturbed: float) -> None:
        self._deformed, self._disturbed = deformed, disturbed
        # Bending by a coarse grid of control points: a twentieth of the time of MONAI's Rand3DElastic.
        self._deform = Compose(
            [
                *(RandFlipd(_KEYS, prob=0.5, spatial_axis=axis) for axis in range(3)),
                RandAffined(
                    _KEYS,
                    prob=1.0,
                    rotate_range=(0.3,) * 3,
                    scale_range=(0.2,) * 3,
                    shear_range=(0.1,) * 6,
                    mode=_MODES,
                    padding_mode="border",
                ),
                RandGridDistortiond(
                    _KEYS, prob=0.7, num_cells=5, distort_limit=0.2, mode=_MODES, padding_mode="border"
                ),
            ]
        )
        self._disturb = Compose(
            [
                RandBiasField(prob=0.5 * disturbed, coeff_range=(0.0, 0.2)),
                RandAdjustContrast(prob=0.6 * disturbed, gamma=(0.6, 1.65)),
                RandSimulateLowResolution(prob=0.2 * disturbed, zoom_range=(0.5, 0.9)),
                RandGaussianSmooth(prob=0.3 * disturbed, sigma_x=(0.0, 0.4), sigma_y=(0.4, 0.9), sigma_z=(0.4, 0.9)),
                RandGaussianNoise(prob=0.6 * disturbed, std=0.08),
                RandGibbsNoise(prob=0.1 * disturbed, alpha=(0.2, 0.6)),
            ]
        )

    def deform(
        self, image: NDArray[Any], mask: NDArray[np.bool_], random: Random
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Image and mask (K, J, I), now and then both flipped, turned, scaled, sheared and bent alike."""
        seed, chance = _seed(random), random.random()
        if chance >= self._deformed:
            return image, mask
        self._deform.set_random_state(seed)
        changed = self._deform({"image": image[None].astype(np.float32), "mask": mask[None].astype(np.float32)})
        return np.asarray(changed["image"][0]), np.asarray(changed["mask"][0]) > 0.5

    def disturb(self, image: NDArray[Any], random: Random) -> NDArray[np.float32]:
        """Another scanner's intensities of an image (slices, rows, columns), about within [0, 1]."""
        seed, chance = _seed(random), random.random()
        image = np.asarray(image, np.float32)
        low, high = np.percentile(image[:, ::2, ::2], (0.5, 99.5))
        if high <= low:
            return image
        unit = np.clip((image - low) / (high - low), -0.5, 2.0)
        self._disturb.set_random_state(seed)
        changed = np.asarray(self._disturb(unit[None])[0], np.float32)
        return 1 - changed if chance < 0.3 * self._disturbed else changed


def _seed(random: Random) -> int:
    return int(random.integers(2**31))

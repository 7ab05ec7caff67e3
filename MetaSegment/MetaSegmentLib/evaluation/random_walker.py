"""The random walker (Grady, IEEE PAMI 2006) off the shelf: scikit-image's, from the seeds that Grow from seeds gets."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from importlib import metadata
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .peers import INSIDE, Mask, make_seeds

# scikit-image's own default; intensities have mean 0 and standard deviation 1 in the box.
_CONTRAST = 130


def maker() -> str:
    """Whose random walker is run here: scikit-image's, or where that is not installed the method ``random-walk``."""
    if not _is_installed():
        return "own, without scikit-image"
    return f"scikit-image {metadata.version('scikit-image')}"


def random_walker(
    image: NDArray[Any], mask: Mask, painted: Sequence[int], spacing: Sequence[float], margin: int = 12
) -> Mask:
    """Where a random walk meets the structure's seeds first; (K, J, I). Arguments as for ``grow_from_seeds``."""
    if not _is_installed():
        return _own(image, mask, painted, spacing)
    from skimage.segmentation import random_walker as walk

    seeds, box = make_seeds(mask, painted, margin)
    grey = image[box].astype(float)
    grey = (grey - grey.mean()) / (grey.std() + 1e-9)
    steps = np.asarray(spacing, float) / min(spacing)
    walked = np.zeros(mask.shape, bool)
    with warnings.catch_warnings():
        # It warns of seeds that no path joins and of slow convergence: the score shows what that costs.
        warnings.simplefilter("ignore")
        walked[box] = walk(grey, seeds.astype(np.int8), beta=_CONTRAST, mode="cg_j", spacing=steps) == INSIDE
    return walked


def _is_installed() -> bool:
    return find_spec("skimage") is not None


def _own(image: NDArray[Any], mask: Mask, painted: Sequence[int], spacing: Sequence[float]) -> Mask:
    from ..data.protocol import paint
    from ..engine import segment
    from ..settings import Settings

    settings = Settings(method="random-walk", device="cpu")
    labels = segment(image, paint(mask, painted), spacing, axis=0, slices=list(painted), settings=settings).labels
    return labels == INSIDE

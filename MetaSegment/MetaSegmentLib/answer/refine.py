"""What the frame, or the network on it, is too coarse to show: added to the answer on the voxels themselves.

A window of more voxels than the frame has pixels is shrunk, and with it everything finer than a frame pixel is lost:
the folds of a cortex, the outline of a large organ in a sharp scan; and a network draws outlines smoother than voxels
are. Boosted trees learn on the painted slices to correct the method's own leave-one-out answer from the intensities
around each voxel. By themselves they forget what the method knows of shape and place, so only what is finer than a
frame pixel is taken from them:

    logit = u + w (t − G_σ ∗ t),   σ = one frame pixel,

with u the method's logit resampled to voxels, t that of the trees and G_σ a Gaussian. Measured on training volumes;
taking t itself, or detail up to several frame pixels, gains less on average and loses much on some structures.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, sobel

from ..progress import Progress
from ..task.frame import Mask, Stack, resize
from ..task.task import Task
from ..task.volume import Volume

_NATIVE = 0.99
"""Voxels that share a pixel, from which on they are not enlarged."""
_WEIGHT = 0.7
_TREES = 40
_RATE = 0.15
_SAMPLES = 20_000
_NEAR = 4.0
"""Frame pixels from the outline within which most voxels to learn from are drawn."""
_SURE = 7.0
"""Logits beyond this, either way, are left as they are."""
_LOGIT_LIMIT = 8.0
_FARTHEST_INTENSITY = 3.0


class Refinement:
    """A correction of one structure's logits, learned from its painted slices.

    Args:
        task: of one structure.
        volume: the volume of the task.
        slices: painted slices.
        left_out: (S, H, W) logits of ``slices``, each predicted from the other painted slices.
        masks: (S, rows, columns) what is painted on ``slices``.
        seed: of the samples and the trees.
        progress: reports the work, and is polled for a cancel.
    """

    def __init__(
        self,
        task: Task,
        volume: Volume,
        slices: Sequence[int],
        left_out: Stack,
        masks: Mask,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> None:
        from sklearn.ensemble import HistGradientBoostingClassifier

        self._task = task
        self._frame = task.frame
        self._stack = volume.along(task.frame.axis)
        self._trees: Any = HistGradientBoostingClassifier(
            max_iter=_TREES,
            learning_rate=_RATE,
            max_leaf_nodes=15,
            l2_regularization=1.0,
            early_stopping=False,
            random_state=seed,
        )
        rows, truth = [], []
        for place, index in (progress or Progress()).steps("sharpening", list(enumerate(slices))):
            logits = self._frame.to_window(left_out[place][None])[0]
            painted = self._frame.window.cut(masks[place][None], edge=False)[0]
            picked = self._draw(index, logits, len(slices), seed)
            rows.append(self._describe(index, logits)[picked])
            truth.append(painted.ravel()[picked])
        x, y = np.concatenate(rows), np.concatenate(truth)
        self._learned = 0 < y.sum() < len(y)
        if self._learned:
            self._trees.fit(x, y)

    def add(self, index: int, logits: Stack) -> Stack:
        """(rows, columns) logits of a slice on the window's voxels, with the detail; ``logits`` without it."""
        doubtful = np.abs(logits) < _SURE
        if not self._learned or not doubtful.any():
            return logits
        corrected = logits.copy()
        score = self._trees.decision_function(self._describe(index, logits)[doubtful.ravel()])
        corrected[doubtful] = np.clip(score, -_LOGIT_LIMIT, _LOGIT_LIMIT)
        return np.asarray(logits + _WEIGHT * (corrected - gaussian_filter(corrected, self._frame.shrinkage)))

    def _draw(self, index: int, logits: Stack, slices: int, seed: int) -> NDArray[np.intp]:
        """Voxels to learn from: more near the outline, none where the method is sure."""
        distance = self._task.structure.distances[index]
        near = np.zeros_like(logits)
        if distance is not None:
            near = np.exp(-self._frame.to_window(np.abs(distance)[None])[0] / _NEAR)
        weight = ((near + 0.02) * (np.abs(logits) < _SURE)).ravel().astype(float)
        count = min(_SAMPLES // slices, int((weight > 0).sum()))
        if count == 0:
            return np.zeros(0, np.intp)
        random = np.random.default_rng((seed, index))
        return random.choice(weight.size, count, replace=False, p=weight / weight.sum())

    def _describe(self, index: int, logits: Stack) -> Stack:
        """(voxels of the window, features)."""
        below, image, above = (self._image(index + step) for step in (-1, 0, 1))
        shown = resize(self._task.slice_image(index)[None], image.shape)[0]
        fine, middle, coarse = (gaussian_filter(image, scale) for scale in (1.0, 2.0, 4.0))
        planes = [
            logits,
            gaussian_filter(logits, 3.0),
            image,
            below,
            above,
            fine,
            middle,
            coarse,
            image - shown,
            image - fine,
            fine - middle,
            shown,
            np.hypot(sobel(fine, 0), sobel(fine, 1)),
            gaussian_filter(below, 1.0),
            gaussian_filter(above, 1.0),
        ]
        return np.stack([plane.ravel() for plane in planes], axis=1).astype(np.float32)

    def _image(self, index: int) -> Stack:
        """(rows, columns) intensities of the window, as the frame normalises them; past the ends the nearest slice."""
        nearest = min(max(index, 0), len(self._stack) - 1)
        cut = self._frame.window.cut(self._stack[nearest][None], edge=True)[0].astype(np.float32)
        return self._frame.normalise(cut, _FARTHEST_INTENSITY)


def is_worth_it(task: Task) -> bool:
    """Whether the voxels are so fine that detail is worth the time."""
    return task.frame.shrinkage > _NATIVE

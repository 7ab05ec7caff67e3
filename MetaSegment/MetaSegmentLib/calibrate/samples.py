"""What a method, adapted to the painted slices of a case, predicts on the others, whose truth is known."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from ..answer.agreement import testimony
from ..data.datasets import load
from ..data.protocol import paint, painted_slices
from ..device import Device
from ..evaluation.origin import code_checksum
from ..evaluation.records import Task as CaseTask
from ..methods.fusion import Evidence, FittedFusion, Fusion
from ..networks.weights import Weights
from ..predictors.context import Context
from ..predictors.ensemble import Ensemble
from ..predictors.registry import find_method
from ..replacing import replacing
from ..task.paint import read_paint
from ..task.task import Task, make_task
from ..task.volume import check_volume
from ..version import __version__


@dataclass(frozen=True, eq=False)
class Sample:
    """Predictions of one method for one case, pixel by pixel of the frame.

    Attributes:
        painted: slices on which the structure is painted.
        parts: what the method adds up; only its own name where it is no sum.
        logits: (parts, pixels) float16, on slices that are not painted.
        truth: (pixels,).
        missed: pixels of the structure on slices beyond the frame, where nothing is predicted.
        evidence: what a sum fits its weights on again, for this case.
        witnesses: (witnesses, pixels) what simple predictors found; None where one of them is missing.
    """

    painted: int
    parts: tuple[str, ...]
    logits: NDArray[np.float16]
    truth: NDArray[np.bool_]
    missed: int = 0
    evidence: Evidence | None = None
    witnesses: NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class Sampling:
    """Collects samples of ``methods``, all of a case in one file; plain data, so that other processes can do it.

    Attributes:
        weights: a folder of own ones; empty for those that are shipped.
    """

    methods: tuple[str, ...]
    device: str = "auto"
    seed: int = 0
    weights: str = ""

    def find(self, case: CaseTask) -> Path | None:
        """The file that an earlier run with the same weights has left."""
        file = _file(case)
        try:
            with np.load(file, allow_pickle=False) as stored:
                return file if str(stored["about"]) == self._about(case) else None
        except (OSError, ValueError, KeyError):
            return None

    def collect(self, case: CaseTask) -> Path:
        """Write the samples of a case, and where."""
        image, spacing, labels = load(case.case.volume)
        truth, axis = labels == case.case.value, case.case.axis
        slices = painted_slices(truth, case.k, case.placement, axis)
        volume = check_volume(image, spacing)
        given = read_paint(paint(truth, slices, axis), truth.shape, slices, axis)
        front = np.moveaxis(truth, axis, 0)
        weights = Weights.of(self.weights)
        context = Context(self.seed, device=Device(self.device), weights=weights)
        arrays: dict[str, Any] = {"about": self._about(case)}
        for name in self.methods:
            plan = weights.load_plan(find_method(name).weights[0])
            arrays |= _packed(name, _sample(name, make_task(volume, given, (1,), plan.frame), front, context))
        file = _file(case)
        with replacing(file) as waiting, waiting.open("wb") as handle:
            np.savez_compressed(handle, **arrays)
        return file

    def _about(self, case: CaseTask) -> str:
        """What the samples depend on."""
        used = sorted({one for name in self.methods for one in find_method(name).weights})
        sums = {one: Weights.of(self.weights).checksum(one) for one in used}
        code = [__version__, code_checksum()]
        return json.dumps([*code, case.case.volume.fingerprint, case.k, self.methods, self.seed, sums])


class StoredSamples(Sequence[Sample]):
    """The samples of a method in the files of many cases, each read when it is asked for."""

    def __init__(self, files: Sequence[Path], method: str) -> None:
        self._files = files
        self._method = method

    def __len__(self) -> int:
        return len(self._files)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> StoredSamples: ...
    def __getitem__(self, index: int | slice) -> Sample | StoredSamples:
        if isinstance(index, slice):
            return StoredSamples(self._files[index], self._method)
        with np.load(self._files[index], allow_pickle=False) as stored:
            return _unpacked(self._method, stored)


def _sample(name: str, task: Task, truth: NDArray[np.bool_], context: Context) -> Sample:
    """Args: truth (slices, rows, columns) of the whole volume."""
    predictor = find_method(name).make()
    fitted = (predictor.whole() if isinstance(predictor, Fusion) else predictor).fit(task, context)
    queries = task.queries
    evidence = None
    if isinstance(fitted, FittedFusion):
        parts, evidence = fitted.parts(queries), fitted.evidence
    else:
        parts = {name: fitted.logits(queries)}
    said = testimony(Ensemble(task, context), queries)
    beyond = [i for i in range(len(truth)) if not task.frame.start <= i < task.frame.stop]
    return Sample(
        len(task.structure.filled),
        tuple(parts),
        np.stack([part[:, 0].ravel() for part in parts.values()]).astype(np.float16),
        task.frame.cut_mask(truth[list(queries)]).ravel(),
        int(task.frame.cut_mask(truth[beyond]).sum()) if beyond else 0,
        evidence,
        None if said is None else said.reshape(len(said), -1),
    )


def _packed(method: str, sample: Sample) -> dict[str, Any]:
    x, y = sample.evidence or (np.zeros((0, len(sample.parts))), np.zeros(0))
    arrays = {
        "parts": np.array(sample.parts),
        "logits": sample.logits,
        "truth": sample.truth,
        "counts": np.array([sample.painted, sample.missed]),
        "evidence": x.astype(np.float16),  # as exact as the memo of the predictors
        "evidence truth": y.astype(bool),
    }
    if sample.witnesses is not None:
        arrays["witnesses"] = sample.witnesses
    return {f"{method}/{name}": array for name, array in arrays.items()}


def _unpacked(method: str, stored: Mapping[str, NDArray[Any]]) -> Sample:
    painted, missed = (int(count) for count in stored[f"{method}/counts"])
    y = stored[f"{method}/evidence truth"].astype(float)
    evidence = (stored[f"{method}/evidence"].astype(float), y) if len(y) else None
    parts = tuple(str(part) for part in stored[f"{method}/parts"])
    said = stored.get(f"{method}/witnesses")
    return Sample(painted, parts, stored[f"{method}/logits"], stored[f"{method}/truth"], missed, evidence, said)


def _file(case: CaseTask) -> Path:
    return case.file.with_suffix(".npz")

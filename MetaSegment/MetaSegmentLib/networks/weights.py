"""Shipped weights: safetensors files, each with its SHA-256 in ``checksums.json``. No pickle, ever."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import WeightsError
from ..replacing import replacing

if TYPE_CHECKING:
    from torch import Tensor

FOLDER = Path(__file__).parents[1] / "weights"
_CHECKSUMS = "checksums.json"


def names(folder: Path = FOLDER) -> list[str]:
    """Names of the weights that should be there."""
    return sorted(_checksums(folder))


def checksum(name: str, folder: Path = FOLDER) -> str:
    """SHA-256 that the weights ``name`` must have.

    Raises:
        WeightsError: no such weights.
    """
    known = _checksums(folder)
    if name not in known:
        raise WeightsError(f"There are no weights '{name}'; install MetaSegment again.")
    return known[name]


def load(name: str, folder: Path = FOLDER) -> dict[str, Tensor]:
    """Load weights by name, on the CPU, after verifying their checksum.

    Raises:
        WeightsError: missing, or not the bytes that were shipped.
    """
    from safetensors.torch import load as parse

    expected = checksum(name, folder)
    try:
        content = (folder / f"{name}.safetensors").read_bytes()
    except OSError as error:
        raise WeightsError(f"The weights '{name}' are missing; install MetaSegment again.") from error
    if hashlib.sha256(content).hexdigest() != expected:
        raise WeightsError(f"The weights '{name}' are damaged (wrong checksum); install MetaSegment again.")
    return parse(content)


def store(name: str, tensors: dict[str, Tensor], folder: Path = FOLDER) -> None:
    """Write weights and their checksum, each beside its place and renamed."""
    from safetensors.torch import save

    content = save({key: value.detach().cpu().contiguous() for key, value in tensors.items()})
    known = _checksums(folder) if (folder / _CHECKSUMS).exists() else {}
    known[name] = hashlib.sha256(content).hexdigest()
    with replacing(folder / f"{name}.safetensors") as waiting:
        waiting.write_bytes(content)
    with replacing(folder / _CHECKSUMS) as waiting:
        waiting.write_text(json.dumps(known, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _checksums(folder: Path) -> dict[str, str]:
    try:
        return dict(json.loads((folder / _CHECKSUMS).read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise WeightsError("The list of weights is missing or damaged; install MetaSegment again.") from error

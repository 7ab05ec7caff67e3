"""A DICOM series written slice by slice, as a scanner's export would lie in a folder."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np
import SimpleITK as sitk

PATIENT = "Somebody^Private"
Triple = tuple[float, float, float]


def write_series(
    folder: Path,
    array: np.ndarray,
    spacing: Triple = (0.5, 0.5, 2.0),
    origin: Triple = (0.0, 0.0, 0.0),
    series: str = "1.2.3.4",
    missing: Collection[int] = (),
) -> None:
    """Write (K, J, I) as upright CT slices whose file names run against their order; spacing and origin x, y, z."""
    folder.mkdir(exist_ok=True)
    for number, plane in enumerate(array):
        if number in missing:
            continue
        image = sitk.GetImageFromArray(plane.astype(np.int16))
        image.SetSpacing(spacing[:2])
        tags = {
            "0008|0060": "CT",
            "0010|0010": PATIENT,
            "0020|000d": "1.2.3",
            "0020|000e": series,
            "0008|0018": f"{series}.{number}",
            "0020|0032": f"{origin[0]}\\{origin[1]}\\{origin[2] + spacing[2] * number}",
            "0020|0037": "1\\0\\0\\0\\1\\0",
        }
        for key, value in tags.items():
            image.SetMetaData(key, value)
        writer = sitk.ImageFileWriter()
        writer.KeepOriginalImageUIDOn()
        writer.SetFileName(str(folder / f"{series}_{999 - number}.dcm"))
        writer.Execute(image)

"""Whether paint stays where it is: formats × directions × shears × parts of the grid × slice axes × transforms.

    python Testing/benchmarks/geometry_matrix.py [--count 500] [--seed 0]

Each combination is drawn by chance. Files are written by other libraries than the program's where there is one (pynrrd,
nibabel, pydicom), segmented with the method ``shape``, and the result is read by each library that reads its format. A
combination is *exact* if, for every one of them, the voxels of the painted slices are bit for bit the painted ones and
lie where the image's voxels lie in the world. It is *refused* if there is one sentence and no result, and *wrong* if
anything else. Refusals count as right only where a format cannot hold the geometry for every reader. Where slicer-core
is installed, part of the combinations are volumes and segmentations in a scene, under transforms of their own.
Not collected by pytest.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY / "MetaSegment"), str(REPOSITORY / "Testing")]
os.environ.setdefault("ITK_GLOBAL_DEFAULT_THREADER", "Platform")

import nibabel  # noqa: E402
import nrrd  # noqa: E402
import numpy as np  # noqa: E402
import SimpleITK as sitk  # noqa: E402
import slicerio  # noqa: E402

from files.dicom_objects import write_frames, write_slices  # noqa: E402
from MetaSegmentLib.errors import MetaSegmentError  # noqa: E402
from MetaSegmentLib.files.run import Job, run  # noqa: E402
from MetaSegmentLib.settings import Settings  # noqa: E402

NIFTI = ("nii", "nii.gz", "nii2", "hdr")
IMAGES = ("nrrd", "nhdr", *NIFTI, "mha", "mhd", "gipl", "dicom", "frames")
SUPPORTS = ("seg.nrrd", "nrrd", "mha")
OUTPUTS = ("seg.nrrd", "nrrd", "nhdr", "nii", "nii.gz", "mha")
DIRECTIONS = ("upright", "permuted", "turned", "left-handed")
SHEARS = ("none", "rounding", "tilt", "all")
TRANSFORMS = ("none", "volume", "segmentation", "both", "each its own")
TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
NEAR_VOXELS = 0.01
"""NIfTI holds single precision, DICOM decimal strings."""


@dataclass(frozen=True)
class Combination:
    """What was drawn; ``image`` is a format or ``scene``."""

    image: str
    support: str
    output: str
    direction: str
    shear: str
    sub_box: bool
    axis: int
    transform: str
    seed: int

    @property
    def may_be_refused(self) -> bool:
        """Whether the image's or the output's format cannot hold the geometry alike for every reader."""
        if self.image == "nii2":
            return True
        sheared = self.shear in ("tilt", "all")
        return sheared and (self.image in NIFTI or self.output in ("nii", "nii.gz")) and self.image != "scene"


@dataclass(frozen=True)
class Place:
    """A painted volume: (K, J, I) image and labels, painted slices across an axis, 4×4 from (i, j, k) to LPS mm."""

    image: np.ndarray
    labels: np.ndarray
    slices: list[int]
    matrix: np.ndarray


def draw(seed: int, scene: bool) -> Combination:
    """A combination by chance; some formats know no directions, and DICOM slices are right-handed."""
    rng = np.random.default_rng(seed)

    def one(values: tuple[str, ...]) -> str:
        return str(rng.choice(values))

    image = "scene" if scene and rng.random() < 0.25 else one(IMAGES)
    direction, shear = one(DIRECTIONS), one(SHEARS)
    support, output, transform, axis = one(SUPPORTS), one(OUTPUTS), one(TRANSFORMS), int(rng.integers(3))
    if image == "gipl":
        direction, shear = "upright", "none"
    if image in ("dicom", "frames"):
        direction = "turned" if direction == "left-handed" else direction
        shear = "tilt" if shear == "all" else shear
    return Combination(image, support, output, direction, shear, bool(rng.random() < 0.5), axis, transform, seed)


def check(combination: Combination, folder: Path, scene: Any = None) -> str:
    """``exact``, the sentence of a refusal, or what is wrong, which begins with ``wrong``."""
    place = make_place(combination)
    try:
        if combination.image == "scene":
            return _check_scene(combination, place, scene)
        return _check_files(combination, place, folder, scene)
    except MetaSegmentError as error:
        return str(error) if combination.may_be_refused else f"wrong: refused: {error}"


def make_place(combination: Combination) -> Place:
    """A lopsided ball on an anisotropic grid somewhere in the world."""
    rng = np.random.default_rng([combination.seed, 1])
    shape = tuple(int(n) for n in rng.integers(12, 18, 3))
    index = [(n - s * c) / (s * 0.36) for n, s, c in zip(np.indices(shape), shape, (0.5, 0.45, 0.53), strict=True)]
    ball = index[0] ** 2 + (index[1] + 0.2 * index[0]) ** 2 + index[2] ** 2 <= 1
    image = (100 * ball + rng.normal(0, 5, shape)).round().astype(np.int16)
    inside = np.flatnonzero(np.moveaxis(ball, combination.axis, 0).any(axis=(1, 2)))
    slices = [int(inside[n]) for n in (1, len(inside) // 2, -2)]
    labels = np.zeros(shape, np.uint8)
    np.moveaxis(labels, combination.axis, 0)[slices] = np.moveaxis(ball, combination.axis, 0)[slices]
    matrix = np.eye(4)
    matrix[:3, :3] = (_directions(combination, rng) @ _shear(combination, rng)) * rng.uniform(0.6, 3, 3)
    matrix[:3, 3] = rng.uniform(-150, 150, 3)
    return Place(image, labels, slices, matrix)


def _directions(combination: Combination, rng: np.random.Generator) -> np.ndarray:
    if combination.direction == "upright":
        return np.eye(3)
    axes = np.eye(3)[rng.permutation(3)] * rng.choice([-1, 1], 3)[:, None]
    if combination.direction != "permuted":
        axes = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    left = combination.direction == "left-handed" or (combination.direction == "permuted" and rng.random() < 0.5)
    left = left and combination.image not in ("dicom", "frames")
    return axes * (1, 1, -1) if (np.linalg.det(axes) < 0) != left else axes


def _shear(combination: Combination, rng: np.random.Generator) -> np.ndarray:
    shear = np.eye(3)
    if combination.shear == "rounding":
        shear[np.triu_indices(3, 1)] = rng.uniform(-1e-6, 1e-6, 3)
    if combination.shear in ("tilt", "all"):
        shear[1, 2] = np.tan(np.deg2rad(rng.choice([-1, 1]) * rng.uniform(5, 30)))
    if combination.shear == "all":
        shear[0, 1:] = rng.uniform(-0.4, 0.4, 2)
    return shear / np.linalg.norm(shear, axis=0)


def _check_files(combination: Combination, place: Place, folder: Path, scene: Any) -> str:
    image = _write_image(combination, place, folder)
    support = _write_support(combination, place, folder)
    output, report = folder / f"out.{combination.output}", folder / "report.json"
    job = Job(image, support, output, axis=combination.axis, settings=Settings("shape", "cpu"), report=report)
    done = run(job)
    for reader, (labels, matrix) in _readings(output, scene).items():
        if (fault := _fault(place, combination.axis, labels, matrix)) is not None:
            return f"wrong: {fault} for {reader}"
    one = done["segments"]["1"]
    if not np.isclose(one["volume_ml"], one["voxels"] * abs(np.linalg.det(place.matrix)) / 1000, rtol=1e-4):
        return "wrong: millilitres"
    return "exact"


def _write_image(combination: Combination, place: Place, folder: Path) -> Path:
    rng = np.random.default_rng([combination.seed, 2])
    array, matrix = place.image, place.matrix
    path = folder / f"image.{combination.image}"
    match combination.image:
        case "nrrd" | "nhdr":
            _write_nrrd(path, array, matrix, str(rng.choice(["LPS", "RAS", "LAS"])))
        case "nii" | "nii.gz" | "nii2" | "hdr":
            kinds = {"nii2": nibabel.Nifti2Image, "hdr": nibabel.Nifti1Pair}
            made = kinds.get(combination.image, nibabel.Nifti1Image)(array.T, None)
            codes = [(1, 1), (2, 0), (0, 1), (4, 4), (1, 2)][int(rng.integers(5))]
            if combination.shear in ("tilt", "all"):
                codes = (1, 0)
            made.header.set_sform(TO_RAS @ matrix, codes[0])
            made.header.set_qform(TO_RAS @ matrix, codes[1])
            made.header.set_xyzt_units(str(rng.choice(["mm", "unknown"])))
            path = folder / f"image.{combination.image.replace('2', '')}"
            made.to_filename(path)
        case "dicom":
            names = [f"{number:04d}.dcm" for number in rng.permutation(len(array))]
            write_slices(path, array, matrix, names)
        case "frames":
            write_frames(path, array, matrix, [int(n) for n in rng.permutation(len(array))])
        case _:
            sitk.WriteImage(_simple(array, matrix), str(path))
    return path


def _write_support(combination: Combination, place: Place, folder: Path) -> Path:
    labels, matrix = place.labels, place.matrix
    if np.random.default_rng([combination.seed, 4]).random() < 0.25:  # as Slicer saves it of left-handed volumes
        last = np.eye(4)
        last[2, 2], last[2, 3] = -1, len(labels) - 1
        labels, matrix = labels[::-1], matrix @ last
    path = folder / f"painted.{combination.support}"
    if combination.support != "seg.nrrd":
        if combination.support == "nrrd":
            _write_nrrd(path, labels, matrix, "RAS")
        else:
            sitk.WriteImage(_simple(labels, matrix), str(path))
        return path
    if combination.sub_box:
        corner = [int(n.min()) for n in np.nonzero(labels)]
        stop = [int(n.max()) + 1 for n in np.nonzero(labels)]
        labels = labels[tuple(slice(a, b) for a, b in zip(corner, stop, strict=True))]
        matrix = matrix.copy()
        matrix[:3, 3] = (matrix @ [*corner[::-1], 1])[:3]
    extent = [bound for n in labels.shape[::-1] for bound in (0, n - 1)]
    segment = {"id": "a", "name": "A", "labelValue": 1, "layer": 0, "color": [1, 0, 0], "extent": extent}
    content = {"voxels": labels.T, "ijkToLPS": matrix, "segments": [segment]}
    slicerio.write_segmentation(str(path), content)
    return path


def _write_nrrd(path: Path, array: np.ndarray, matrix: np.ndarray, space: str) -> None:
    signs = {"LPS": (1, 1, 1), "RAS": (-1, -1, 1), "LAS": (1, -1, 1)}[space]
    names = {"LPS": "left-posterior-superior", "RAS": "right-anterior-superior", "LAS": "left-anterior-superior"}
    there = np.diag([*signs, 1]) @ matrix
    header = {"space": names[space], "space directions": there[:3, :3].T, "space origin": there[:3, 3]}
    nrrd.write(str(path), array.T, header | {"kinds": ["domain"] * 3})


def _simple(array: np.ndarray, matrix: np.ndarray) -> Any:
    image = sitk.GetImageFromArray(array)
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((matrix[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(matrix[:3, 3].tolist())
    return image


def _readings(path: Path, scene: Any) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """(K, J, I) labels and 4×4 to LPS mm, by whoever reads the format."""
    image = sitk.ReadImage(str(path))
    matrix = np.eye(4)
    matrix[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    matrix[:3, 3] = image.GetOrigin()
    found = {"SimpleITK": (sitk.GetArrayFromImage(image), matrix)}
    if path.name.endswith((".nii", ".nii.gz")):
        made = nibabel.load(path)
        array = np.asarray(made.dataobj).T
        forms = {"sform": made.get_sform(coded=True), "qform": made.get_qform(coded=True)}
        for name, (form, code) in forms.items():
            found[f"nibabel's {name}"] = (array, TO_RAS @ (np.zeros((4, 4)) if code == 0 else form))
    if path.name.endswith(("nrrd", "nhdr")):
        array, header = nrrd.read(str(path))
        matrix = np.eye(4)
        matrix[:3, :3], matrix[:3, 3] = header["space directions"].T, header["space origin"]
        found["pynrrd"] = (array.T, matrix)
    if scene is not None:
        found["Slicer"] = _read_in_slicer(path, scene)
    return found


def _read_in_slicer(path: Path, scene: Any) -> tuple[np.ndarray, np.ndarray]:
    import vtk

    import slicer

    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    storage = scene.AddNewNodeByClass("vtkMRMLVolumeArchetypeStorageNode")
    storage.SetSingleFile(1)
    storage.SetFileName(str(path))
    assert storage.ReadData(node)
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    array = slicer.util.arrayFromVolume(node).copy()
    scene.Clear(True)
    return array, TO_RAS @ slicer.util.arrayFromVTKMatrix(matrix)


def _fault(place: Place, axis: int, labels: np.ndarray, matrix: np.ndarray) -> str | None:
    """By voxels in the world: Slicer turns left-handed volumes over when it reads them."""
    to_place = np.linalg.solve(place.matrix, matrix)
    index = np.indices(labels.shape)[::-1].reshape(3, -1)
    at = (to_place @ np.vstack([index, np.ones(index.shape[1])]))[:3]
    nearest = np.rint(at).astype(int)
    if np.abs(at - nearest).max() > NEAR_VOXELS:
        return "voxels moved"
    size = np.reshape(place.labels.shape[::-1], (3, 1))
    if labels.size != place.labels.size or (nearest < 0).any() or (nearest >= size).any():
        return "another part of the world"
    found = np.zeros(place.labels.shape, labels.dtype)
    found[tuple(nearest[::-1])] = labels.ravel()
    ahead, painted = (np.moveaxis(array, axis, 0)[place.slices] for array in (found, place.labels))
    return None if np.array_equal(ahead, painted) else "painted voxels changed"


def _check_scene(combination: Combination, place: Place, scene: Any) -> str:
    from MetaSegmentLib.scene import Session
    from MetaSegmentLib.scene.reader import read_painting
    from MetaSegmentLib.scene.rules import EditRules, find_editor
    from MetaSegmentLib.scene.writer import write_result
    from scene import nodes

    rng = np.random.default_rng([combination.seed, 3])
    first, second = (_transform(rng) for _ in range(2))
    transforms: dict[str, tuple[Any, Any]] = {
        "none": (None, None),
        "volume": (first, None),
        "segmentation": (None, first),
        "both": (first, first),
        "each its own": (first, second),
    }
    over_volume, over_segmentation = transforms[combination.transform]
    volume = nodes.add_volume(scene, place.image, TO_RAS @ place.matrix, over_volume)
    segmentation = nodes.add_segmentation(scene, over_segmentation)
    try:
        nodes.paint(segmentation, volume, "a", place.labels > 0, combination.sub_box)
        painting = read_painting(volume, segmentation)
        result = nodes.nearest_slice_result(painting, combination.axis, place.slices)
        rules = EditRules(find_editor(segmentation, segmentation), volume)
        write_result(painting, result, volume, segmentation, segmentation, rules, Session().editor)
        world = nodes.world(volume) @ TO_RAS @ place.matrix
        if not np.isclose(painting.voxel_ml, abs(np.linalg.det(world)) / 1000):
            return "wrong: millilitres"
        layer = segmentation.GetSegmentation().GetSegment("a").GetRepresentation("Binary labelmap")
        there = nodes.world(segmentation) @ _image_to_world(layer)
        offset = np.linalg.solve(world, there)
        if np.abs(offset[:3, :3] - np.eye(3)).max() > 1e-4 or np.abs(offset[:3, 3]).max() > NEAR_VOXELS:
            return "wrong: voxels moved in the scene"
        found = nodes.look(segmentation, volume, "a")
        if not np.array_equal(found, result.labels == 1) or not _kept(place, combination, found):
            return "wrong: painted voxels changed in the scene"
        return "exact"
    finally:
        scene.Clear(True)


def _kept(place: Place, combination: Combination, found: np.ndarray) -> bool:
    ahead, painted = (np.moveaxis(array, combination.axis, 0)[place.slices] for array in (found, place.labels > 0))
    return np.array_equal(ahead, painted)


def _image_to_world(image: Any) -> np.ndarray:
    import vtk

    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    return np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])


def _transform(rng: np.random.Generator) -> np.ndarray:
    """A linear transform: turned, stretched, and sheared half of the time."""
    matrix = np.eye(4)
    shear = np.triu(rng.uniform(-0.3, 0.3, (3, 3)), 1) * (rng.random() < 0.5)
    matrix[:3, :3] = np.linalg.qr(rng.normal(size=(3, 3)))[0] @ (np.eye(3) + shear) * rng.uniform(0.7, 1.5, 3)
    matrix[:3, 3] = rng.uniform(-50, 50, 3)
    return matrix


def open_scene() -> Any:
    """The scene of slicer-core, or None where it is not installed."""
    try:
        from MetaSegmentLib.scene.runtime import current_scene
    except ImportError:
        return None
    return current_scene()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0, help="of the first combination")
    options = parser.parse_args()
    scene = open_scene()
    outcomes: Counter[str] = Counter()
    by_format: Counter[tuple[str, str]] = Counter()
    for seed in range(options.seed, options.seed + options.count):
        combination = draw(seed, scene is not None)
        with tempfile.TemporaryDirectory() as folder:
            outcome = check(combination, Path(folder), scene)
        outcomes[outcome] += 1
        kind = outcome if outcome == "exact" else "wrong" if outcome.startswith("wrong") else "refused"
        by_format[combination.image, kind] += 1
        if kind == "wrong":
            print(combination, outcome, flush=True)
    for name in sorted({name for name, _ in by_format}):
        print(f"{name:8}", *(f"{kind} {by_format[name, kind]:4}" for kind in ("exact", "refused", "wrong")))
    for outcome, count in outcomes.most_common():
        print(f"{count:5}  {outcome}")
    return int(any(outcome.startswith("wrong") for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())

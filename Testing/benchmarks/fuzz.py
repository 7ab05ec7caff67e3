"""Damaged files of every format, read in children that may abort: a volume, one sentence, or a fault of ours.

    python Testing/benchmarks/fuzz.py --count 10000

Prints how often each outcome came up; every input that led to anything but a volume or a sentence is kept in a folder.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("ITK_GLOBAL_DEFAULT_THREADER", "Platform")

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from files.dicom_objects import a_matrix, write_frames, write_slices
from MetaSegmentLib.errors import MetaSegmentError
from MetaSegmentLib.files.grids import Grid
from MetaSegmentLib.files.images import read_image, write_image
from MetaSegmentLib.files.segmentations import plain_segment, read_painted, write_segmentation

SHAPE = (6, 9, 8)
GRID = Grid(SHAPE[::-1], (-31.0, 12.0, 55.0), (0.5, 0.5, 2.5), tuple(np.eye(3).ravel()))
VOLUMES = ("nrrd", "nhdr", "nii", "nii.gz", "mha", "mhd", "hdr", "gipl", "gipl.gz", "vtk")
KINDS = (*VOLUMES, "raw.nrrd", "nifti2", "dicom folder", "multi-frame dicom", "seg.nrrd", "label map")
FINE = ("volume", "sentence")
SECONDS = 30
MEMORY = 1 << 30
"""More than this for an input of some kilobytes is an outcome of its own."""


def make(kind: str, folder: Path) -> Path:
    """A whole input of a kind; what is to be read of it."""
    noise = np.random.default_rng(0).integers(0, 255, SHAPE).astype(np.uint8)
    if kind in VOLUMES:
        write_image(folder / f"a.{kind}", noise, GRID)
        return folder / f"a.{kind}"
    match kind:
        case "raw.nrrd":
            import SimpleITK as sitk

            sitk.WriteImage(sitk.GetImageFromArray(noise.astype(np.int16)), str(folder / "a.nrrd"))
            return folder / "a.nrrd"
        case "nifti2":
            import nibabel

            nibabel.save(nibabel.Nifti2Image(noise.transpose(2, 1, 0), np.eye(4)), folder / "a.nii")
            return folder / "a.nii"
        case "dicom folder":
            write_slices(folder, noise, a_matrix())
            return folder
        case "multi-frame dicom":
            return write_frames(folder / "a.dcm", noise, a_matrix())
        case "seg.nrrd":
            labels = (noise % 3).astype(np.uint8)
            write_segmentation(folder / "a.seg.nrrd", [labels], [plain_segment(1), plain_segment(2)], GRID)
            return folder / "a.seg.nrrd"
    write_image(folder / "a.nrrd", (noise % 3).astype(np.uint8), GRID)
    return folder / "a.nrrd"


def read(kind: str, path: Path) -> str:
    """The outcome of reading an input, as the command line does."""
    try:
        if kind in ("seg.nrrd", "label map"):
            read_painted(path, GRID)
        else:
            read_image(path)
    except MetaSegmentError as error:
        sentence = str(error)
        return "sentence" if sentence.endswith(".") and "\n" not in sentence else f"no sentence: {sentence!r}"
    except BaseException as error:
        return f"{type(error).__name__}: {error}"[:120]
    return "volume"


def damage(content: bytes, chance: random.Random) -> bytes:
    """Bytes flipped, cut, put in, taken out, or a number or a word of the header exchanged."""
    data = bytearray(content)
    head = min(len(data), 600)
    for _ in range(chance.choice((1, 1, 1, 2, 5, 20))):
        if not data:
            break
        place = chance.randrange(head if chance.random() < 0.7 else len(data)) % len(data)
        match chance.randrange(7):
            case 0:
                data[place] ^= 1 << chance.randrange(8)
            case 1:
                data[place] = chance.choice((0, 255, 127, 128, ord("-"), ord("9"), ord("\n"), ord(" ")))
            case 2:
                del data[place:]
            case 3:
                data[place:place] = chance.randbytes(chance.choice((1, 2, 4, 40)))
            case 4:
                del data[place : place + chance.choice((1, 2, 4, 40))]
            case 5:
                data[place : place + 4] = chance.choice((b"\xff\xff\xff\x7f", b"\0\0\0\x80", b"\0\0\0\0", b"\xff" * 4))
            case 6:
                digits = [n for n in range(head) if n < len(data) and chr(data[n]).isdigit()]
                if digits:
                    at = chance.choice(digits)
                    data[at : at + 1] = chance.choice((b"0", b"-1", b"99999999999", b"1e300", b"nan", b"4294967296"))
    return bytes(data)


def in_child(work: Callable[[], str], seconds: float = SECONDS) -> str:
    """What ``work`` returns in a child process; how that ended otherwise."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        signal.alarm(int(seconds))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        outcome = work()
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
        os.write(writing, (f"memory: {grown >> 20} MB" if grown > MEMORY else outcome).encode(errors="replace")[:4000])
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        outcome = pipe.read().decode(errors="replace")
    _, status = os.waitpid(child, 0)
    if outcome:
        return outcome
    ended = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    return "too slow" if ended == signal.SIGALRM else f"aborted by {signal.Signals(ended).name}" if ended else "exit"


def try_one(kind: str, whole: Path, number: int, folder: Path) -> str:
    """Damage a copy of the input in ``whole``, read it, and see that no file was changed."""
    chance = random.Random(f"{kind} {number}")
    copy = folder / "input"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(whole, copy)
    files = sorted(copy.iterdir())
    victim = chance.choice(files)
    if len(files) > 1 and chance.random() < 0.05:
        victim.unlink()
    else:
        victim.write_bytes(damage(victim.read_bytes(), chance))
    before = {file.name: file.read_bytes() for file in copy.iterdir()}
    path = copy if kind == "dicom folder" else copy / _main(kind, files)
    outcome = in_child(lambda: read(kind, path))
    after = {file.name: file.read_bytes() for file in copy.iterdir()}
    return outcome if before == after else "a file was changed"


def _main(kind: str, files: list[Path]) -> str:
    ending = kind if kind in VOLUMES else ""
    return next(file.name for file in files if file.name.endswith(ending))


def fuzz(count: int, kinds: tuple[str, ...] = KINDS, start: int = 0) -> tuple[Counter[tuple[str, str]], Path]:
    """Counts by kind and outcome, and where the inputs are that led to neither a volume nor a sentence."""
    counts: Counter[tuple[str, str]] = Counter()
    kept = Path(tempfile.mkdtemp(prefix="fuzz-"))
    wholes = {}
    for kind in kinds:
        wholes[kind] = kept / f"whole {kind}"
        wholes[kind].mkdir()
        make(kind, wholes[kind])
    for number in range(start, start + count):
        kind = kinds[number % len(kinds)]
        outcome = try_one(kind, wholes[kind], number, kept)
        counts[kind, outcome] += 1
        if outcome not in FINE:
            shutil.copytree(kept / "input", kept / f"{number} {kind}")
    shutil.rmtree(kept / "input", ignore_errors=True)
    return counts, kept


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000, help="inputs (%(default)s)")
    parser.add_argument("--start", type=int, default=0, help="number of the first one (%(default)s)")
    parser.add_argument("--kinds", nargs="+", default=KINDS, choices=KINDS, metavar="KIND")
    arguments = parser.parse_args()
    counts, kept = fuzz(arguments.count, tuple(arguments.kinds), arguments.start)
    for (kind, outcome), number in sorted(counts.items()):
        print(f"{kind:20} {number:6}  {outcome}")
    wrong = sum(number for (_, outcome), number in counts.items() if outcome not in FINE)
    print(
        f"{sum(counts.values())} inputs, {wrong} of them neither a volume nor a sentence"
        + f" (in {kept})" * bool(wrong)
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

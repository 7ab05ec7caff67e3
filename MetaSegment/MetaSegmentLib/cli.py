"""The ``metasegment`` command: one function a command, and one line on stderr for whatever went wrong."""

from __future__ import annotations

import argparse
import errno
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .errors import Cancelled, DependencyError, InputError, MetaSegmentError
from .files.named_slices import Group, read_group, together
from .imports import explained_imports, import_error
from .settings import DEFAULT_METHOD
from .terminal import (
    DONE,
    FAILED,
    INTERRUPTED,
    add_method_arguments,
    one_line,
    outlasting_streams,
    progress_bar,
    settings_of,
)
from .version import __version__

_GO_ON = ("batch", "evaluate", "train", "calibrate")
"""Commands that keep what is done when they are stopped, and go on from there."""
_PRINT = ("methods", "info")
"""Commands that write nothing but to standard output."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: the words after ``metasegment``; those of the process by default.

    Returns:
        0 done, 1 could not do it, 130 interrupted. Wrong usage leaves by ``SystemExit(2)``, as argparse does it.
    """
    # ITK's own pool of threads may crash the interpreter at exit; this has to stand before SimpleITK is imported.
    os.environ.setdefault("ITK_GLOBAL_DEFAULT_THREADER", "Platform")
    with outlasting_streams() as output:
        try:
            arguments = _parser().parse_args(argv)
        except KeyboardInterrupt:
            sentence = "Interrupted before it began; nothing was written, run it again."
            return _report_error(sentence, INTERRUPTED, verbose=False)
        status = _run(arguments)
        output.flush()
        if status == DONE and output.lost is not None and not isinstance(output.lost, BrokenPipeError):
            if arguments.prints:
                return _report_error("What was asked for could not be printed; is the disk full?", FAILED, False)
            print("Note: all files are written, but the summary could not be printed.", file=sys.stderr)
        return status


def _run(arguments: argparse.Namespace) -> int:
    try:
        with _terminable(), warnings.catch_warnings():
            if not arguments.verbose:
                warnings.simplefilter("ignore")
            return int(arguments.run(arguments))
    except (KeyboardInterrupt, Cancelled):
        kept = "what is done is kept" if arguments.goes_on else "nothing was written"
        return _report_error(f"Interrupted before it was done; {kept}, run it again.", INTERRUPTED, arguments.verbose)
    except MetaSegmentError as error:
        return _report_error(str(error), FAILED, arguments.verbose)
    except MemoryError:
        return _report_error("Memory ran out; use a machine with more, or crop the image.", FAILED, arguments.verbose)
    except Exception as error:
        return _report_error(_sentence(error), FAILED, arguments.verbose)


def _sentence(error: Exception) -> str:
    """What to do about an error that is none of ours: the surroundings' fault, or a fault of the program."""
    if (explained := import_error(error)) is not None:
        return str(explained)
    if isinstance(error, OSError):
        try:
            Path.cwd()
        except OSError:
            return "The current folder is not there any more; go to another one and try again."
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return "The disk is full; free some space, or set TMPDIR to a folder with more."
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            return "A file or folder may not be used by this user; change its permissions, or write to another folder."
        if error.errno in (errno.EMFILE, errno.ENFILE):
            return "Too many files are open; raise the limit (ulimit -n) and try again."
        if isinstance(error, FileNotFoundError) and "temporary directory" in str(error):
            return "There is no folder for temporary files; set TMPDIR to one with some room."
    return f"Something unexpected went wrong ({type(error).__name__}); run it again with --verbose to see where."


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="metasegment", description="Paint a structure on a few slices, get it segmented on all of them."
    )
    parser.add_argument("--version", action="version", version=f"MetaSegment {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(name: str, summary: str, run: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=summary, description=summary)
        loudness = one.add_mutually_exclusive_group()
        loudness.add_argument("--quiet", action="store_true", help="no progress bar, no summary")
        loudness.add_argument("--verbose", action="store_true", help="show where an error came from, and warnings")
        one.set_defaults(run=run, goes_on=name in _GO_ON, prints=name in _PRINT)
        return one

    _add_segment_arguments(command("segment", "Segment a volume from its painted slices.", _segment))
    methods = command("methods", "List the methods.", _methods)
    methods.add_argument("--all", action="store_true", help="also those that are there to compare with")
    command("info", "Show versions, devices and weights; check the weights against their checksums.", _info)
    demo = command("demo", "Segment a real scan from five painted slices and compare with Slicer's own tools.", _demo)
    add = demo.add_argument
    add("--output", type=Path, default=Path("metasegment-demo"), metavar="FOLDER", help="default: %(default)s")
    add("--k", type=int, default=5, metavar="N", help="slices to paint; default: %(default)s")
    add_method_arguments(demo)

    from .calibrate import command as calibration
    from .cohort import command as cohort
    from .evaluation import command as evaluation
    from .training import command as training

    cohort.add_arguments(command("batch", "Segment all volumes of a cohort.", cohort.run))
    score = command("evaluate", "Score methods and Slicer's own tools on labelled volumes.", evaluation.run)
    evaluation.add_arguments(score)
    training.add_arguments(command("train", "Meta-train the weights.", training.run))
    fitting = command("calibrate", "Fit probabilities, expected Dice and fusion weights.", calibration.run)
    calibration.add_arguments(fitting)
    return parser


def _add_segment_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--image", type=Path, required=True, help="volume to segment: NRRD, NIfTI, MHA, … or a DICOM series folder")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument(
        "--support",
        type=Path,
        action="append",
        metavar="PAINTED",
        help="painted slices: .seg.nrrd, label map, DICOM SEG or RTSTRUCT; repeatable with --support-image or --frame",
    )
    where.add_argument(
        "--library",
        type=Path,
        metavar="FOLDER",
        help="painted volumes of others: images/ and labels/ with files of equal names, or a manifest as of 'batch'; "
        "those most like IMAGE are carried to it",
    )
    add(
        "--support-image",
        type=Path,
        action="append",
        default=[],
        metavar="IMAGE",
        help="what PAINTED was painted on, when that is another volume; once for each of several supports",
    )
    add("--own", type=Path, metavar="PAINTED", help="slices painted on IMAGE itself, beside those of --support-image")
    add(
        "--frame",
        type=int,
        action="append",
        default=[],
        metavar="N",
        help="IMAGE is a time series (4D) and PAINTED was painted on this frame, counted from 0; once for each "
        "support. OUT then holds all frames",
    )
    add(
        "--output",
        type=Path,
        required=True,
        metavar="OUT",
        help=".seg.nrrd (keeps names, colours), a label map, or from a DICOM series .seg.dcm or .rtstruct.dcm",
    )
    add(
        "--segments",
        action="append",
        default=[],
        metavar="A,B",
        help="names or label values to segment (repeatable; a name with a comma alone or in double quotes); "
        "default: all",
    )
    add(
        "--slices",
        type=_group,
        action="append",
        default=[],
        metavar="3,9,15",
        help="slices that are complete for all segments, also empty ones; 2:3,9,15 (repeatable) for the segment with "
        "the label value 2; default: every slice on which a segment has paint",
    )
    add("--axis", choices=("auto", "0", "1", "2"), default="auto", help="slice axis in numpy order")
    add(
        "--channel",
        type=int,
        metavar="N",
        help="which volume to take of images with several of them (4D, or several numbers a voxel), counted from 0",
    )
    add_method_arguments(parser)
    add("--probabilities", type=Path, metavar="P.nrrd", help="write probabilities: 4D, background first")
    add("--uncertainty", type=Path, metavar="U.nrrd", help="write the uncertainty: normalised entropy, 0 to 1")
    add("--report", type=Path, metavar="R.json", help="write what was done and found as JSON")


def _group(text: str) -> Group:
    try:
        return read_group(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _segment(arguments: argparse.Namespace) -> int:
    from .files.many import run_job
    from .files.run import Job

    supports, images, frames = arguments.support or [], arguments.support_image, arguments.frame
    if arguments.library is not None and (images or frames or arguments.slices):
        raise InputError("With --library leave --support-image, --frame and --slices out.")
    if frames and (arguments.own is not None or arguments.channel is not None):
        raise InputError("With --frame leave --own and --channel out.")
    if len(supports) > 1 and len(supports) not in (len(images), len(frames)):
        raise InputError("Of several supports each needs its own --support-image, or its own --frame.")
    if (len(images) > len(supports)) or (len(frames) > len(supports)) or (images and frames):
        raise InputError("Give one --support-image or one --frame for each --support, not both and not more.")
    chosen, library = None, ()
    with progress_bar(arguments.quiet) as progress:
        if arguments.library is not None:
            from .cohort.sources import painted_volumes
            from .files.library import choose

            volumes = painted_volumes(arguments.library)
            library = (arguments.library, *(path for pair in volumes for path in pair))
            chosen = choose(arguments.image, volumes, arguments.channel, progress)
            supports, images = zip(*chosen.pairs, strict=True)
        job = Job(
            image=arguments.image,
            support=supports[0],
            output=arguments.output,
            support_image=images[0] if images else None,
            chosen=chosen,
            untouched=library,
            others=tuple(zip(supports[1:], images[1:], strict=False)),
            own=arguments.own,
            frames=tuple(zip(frames, supports, strict=False)),
            segments=tuple(arguments.segments),
            slices=together(arguments.slices),
            axis=None if arguments.axis == "auto" else int(arguments.axis),
            settings=settings_of(arguments),
            probabilities=arguments.probabilities,
            uncertainty=arguments.uncertainty,
            report=arguments.report,
            channel=arguments.channel,
        )
        report = run_job(job, progress)
    for sentence in report["warnings"]:
        print(f"Note: {one_line(sentence)}", file=sys.stderr)
    if not arguments.quiet:
        _summarise(report)
    return DONE


def _summarise(report: dict[str, Any]) -> None:
    for segment in report["segments"].values():
        name, dice = one_line(segment["name"]), segment["estimated_dice"]
        if not segment["filled_voxels"]:
            print(f"{name}: {segment['volume_ml']:.2f} ml, nothing found on the slices that are not painted")
            continue
        why = " from one painted slice" if len(segment["support_slices"]) == 1 else ""
        estimate = f"{dice:.2f}" if dice is not None else f"not available{why}"
        print(f"{name}: {segment['volume_ml']:.2f} ml, estimated Dice {estimate}")
    if report["suggested_slices"]:
        best = report["suggested_slices"][0]
        print(f"To improve it, paint slice {best['index']} (axis {best['axis']}) next.")


def _methods(arguments: argparse.Namespace) -> int:
    from .predictors.registry import METHODS

    for name, method in METHODS.items():
        if method.baseline and not arguments.all:
            continue
        mark = " (default)" if name == DEFAULT_METHOD else ""
        print(f"{name}{mark}\n    {method.title}: {method.summary}")
    return DONE


def _info(arguments: argparse.Namespace) -> int:
    from .answer.report import versions
    from .networks import weights

    print(f"MetaSegment {__version__}, Python {sys.version.split()[0]}")
    for package, found in versions().items():
        print(f"{package} {found}" if found else f"{package} is not installed")
    print("Devices: " + ", ".join(_devices()))
    return max((_check_weights(name) for name in weights.names()), default=DONE)


def _check_weights(name: str) -> int:
    from .networks import weights

    try:
        weights.load(name)
    except MetaSegmentError as error:
        print(f"Weights {name}: {error}")
        return FAILED
    print(f"Weights {name}: as shipped, SHA-256 {weights.checksum(name)}")
    return DONE


def _devices() -> list[str]:
    try:
        with explained_imports():
            import torch
    except DependencyError as error:
        return [f"none; {error}"]
    found = [f"cuda:{n} ({torch.cuda.get_device_name(n)})" for n in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        found.append("mps")
    return [*found, f"cpu ({torch.get_num_threads()} threads)"]


def _demo(arguments: argparse.Namespace) -> int:
    from .demo import run_demo

    with progress_bar(arguments.quiet) as progress:
        run_demo(arguments.output, k=arguments.k, settings=settings_of(arguments), progress=progress)
    return DONE


@contextmanager
def _terminable() -> Iterator[None]:
    """Let a polite kill end the run as Ctrl-C does, so that what was begun is tidied away."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _report_error(sentence: str, status: int, verbose: bool) -> int:
    if verbose:
        traceback.print_exc()
    print(f"metasegment: {one_line(sentence)}", file=sys.stderr)
    return status

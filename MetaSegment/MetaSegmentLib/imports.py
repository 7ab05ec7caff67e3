"""Why a package could not be imported, in a sentence: missing, too old, broken, or hidden by a file of its name."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from types import ModuleType, TracebackType

from .errors import DependencyError, MetaSegmentError

PIP_NAMES = {
    "torch": "torch",
    "monai": "monai",
    "numpy": "numpy",
    "scipy": "scipy",
    "SimpleITK": "SimpleITK",
    "safetensors": "safetensors",
    "sklearn": "scikit-learn",
    "tqdm": "tqdm",
    "packaging": "packaging",
    "nibabel": "nibabel",
    "pydicom": "pydicom",
    "highdicom": "highdicom",
    "skimage": "scikit-image",
    "matplotlib": "matplotlib",
    "dask": "dask",
    "distributed": "distributed",
    "PIL": "pillow",
}
"""What pip calls the packages that are used here, by the name of import."""
EXTRAS = {"dask": "cohort", "distributed": "cohort", "PIL": "cohort", "highdicom": "dicom"}
"""Packages that come with an extra of MetaSegment's own."""
OLDEST = {"torch": "2.8", "numpy": "2.0", "scipy": "1.13", "SimpleITK": "2.4"}
LONGEST_REASON = 160
OUT_OF_MEMORY = ("failed to map segment", "annot allocate memory")
"""What loaders of shared libraries say then."""


@contextmanager
def explained_imports() -> Iterator[None]:
    """Let a failed import inside leave as a DependencyError that gives its reason."""
    try:
        yield
    except MetaSegmentError:
        raise
    except Exception as error:
        if (explained := import_error(error)) is not None:
            raise explained from error
        raise


def import_error(error: BaseException) -> DependencyError | None:
    """The reason that a package is to blame for ``error``, as an error of ours; None when none is."""
    package = _package_of(error)
    if package is None:
        return None
    pip = PIP_NAMES.get(package, package)
    if any(words in str(error) for words in OUT_OF_MEMORY):
        return DependencyError(
            f"There is too little memory to load the package {pip}; raise the limit (ulimit -v) or free some."
        )
    if isinstance(error, ModuleNotFoundError) and error.name == package:
        if package in EXTRAS:
            run = f'pip install "metasegment[{EXTRAS[package]}]"'
            return DependencyError(f"MetaSegment needs the package {pip} for this, which is missing; run: {run}")
        return DependencyError(f"MetaSegment needs the package {pip}, which is missing; run 'pip install {pip}'.")
    if (what := _hidden(package)) is not None:
        return DependencyError(f"{what} hides the package {pip}; rename it, or run in another folder.")
    if (version := _too_old(package)) is not None:
        needed = f"{pip}>={OLDEST[package]}"
        return DependencyError(f"The package {pip} {version} is too old; run 'pip install \"{needed}\"'.")
    reason = " ".join(str(error).split())[:LONGEST_REASON].rstrip(".") or type(error).__name__
    return DependencyError(
        f"The package {pip} is there but cannot be loaded ({reason}); run 'pip install --force-reinstall {pip}'."
    )


def _package_of(error: BaseException) -> str | None:
    """The package that was being imported, or that lacks what every version of it has."""
    own = __name__.partition(".")[0]
    if isinstance(error, ModuleNotFoundError) and error.name:
        top = error.name.partition(".")[0]
        return None if top == own else top
    for name in _modules_being_imported(error.__traceback__):
        if name in PIP_NAMES:
            return name
    named = error.name if isinstance(error, ImportError) else None
    if isinstance(error, AttributeError) and isinstance(error.obj, ModuleType):
        named = error.obj.__name__
    top = (named or "").partition(".")[0]
    return top if top in PIP_NAMES else None


def _modules_being_imported(trace: TracebackType | None) -> Iterator[str]:
    while trace is not None:
        frame = trace.tb_frame
        if frame.f_code.co_name == "<module>":
            yield str(frame.f_globals.get("__name__", "")).partition(".")[0]
        trace = trace.tb_next


def _hidden(package: str) -> str | None:
    """What the user has under the name of a package, all of which are folders with an ``__init__.py``."""
    module = sys.modules.get(package)
    if module is None:
        return None
    file = getattr(module, "__file__", None)
    if file is None:
        return f"A folder named {package}"
    return f"A file named {Path(file).name}" if Path(file).stem == package else None


def _too_old(package: str) -> str | None:
    if package not in OLDEST:
        return None
    try:
        version = metadata.version(PIP_NAMES[package])
        numbers = [int(part) for part in version.split(".")[:2]]
    except (metadata.PackageNotFoundError, ValueError):
        return None
    return version if numbers < [int(part) for part in OLDEST[package].split(".")] else None

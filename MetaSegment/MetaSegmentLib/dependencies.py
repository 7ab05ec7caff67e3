"""The Python packages that MetaSegment needs inside Slicer: what is missing, and installing exactly that.

In Slicer's Python console::

    from MetaSegmentLib.dependencies import ensure
    print(ensure())

Nothing is installed on import, nothing that Slicer brought is replaced, and when nothing is missing nothing is done:
no pip, no network. Ask the user before calling :func:`ensure` from a panel.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from .errors import DependencyError
from .interpreter import NAME, on_path

if TYPE_CHECKING:
    from packaging.requirements import Requirement

REQUIREMENTS_FILE = Path(__file__).resolve().parents[1] / "Resources" / "requirements.txt"
TORCH = "torch>=2.8"
SLICERS_OWN = ("numpy", "scipy", "SimpleITK", "pydicom")

_MEGABYTES = {"monai": 3, "safetensors": 1, "scikit-learn": 14, "tqdm": 1}
"""Downloads, with what they bring along, rounded up."""
_TORCH_MEGABYTES, _TORCH_CUDA_MEGABYTES, _OTHER_MEGABYTES = 250, 3000, 10

Log = Callable[[str], None]


class Pip(Protocol):
    """Runs pip in Slicer's Python."""

    def install(self, requirements: Sequence[str]) -> None:
        """Install ``requirements`` and come back when done; any exception means that it failed."""


class TorchInstaller(Protocol):
    """The part of the PyTorch extension's ``PyTorchUtilsLogic`` that is used here."""

    def installTorch(self, *, askConfirmation: bool, torchVersionRequirement: str) -> Any:
        """Install the build of torch that suits this computer; None means that the user said no."""


@dataclass(frozen=True)
class Package:
    """A required package: ``requirement`` as pip reads it, ``installed`` its version here or None."""

    requirement: str
    installed: str | None
    satisfied: bool


@dataclass(frozen=True)
class Report:
    """What :func:`ensure` did; ``str(report)`` says it in a sentence or two.

    Attributes:
        installed: versions of the packages that were installed, by name; empty when nothing was missing.
        restart: True if a package that this Python had already loaded was replaced by another version.
    """

    installed: dict[str, str]
    restart: bool = False

    def __str__(self) -> str:
        if not self.installed:
            return "Everything that MetaSegment needs is installed; nothing was changed."
        names = ", ".join(f"{name} {version}" for name, version in sorted(self.installed.items()))
        text = f"Installed {names}; Slicer's own {', '.join(SLICERS_OWN)} were left as they were."
        return text + " Restart Slicer before going on." if self.restart else text


def packages(requirements: Path = REQUIREMENTS_FILE) -> list[Package]:
    """All packages that are needed, torch first, with what is installed of them; imports none of them."""
    lines = (line.split("#")[0].strip() for line in requirements.read_text(encoding="utf-8").splitlines())
    return [_look_up(text) for text in (TORCH, *filter(None, lines))]


def missing(requirements: Path = REQUIREMENTS_FILE) -> list[str]:
    """The requirements that are not met, as pip reads them; empty when MetaSegment can run."""
    return [package.requirement for package in packages(requirements) if not package.satisfied]


def download_megabytes(requirements: Sequence[str], cuda: bool) -> int:
    """About how much is downloaded to install ``requirements``.

    Args:
        cuda: whether torch is the build for NVIDIA's GPUs.
    """
    torch = _TORCH_CUDA_MEGABYTES if cuda else _TORCH_MEGABYTES
    sizes = {_key(_parse(TORCH).name): torch, **_MEGABYTES}
    return sum(sizes.get(_key(_parse(text).name), _OTHER_MEGABYTES) for text in requirements)


def ensure(
    pip: Pip | None = None,
    torch: TorchInstaller | None = None,
    log: Log | None = None,
    requirements: Path = REQUIREMENTS_FILE,
) -> Report:
    """Install what is missing, and only that.

    Args:
        pip: how to run pip; default Slicer's own way.
        torch: who installs torch; default the PyTorch extension.
        log: called with a sentence before each step.
        requirements: the file with the packages other than torch.

    Raises:
        DependencyError: a package could not be installed, or one of Slicer's own would have to be replaced.
    """
    needed = missing(requirements)
    if not needed:
        return Report({})
    log = log or (lambda text: None)
    before = _versions()
    if TORCH in needed:
        log("Installing PyTorch; this can take some minutes.")
        _install_torch(torch or slicers_torch_installer())
    others = [requirement for requirement in needed if requirement != TORCH]
    if others:
        log(f"Installing {', '.join(others)}.")
        with _kept((*SLICERS_OWN, "torch")), on_path(), _explained(", ".join(others)):
            (pip or slicers_pip()).install(others)
    return _verified(before, requirements)


def slicers_pip() -> Pip:
    """Slicer's own way to run pip: ``slicer.packaging`` since 5.11, ``slicer.util`` before."""
    try:
        from slicer import util
    except ImportError as error:
        raise DependencyError("Packages can be installed this way inside Slicer only.") from error
    packaging = _slicers_packaging()
    return _UtilPip(util) if packaging is None else _PackagingPip(packaging, util)


def slicer_shows_progress() -> bool:
    """Whether Slicer's own installer has a progress window, as it has since 5.11."""
    return _slicers_packaging() is not None


def slicers_torch_installer() -> TorchInstaller | None:
    """The PyTorch extension's installer, or None when that extension is not there."""
    try:
        import PyTorchUtils
    except ImportError:
        return None
    return PyTorchUtils.PyTorchUtilsLogic()


def install_pytorch_extension() -> bool:
    """Install the PyTorch extension from Slicer's server, without a restart, which would lose unsaved work.

    Returns:
        False when it could not be installed. Slicer finds the extension after its next start.
    """
    from slicer import app

    return bool(app.extensionsManagerModel().installExtensionFromServer("PyTorch", False))


class TorchByPip:
    """Installs torch with plain pip, for a Slicer without the PyTorch extension, when the user asks for it."""

    def __init__(self, pip: Pip) -> None:
        self._pip = pip

    def installTorch(self, *, askConfirmation: bool, torchVersionRequirement: str) -> Any:
        self._pip.install([f"torch{torchVersionRequirement}"])
        return True


def _install_torch(installer: TorchInstaller | None) -> None:
    if installer is None:
        raise DependencyError(
            "PyTorch is missing: install the PyTorch extension in Slicer's Extensions Manager, restart Slicer and try "
            "again; or run setup_deps.py in Slicer with --torch-by-pip, or with --wheels FOLDER where there is no "
            "network."
        )
    with _kept(SLICERS_OWN), on_path(), _explained("PyTorch"):
        module = installer.installTorch(askConfirmation=False, torchVersionRequirement=TORCH.removeprefix("torch"))
    if module is None:
        raise DependencyError(
            "PyTorch was not installed, so MetaSegment cannot run yet: try again, or install the PyTorch extension in "
            "Slicer's Extensions Manager and restart Slicer."
        )


def _slicers_packaging() -> Any | None:
    try:
        from slicer import packaging
    except ImportError:
        return None
    return packaging


class _PackagingPip:
    def __init__(self, packaging: Any, util: Any) -> None:
        self._packaging = packaging
        self._util = util

    def install(self, requirements: Sequence[str]) -> None:
        # The user has been asked, about torch and the size of the download too, which Slicer's question leaves out.
        # Without a main window nobody could close the window with which Slicer explains a failure.
        with _constraints((*SLICERS_OWN, "torch")) as constraints:
            self._packaging.pip_ensure(
                list(requirements),
                constraints=str(constraints),
                prompt_install=False,
                prompt_restart=False,
                requester="MetaSegment",
                show_progress=self._util.mainWindow() is not None,
            )


class _UtilPip:
    def __init__(self, util: Any) -> None:
        self._util = util

    def install(self, requirements: Sequence[str]) -> None:
        self._util.pip_install(list(requirements))


@contextmanager
def _constraints(names: Sequence[str]) -> Iterator[Path]:
    """A file that forbids pip to replace the installed versions of ``names``."""
    lines = [f"{name}=={version}\n" for name in names if (version := _installed(name))]
    with tempfile.TemporaryDirectory(prefix="metasegment-") as folder:
        file = Path(folder).resolve() / "constraints.txt"
        file.write_text("".join(lines), encoding="utf-8")
        yield file


@contextmanager
def _kept(names: Sequence[str]) -> Iterator[None]:
    """Forbid every pip that is started meanwhile to replace the installed versions of ``names``.

    An environment variable, because the PyTorch extension runs pip itself and takes no constraints from us. A file
    URL, because pip takes blanks in the variable for separators.
    """
    earlier = os.environ.get("PIP_CONSTRAINT")
    with _constraints(names) as file:
        os.environ["PIP_CONSTRAINT"] = f"{earlier} {file.as_uri()}" if earlier else file.as_uri()
        try:
            yield
        finally:
            if earlier is None:
                del os.environ["PIP_CONSTRAINT"]
            else:
                os.environ["PIP_CONSTRAINT"] = earlier


@contextmanager
def _explained(what: str) -> Iterator[None]:
    """Turn whatever an installer raises into a DependencyError that says what to do."""
    try:
        yield
    except DependencyError:
        raise
    except subprocess.CalledProcessError as error:  # pip ran, and did not get what it wanted
        raise DependencyError(
            f"{what} could not be installed: check the network or the proxy (HTTPS_PROXY) and the free disk space, "
            "then try again; pip's own words are in Slicer's Python console."
        ) from error
    except Exception as error:
        if NAME in str(error):
            raise DependencyError(
                f"{what} could not be installed: {NAME}, which runs pip, was not found beside Slicer's own executable; "
                "install Slicer again, then try again."
            ) from error
        raise DependencyError(
            f"{what} could not be installed: pip could not be run ({str(error) or type(error).__name__}); the details "
            "are in Slicer's Python console."
        ) from error


def _verified(before: dict[str, str], requirements: Path) -> Report:
    after = _versions()
    replaced = [name for name in SLICERS_OWN if before.get(_key(name), "") != after.get(_key(name), "")]
    if replaced:
        raise DependencyError(
            f"The installation changed Slicer's own {', '.join(replaced)}: reinstall Slicer, and report this, please."
        )
    if left := missing(requirements):
        raise DependencyError(f"{', '.join(left)} could not be installed: see Slicer's Python console for the reason.")
    changed = {name: version for name, version in after.items() if before.get(name) != version}
    restart = any(name in before and name.replace("-", "_") in sys.modules for name in changed)
    return Report(changed, restart)


def _versions() -> dict[str, str]:
    """The versions of everything that is installed, by pip's form of the name."""
    importlib.invalidate_caches()
    versions: dict[str, str] = {}
    for distribution in metadata.distributions():
        # The first one found is the one that Python imports.
        if name := distribution.metadata["Name"]:
            versions.setdefault(_key(name), distribution.version)
    return versions


def _look_up(text: str) -> Package:
    requirement = _parse(text)
    installed = _installed(requirement.name)
    applies = requirement.marker is None or requirement.marker.evaluate()
    met = installed is not None and requirement.specifier.contains(installed, prereleases=True)
    return Package(text, installed, met or not applies)


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _parse(text: str) -> Requirement:
    try:
        from packaging.requirements import Requirement
    except ImportError:  # every pip carries a copy
        from pip._vendor.packaging.requirements import Requirement  # type: ignore[assignment]
    return Requirement(text)


def _key(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")

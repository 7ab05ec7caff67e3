"""In Slicer only what is missing is installed, and nothing of Slicer's own is replaced.

Slicer's Python is played by a folder on ``sys.path`` with made-up packages, pip by the real pip without a network.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from MetaSegmentLib import dependencies
from MetaSegmentLib.dependencies import Package, TorchByPip, download_megabytes, ensure, missing, packages
from MetaSegmentLib.errors import DependencyError
from MetaSegmentLib.interpreter import python_slicer
from tiny_wheels import make_wheel


class FolderPip:
    """The real pip, installing made-up wheels into the folder that plays Slicer's Python."""

    def __init__(self, site: Path, wheels: Path) -> None:
        self.site = site
        self.wheels = wheels
        self.calls: list[list[str]] = []

    def install(self, requirements: Sequence[str]) -> None:
        self.calls.append(list(requirements))
        # fmt: off
        subprocess.run(
            [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--find-links", str(self.wheels),
             "--target", str(self.site), "--disable-pip-version-check", *requirements],
            check=True, capture_output=True,
        )
        # fmt: on


class NeverCalled:
    def install(self, requirements: Sequence[str]) -> None:
        raise AssertionError(f"pip was called for {requirements}")

    def installTorch(self, *, askConfirmation: bool, torchVersionRequirement: str) -> Any:
        raise AssertionError("torch was installed")


class Unreachable:
    def install(self, requirements: Sequence[str]) -> None:
        raise subprocess.CalledProcessError(1, "pip")


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    folder = tmp_path / "wheels"
    make_wheel(folder, "alphaseg", "2.1", requires=["betaseg"])
    make_wheel(folder, "betaseg", "0.3")
    make_wheel(folder, "greedyseg", "1.0", requires=["numpy>=999"])
    make_wheel(folder, "numpy", "999.0")
    make_wheel(folder, "torch", "2.9")
    return folder


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that plays Slicer's Python; it has torch already."""
    # A blank in the name, as in many a Windows user's temporary folder.
    folder = tmp_path / "Slicer site"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "Slicer site"))
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr(dependencies, "TORCH", "torch>=2.0")
    return folder


def requirements_of(folder: Path, *lines: str) -> Path:
    path = folder / "requirements.txt"
    path.write_text("\n".join(("# a comment", "", *lines)) + "\n", encoding="utf-8")
    return path


def test_the_file_of_the_extension_is_read() -> None:
    names = [package.requirement for package in packages()]
    assert names[0] == dependencies.TORCH
    assert any(name.startswith("monai>=") for name in names)


def test_everything_is_met_where_the_tests_run() -> None:
    assert missing() == []


def test_missing_tells_absent_and_too_old_packages(tmp_path: Path) -> None:
    file = requirements_of(tmp_path, "numpy>=1.0", "numpy>=999", "alphaseg", 'alphaseg ; python_version < "3"')
    assert packages(file)[1:] == [
        Package("numpy>=1.0", metadata.version("numpy"), True),
        Package("numpy>=999", metadata.version("numpy"), False),
        Package("alphaseg", None, False),
        Package('alphaseg ; python_version < "3"', None, True),
    ]
    assert missing(file) == ["numpy>=999", "alphaseg"]


def test_nothing_is_touched_when_nothing_is_missing(tmp_path: Path) -> None:
    never = NeverCalled()
    report = ensure(never, never, requirements=requirements_of(tmp_path, "numpy>=1.0"))
    assert report.installed == {} and not report.restart
    assert "nothing was changed" in str(report)


def test_only_what_is_missing_is_installed_once(tmp_path: Path, site: Path, wheels: Path) -> None:
    pip, said = FolderPip(site, wheels), []
    file = requirements_of(tmp_path, "numpy>=1.0", "alphaseg>=2")
    report = ensure(pip, NeverCalled(), said.append, file)
    assert pip.calls == [["alphaseg>=2"]]
    assert report.installed == {"alphaseg": "2.1", "betaseg": "0.3"}
    assert "alphaseg 2.1" in str(report) and any("alphaseg" in text for text in said)
    assert ensure(NeverCalled(), NeverCalled(), requirements=file).installed == {}


def test_a_package_that_would_replace_slicers_numpy_is_refused(tmp_path: Path, site: Path, wheels: Path) -> None:
    before = metadata.version("numpy")
    with pytest.raises(DependencyError, match="greedyseg could not be installed"):
        ensure(FolderPip(site, wheels), requirements=requirements_of(tmp_path, "greedyseg"))
    assert metadata.version("numpy") == before
    assert not list(site.glob("numpy*"))


def test_a_pip_that_ignores_the_constraints_is_noticed(tmp_path: Path, site: Path, wheels: Path) -> None:
    class Careless(FolderPip):
        def install(self, requirements: Sequence[str]) -> None:
            del os.environ["PIP_CONSTRAINT"]
            super().install(requirements)
            os.environ["PIP_CONSTRAINT"] = ""

    with pytest.raises(DependencyError, match="changed Slicer's own numpy"):
        ensure(Careless(site, wheels), requirements=requirements_of(tmp_path, "greedyseg"))


@pytest.mark.parametrize("earlier", [None, "other.txt"])
def test_the_constraints_are_in_force_during_the_installation_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, earlier: str | None
) -> None:
    monkeypatch.delenv("PIP_CONSTRAINT", raising=False)
    if earlier:
        monkeypatch.setenv("PIP_CONSTRAINT", earlier)
    seen = []

    class Looking:
        def install(self, requirements: Sequence[str]) -> None:
            seen.append(os.environ["PIP_CONSTRAINT"])
            raise OSError

    with pytest.raises(DependencyError):
        ensure(Looking(), requirements=requirements_of(tmp_path, "alphaseg"))
    assert seen[0].startswith(f"{earlier} file://" if earlier else "file://")
    assert os.environ.get("PIP_CONSTRAINT") == earlier


def test_torch_comes_from_its_installer(
    tmp_path: Path, site: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dependencies, "TORCH", "deltaseg>=2.0")  # stands for torch, which the tests have
    make_wheel(wheels, "deltaseg", "2.5")
    pip, asked = FolderPip(site, wheels), []

    class Extension:
        def installTorch(self, *, askConfirmation: bool, torchVersionRequirement: str) -> Any:
            asked.append(askConfirmation)
            pip.install(["deltaseg"])
            return object()

    report = ensure(pip, Extension(), requirements=requirements_of(tmp_path, "alphaseg"))
    assert asked == [False] and pip.calls == [["deltaseg"], ["alphaseg"]]
    assert set(report.installed) == {"alphaseg", "betaseg", "deltaseg"}


def test_without_the_pytorch_extension_the_user_is_sent_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dependencies, "TORCH", "deltaseg>=2.0")
    with pytest.raises(DependencyError, match="install the PyTorch extension"):
        ensure(NeverCalled(), requirements=requirements_of(tmp_path))


def test_a_torch_that_the_user_declined_is_no_success(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dependencies, "TORCH", "deltaseg>=2.0")

    class Declined:
        def installTorch(self, *, askConfirmation: bool, torchVersionRequirement: str) -> Any:
            return None

    with pytest.raises(DependencyError, match="PyTorch was not installed"):
        ensure(NeverCalled(), Declined(), requirements=requirements_of(tmp_path))


def test_plain_pip_can_stand_in_for_the_extension() -> None:
    class Noting:
        calls: list[list[str]] = []  # noqa: RUF012

        def install(self, requirements: Sequence[str]) -> None:
            self.calls.append(list(requirements))

    pip = Noting()
    TorchByPip(pip).installTorch(askConfirmation=False, torchVersionRequirement=">=2.8")
    assert pip.calls == [["torch>=2.8"]]


def test_a_failed_pip_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DependencyError, match="alphaseg could not be installed: check the network"):
        ensure(Unreachable(), requirements=requirements_of(tmp_path, "alphaseg"))


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (RuntimeError("PythonSlicer executable not found"), "PythonSlicer, which runs pip, was not found beside"),
        (PermissionError(13, "Permission denied"), r"pip could not be run \(.*Permission denied\)"),
        (RuntimeError(), r"pip could not be run \(RuntimeError\)"),
    ],
    ids=str,
)
def test_a_pip_that_never_ran_is_not_blamed_on_the_network(tmp_path: Path, error: Exception, message: str) -> None:
    class Broken:
        def install(self, requirements: Sequence[str]) -> None:
            raise error

    with pytest.raises(DependencyError, match=message) as caught:
        ensure(Broken(), requirements=requirements_of(tmp_path, "alphaseg"))
    assert "network" not in str(caught.value) and "proxy" not in str(caught.value)


def test_the_size_of_a_download_is_that_of_what_is_missing() -> None:
    small = ["monai>=1.5", "scikit-learn>=1.6", "tqdm>=4.66"]
    assert download_megabytes([], cuda=True) == 0
    assert download_megabytes(small, cuda=True) < 30
    assert 100 < download_megabytes(["torch>=2.8", *small], cuda=False) < 500
    assert download_megabytes(["torch>=2.8"], cuda=True) > 1000
    assert download_megabytes(["something>=1"], cuda=False) > 0


@pytest.fixture
def slicer_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Slicer whose PythonSlicer is in ``bin`` and not on the PATH; its own executable is somewhere else."""
    home = tmp_path / "Slicer 5"
    (home / "bin").mkdir(parents=True)
    (home / "MacOS").mkdir()
    program = home / "bin" / ("PythonSlicer.exe" if os.name == "nt" else "PythonSlicer")
    program.touch()
    program.chmod(0o755)
    app = SimpleNamespace(applicationDirPath=lambda: str(home / "MacOS"), slicerHome=str(home))
    monkeypatch.setitem(sys.modules, "slicer", SimpleNamespace(app=app))
    monkeypatch.setenv("PATH", str(tmp_path))
    return home


def test_slicers_python_is_found_beside_the_application(slicer_home: Path, tmp_path: Path) -> None:
    found = python_slicer()
    assert found is not None and found.parent == slicer_home / "bin"
    seen = []

    class Looking:
        def install(self, requirements: Sequence[str]) -> None:
            seen.append(shutil.which("PythonSlicer"))
            raise OSError

    before = os.environ["PATH"]
    with pytest.raises(DependencyError):
        ensure(Looking(), requirements=requirements_of(tmp_path, "alphaseg"))
    assert seen == [str(found)] and os.environ["PATH"] == before


def test_outside_slicer_there_is_no_python_slicer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "slicer", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert python_slicer() is None


def test_a_pip_that_installs_nothing_is_noticed(tmp_path: Path) -> None:
    class Idle:
        def install(self, requirements: Sequence[str]) -> None:
            pass

    with pytest.raises(DependencyError, match="alphaseg could not be installed"):
        ensure(Idle(), requirements=requirements_of(tmp_path, "alphaseg"))


def test_a_replaced_package_that_was_loaded_asks_for_a_restart(tmp_path: Path, site: Path, wheels: Path) -> None:
    make_wheel(wheels, "betaseg", "0.1")
    pip = FolderPip(site, wheels)
    pip.install(["betaseg==0.1"])
    import betaseg  # type: ignore[import-not-found]

    assert betaseg.__version__ == "0.1"

    class Upgrading(FolderPip):
        def install(self, requirements: Sequence[str]) -> None:
            for old in self.site.glob("betaseg*"):  # with --target, pip does not uninstall
                shutil.rmtree(old) if old.is_dir() else old.unlink()
            super().install(requirements)

    report = ensure(Upgrading(site, wheels), requirements=requirements_of(tmp_path, "betaseg>=0.2"))
    assert report.restart and "Restart Slicer" in str(report)


SLICERS_PACKAGING = """
import pathlib
calls = []
def pip_ensure(requirements, constraints=None, skip_packages=None, prompt_install=True, prompt_restart=True,
               requester=None, skip_in_testing=True, show_progress=True):
    assert not prompt_install, "a second question"
    assert not prompt_restart, "a second window"
    kept = pathlib.Path(constraints).read_text().split()
    calls.append((requirements, kept, requester, skip_in_testing, show_progress))
"""
"""Its signature is that of Slicer 5.12."""


@pytest.fixture
def slicer_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[bool, bool], None]]:
    """Makes a package ``slicer``, with ``packaging`` as in 5.12 or without as in 5.10; with a main window or none."""

    def make(modern: bool, window: bool) -> None:
        package = tmp_path / "application" / "slicer"
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        (package / "util.py").write_text(
            f"calls = []\ndef mainWindow():\n    return {'object()' if window else None}\n"
            "def pip_install(requirements):\n    calls.append(requirements)\n"
        )
        if modern:
            (package / "packaging.py").write_text(SLICERS_PACKAGING)
        for name in [name for name in sys.modules if name == "slicer" or name.startswith("slicer.")]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.syspath_prepend(str(package.parent))

    yield make
    for name in ("slicer", "slicer.util", "slicer.packaging"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("window", [True, False], ids=["a window", "no window"])
def test_since_5_11_slicers_own_installer_does_it(slicer_of: Callable[[bool, bool], None], window: bool) -> None:
    slicer_of(True, window)
    assert dependencies.slicer_shows_progress()
    dependencies.slicers_pip().install(["alphaseg"])
    ((requirements, kept, requester, skip_in_testing, show_progress),) = sys.modules["slicer.packaging"].calls
    assert requirements == ["alphaseg"] and requester == "MetaSegment" and skip_in_testing
    assert f"numpy=={metadata.version('numpy')}" in kept and f"torch=={metadata.version('torch')}" in kept
    assert show_progress == window, "nobody could close a window"
    assert sys.modules["slicer.util"].calls == []


def test_in_5_10_pip_is_run_the_old_way(slicer_of: Callable[[bool, bool], None]) -> None:
    slicer_of(False, True)
    assert not dependencies.slicer_shows_progress()
    dependencies.slicers_pip().install(["alphaseg"])
    assert sys.modules["slicer.util"].calls == [["alphaseg"]]


@pytest.mark.parametrize("works", [True, False])
def test_the_pytorch_extension_is_installed_without_a_restart(monkeypatch: pytest.MonkeyPatch, works: bool) -> None:
    calls = []

    class Model:
        def installExtensionFromServer(self, name: str, restart: bool = True, update: bool = False) -> bool:
            calls.append((name, restart))
            return works

    app = SimpleNamespace(extensionsManagerModel=Model)
    monkeypatch.setitem(sys.modules, "slicer", SimpleNamespace(app=app))
    assert dependencies.install_pytorch_extension() == works and calls == [("PyTorch", False)]


def test_outside_slicer_there_is_no_pytorch_extension() -> None:
    assert dependencies.slicers_torch_installer() is None

"""setup_deps.py on a made-up project: once with the real venv and pip, else with a program that plays Python."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from types import ModuleType

import pytest

from tiny_wheels import make_wheel

# Installs the made-up project in place of setuptools, which is no tiny wheel.
BACKEND = """
import pathlib, sys
sys.path.insert(0, {testing!r})
from tiny_wheels import make_wheel

def build_editable(folder, settings=None, metadata=None):
    source = str(pathlib.Path("MetaSegment").resolve())
    return make_wheel(pathlib.Path(folder), "metasegment", "0.0", modules={{"metasegment.pth": source}}).name
"""

# Does what setup_deps.py asks a Python for, at once; what it is asked to install is noted, and fails when told to.
PLAYED_PYTHON = """#!/bin/sh
case "$*" in
  *version_info*) echo {version} ;;
  *ensurepip*) exit {without_venv} ;;
  "-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
  "-m pip "*)
    echo "$*" >> "{folder}/asked"
    if [ -e "{folder}/hang" ]; then exec sleep 60; fi
    if [ -e "{folder}/fail" ]; then cat "{folder}/fail"; exit 1; fi ;;
  *) echo "ran $*" ;;
esac
"""


class Project:
    """A folder as a fresh clone is."""

    def __init__(self, folder: Path, program: Path) -> None:
        self.folder = folder
        self.venv = folder / ".venv"
        self.aside = folder / ".venv.old"
        self.stamp = self.venv / "metasegment.json"
        self.asked = folder / "asked"
        self.program = program
        self.room(100)
        self.lock("torch==2.13.0", "alphaseg==2.1", "betaseg==0.3", "pytest==0.1")
        self.python = self.played_python("3.11")

    def room(self, gigabytes: int) -> None:
        """Have the program find so much free space, whatever this machine's disk has: tiny packages need none."""
        asked, text = "shutil.disk_usage(str(folder)).free / 1e9", self.program.read_text(encoding="utf-8")
        assert text.count(asked) == 1
        (self.folder / self.program.name).write_text(text.replace(asked, str(gigabytes)), encoding="utf-8")

    def lock(self, *lines: str) -> None:
        (self.folder / "requirements.lock").write_text("# made up\n" + "\n".join(lines) + "\n")

    def played_python(self, version: str, without_venv: bool = False) -> str:
        path = self.folder / f"python{version}"
        path.write_text(PLAYED_PYTHON.format(version=version, folder=self.folder, without_venv=int(without_venv)))
        path.chmod(0o755)
        return str(path)

    def fail(self, said: str | None) -> None:
        """Make every installation fail with ``said``; None: let them succeed again."""
        if said is None:
            (self.folder / "fail").unlink()
        else:
            (self.folder / "fail").write_text(said + "\n")

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, str(self.folder / "setup_deps.py"), *arguments]

    def run(self, *arguments: str, environ: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments), capture_output=True, text=True, env={**os.environ, **(environ or {})}, timeout=200
        )

    def install(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run("install", "--gpu", "--python", self.python, *arguments)


@pytest.fixture
def project(tmp_path: Path, repository: Path) -> Project:
    folder = tmp_path / "a fresh clone"
    folder.mkdir()
    return Project(folder, repository / "setup_deps.py")


@pytest.fixture(scope="module")
def setup_deps(repository: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("setup_deps", repository / "setup_deps.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_demo_and_test_do_everything_with_the_real_venv_and_pip(project: Project) -> None:
    wheels = project.folder / "the wheels"
    make_wheel(wheels, "torch", "2.13.0", requires=["betaseg"])
    make_wheel(wheels, "alphaseg", "2.1")
    make_wheel(wheels, "betaseg", "0.3")
    make_wheel(wheels, "pytest", "0.1", modules={"pytest.py": "import sys\nsys.exit(len(sys.argv))\n"})
    package = project.folder / "MetaSegment" / "MetaSegmentLib"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text("import sys, alphaseg\nprint('ran', alphaseg.__version__, sys.argv[1:])\n")
    (project.folder / "backend.py").write_text(BACKEND.format(testing=str(Path(__file__).parent)))
    (project.folder / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )

    first = project.run("demo", "--wheels", str(wheels), "--output", "here")
    assert first.returncode == 0, first.stderr
    assert "ran 2.1 ['demo', '--output', 'here']" in first.stdout
    assert "Installing collected packages" in first.stdout

    second = project.run("demo", environ={"PIP_NO_INDEX": "1"})
    assert second.stdout == "ran 2.1 ['demo']\n" and second.returncode == 0

    # Of an environment that is made anew by its own Python, nothing is left to run but what it was made from.
    below = "import setup_deps; print(setup_deps.own_python())"
    said = subprocess.run([project.venv / "bin" / "python", "-c", below], cwd=project.folder, capture_output=True)
    assert not Path(said.stdout.decode().strip()).is_relative_to(project.venv) and said.returncode == 0, said.stderr

    tests = project.run("test", "-k", "geometry", "Testing/test_engine.py")
    assert tests.returncode == 8  # pytest, four arguments of its own, these three: its exit status is handed on


def test_pytorch_is_installed_first_and_by_itself(project: Project) -> None:
    assert project.install("--index-url", "https://mirror/simple").returncode == 0
    torch, others, itself = project.asked.read_text().splitlines()
    assert torch.endswith("--index-url https://mirror/simple --no-deps torch==2.13.0")
    assert others.endswith(f"--index-url https://mirror/simple -r {project.folder / 'requirements.lock'}")
    assert itself.endswith(f"--no-deps --no-build-isolation -e {project.folder}")


def test_a_second_run_installs_nothing_and_passes_the_arguments_on(project: Project) -> None:
    assert project.install().returncode == 0
    project.asked.unlink()
    assert project.run("demo", "--output", "here").stdout == "ran -m MetaSegmentLib demo --output here\n"
    assert project.run("test", "-k", "geometry").stdout == "ran -m pytest -n 2 --dist loadfile -k geometry\n"
    assert project.install().returncode == 0
    assert not project.asked.exists()


def test_a_failed_installation_leaves_nothing(project: Project) -> None:
    project.fail("ERROR: No matching distribution found for missingseg==1.0")
    result = project.install()
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1 and "missingseg" in result.stderr
    assert not project.venv.exists()


def test_a_failed_renewal_leaves_the_old_environment(project: Project) -> None:
    assert project.install().returncode == 0
    made = project.stamp.read_text()
    project.lock("torch==2.13.1")
    project.fail("OSError: [Errno 28] No space left on device")
    assert "The disk is full" in project.install().stderr
    assert project.stamp.read_text() == made and not project.aside.exists()

    project.fail(None)
    assert project.install().returncode == 0
    assert project.stamp.read_text() != made and not project.aside.exists()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda how: how.name)
def test_an_interrupted_renewal_gives_the_old_environment_back(project: Project, how: signal.Signals) -> None:
    assert project.install().returncode == 0
    made = project.stamp.read_text()
    wanted = (project.folder / "requirements.lock").read_text()
    project.lock("torch==2.13.1")
    (project.folder / "hang").touch()
    project.asked.unlink()
    process = subprocess.Popen(
        project.command("install", "--gpu", "--python", project.python),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    deadline = time.monotonic() + 60
    while not project.asked.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(how)
    process.communicate(timeout=60)
    if how == signal.SIGKILL:  # nobody could clean up: the next run does
        assert project.stamp.read_text() == "" and project.aside.exists()
        (project.folder / "requirements.lock").write_text(wanted)
        assert project.run("install").returncode == 0
    else:
        assert process.returncode == 130
    assert project.stamp.read_text() == made and not project.aside.exists()


def test_an_environment_of_somebody_else_is_left_alone(project: Project) -> None:
    project.venv.mkdir()
    (project.venv / "precious.txt").write_text("mine")
    result = project.install()
    assert result.returncode == 1 and "move it away" in result.stderr
    assert (project.venv / "precious.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("change", "renewed"),
    [({}, False), ({"folder": "/elsewhere/.venv"}, True), ({"build": "cpu"}, True), ({"python": "3.12"}, True)],
)
def test_an_environment_made_of_something_else_is_renewed(
    project: Project, change: dict[str, str], renewed: bool
) -> None:
    assert project.install().returncode == 0
    contents = json.loads(project.stamp.read_text())
    project.stamp.write_text(json.dumps({**contents, **change}))
    assert ("Making .venv" in project.install().stdout) == renewed
    assert json.loads(project.stamp.read_text()) == contents


def test_a_folder_of_wheels_has_to_exist(project: Project) -> None:
    result = project.install("--wheels", "/no/such/folder")
    assert result.returncode == 1 and "does not exist" in result.stderr
    assert not project.venv.exists()


def test_wrong_usage_is_told_apart(project: Project) -> None:
    assert project.run("dance").returncode == 2
    assert project.run("install", "--cpu", "--gpu").returncode == 2


@pytest.mark.parametrize("version", ["2.7", "3.9", "3.10", "3.13", "4.0"])
def test_an_unsuitable_python_is_refused(project: Project, version: str) -> None:
    result = project.run("install", "--python", project.played_python(version))
    assert result.returncode == 1
    assert f"needs Python 3.11 or 3.12 and this is {version}" in result.stderr
    assert not project.venv.exists()


def test_a_python_that_is_not_there_is_explained(project: Project) -> None:
    result = project.run("install", "--python", "/no/such/python")
    assert result.returncode == 1 and "cannot be run: name a Python 3.11 or 3.12" in result.stderr


def test_a_python_without_venv_is_explained(project: Project) -> None:
    result = project.run("install", "--python", project.played_python("3.11", without_venv=True))
    assert result.returncode == 1 and "apt install python3.11-venv" in result.stderr
    assert not project.venv.exists()


class Refusing(BaseHTTPRequestHandler):
    """A proxy that wants to know who is asking."""

    def do_CONNECT(self) -> None:
        self.send_error(407)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def refusing_proxy() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Refusing) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def real_pip(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "pip", "--isolated", "install", "--retries", "1", *arguments, "alphaseg"]


def test_without_a_network_the_real_pip_is_explained(setup_deps: ModuleType) -> None:
    with pytest.raises(setup_deps.SetupError, match="The network cannot be reached"):
        setup_deps.call(real_pip("--index-url", "http://127.0.0.1:9/simple"))  # nothing listens on port 9


def test_behind_a_refusing_proxy_the_real_pip_is_explained(setup_deps: ModuleType, refusing_proxy: str) -> None:
    with pytest.raises(setup_deps.SetupError, match="The proxy does not let pip through"):
        setup_deps.call(real_pip("--index-url", "https://mirror.invalid/simple", "--proxy", refusing_proxy))


def test_old_pythons_can_read_the_program(repository: Path) -> None:
    ast.parse((repository / "setup_deps.py").read_text(encoding="utf-8"), feature_version=(3, 6))


def test_only_the_standard_library_is_imported(repository: Path) -> None:
    tree = ast.parse((repository / "setup_deps.py").read_text(encoding="utf-8"))
    top_level = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {alias.name for node in top_level if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in top_level if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in names} <= sys.stdlib_module_names


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "The disk is full"),
        ("ProxyError('Cannot connect to proxy.', OSError('Tunnel connection failed: 407'))", "The proxy does not"),
        ("SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]'))", "certificate is not trusted"),
        ("NewConnectionError: [Errno -3] Temporary failure in name resolution", "The network cannot be reached"),
        ("Collecting a\nERROR: No matching distribution found for a==1\n", "undone: ERROR: No matching distribution"),
        ("", "no reason was given"),
    ],
)
def test_what_pip_says_becomes_advice(setup_deps: ModuleType, said: str, sentence: str) -> None:
    assert sentence in setup_deps.explained(said)


def test_too_little_disk_space_is_told_before_anything_is_made(project: Project) -> None:
    project.room(3)
    done = project.install()
    assert done.returncode == 1 and "3.0 GB are free" in done.stderr
    assert not project.venv.exists() and not project.asked.exists()


def test_the_free_space_of_the_disk_counts(setup_deps: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(setup_deps.SetupError, match="disk space are needed"):
        setup_deps.require_space(tmp_path, 10**9)
    setup_deps.require_space(tmp_path, 0)


@pytest.mark.parametrize(
    ("arguments", "build", "system", "reachable", "expected"),
    [
        ([], "cpu", "Linux", True, ["--extra-index-url", "https://download.pytorch.org/whl/cpu"]),
        ([], "cpu", "Linux", False, []),
        ([], "cpu", "Darwin", True, []),
        ([], "gpu", "Linux", True, []),
        ([], "gpu", "Windows", True, ["--extra-index-url", "https://download.pytorch.org/whl/cu130"]),
        (["--torch-index-url", "https://mirror/t"], "cpu", "Linux", True, ["--extra-index-url", "https://mirror/t"]),
        (["--wheels", "w"], "cpu", "Linux", True, []),
    ],
)
def test_where_pytorch_comes_from(
    setup_deps: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    build: str,
    system: str,
    reachable: bool,
    expected: list[str],
) -> None:
    monkeypatch.setattr(setup_deps.platform, "system", lambda: system)
    monkeypatch.setattr(setup_deps, "answers", lambda url: reachable)
    options, _ = setup_deps.read_arguments(["install", *arguments])
    assert setup_deps.Environment(Path(".venv"), options).torch_sources(build) == expected


def test_inside_slicer_only_what_is_missing_is_installed(repository: Path, tmp_path: Path) -> None:
    """A made-up ``slicer`` with an application, and everything there already: nothing is done."""
    script = tmp_path / "in_slicer.py"
    script.write_text(
        "import runpy, sys, types\n"
        "slicer = types.ModuleType('slicer')\n"
        "slicer.app = slicer.util = object()\n"
        "slicer.packaging = object()\n"
        "sys.modules['slicer'] = slicer\n"
        f"runpy.run_path({str(repository / 'setup_deps.py')!r}, run_name='__main__')\n"
    )
    result = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    assert "nothing was changed" in result.stdout


# Slicer 5.12 and 5.10 as far as an installation goes: pip is the real one, into a folder on sys.path.
MADE_UP_SLICER = """
import runpy, subprocess, sys, types

modern, site, script, *arguments = sys.argv[1:]
sys.path.insert(0, site)
slicer = types.ModuleType("slicer")
slicer.app = types.SimpleNamespace(applicationDirPath=lambda: "", slicerHome="")
slicer.util = types.ModuleType("slicer.util")
slicer.util.mainWindow = lambda: None

def pip_install(requirements, constraints=()):
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--target", site, *constraints, *requirements],
                   check=True)

slicer.util.pip_install = pip_install
if modern == "5.12":
    slicer.packaging = types.ModuleType("slicer.packaging")
    slicer.packaging.pip_ensure = lambda requirements, constraints, **others: pip_install(
        requirements, ("--constraint", constraints))
    sys.modules["slicer.packaging"] = slicer.packaging
sys.modules.update({"slicer": slicer, "slicer.util": slicer.util})

from MetaSegmentLib import dependencies
dependencies.TORCH = "torchseg>=2.0"
dependencies.ensure.__kwdefaults__ = None
dependencies.ensure.__defaults__ = (*dependencies.ensure.__defaults__[:-1], dependencies.Path(site) / "needed.txt")
sys.argv = [script, *arguments]
runpy.run_path(script, run_name="__main__")
"""


@pytest.fixture
def slicer(tmp_path: Path, repository: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs setup_deps.py in a made-up Slicer that lacks two packages, where every way into a network is shut."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "needed.txt").write_text("alphaseg>=2\n")
    program = tmp_path / "slicer.py"
    program.write_text(MADE_UP_SLICER)
    nowhere = "http://127.0.0.1:9"
    shut = {"PIP_INDEX_URL": f"{nowhere}/simple", "HTTPS_PROXY": nowhere, "HTTP_PROXY": nowhere, "PIP_RETRIES": "0"}
    path = os.pathsep.join((str(repository / "MetaSegment"), os.environ.get("PYTHONPATH", "")))

    def run(version: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(program), version, str(site), str(repository / "setup_deps.py"), *arguments]
        environ = {**os.environ, **shut, "PYTHONPATH": path}
        return subprocess.run(command, capture_output=True, text=True, timeout=200, env=environ)

    return run


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    folder = tmp_path / "the wheels"
    make_wheel(folder, "torchseg", "2.5")
    make_wheel(folder, "alphaseg", "2.1", requires=["betaseg"])
    make_wheel(folder, "betaseg", "0.3")
    return folder


@pytest.mark.parametrize("version", ["5.12", "5.10"])
def test_slicer_without_a_network_installs_from_a_folder(
    slicer: Callable[..., subprocess.CompletedProcess[str]], wheels: Path, version: str
) -> None:
    """PyTorch too, which otherwise comes through an extension that needs a network."""
    done = slicer(version, "--wheels", str(wheels))
    assert done.returncode == 0, done.stderr
    assert "Installed alphaseg 2.1, betaseg 0.3, torchseg 2.5" in done.stdout
    assert "nothing was changed" in slicer(version, "--wheels", str(wheels)).stdout


def test_slicer_gets_pytorch_by_pip_only_when_told_so(
    slicer: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    done = slicer("5.12")
    assert done.returncode != 0 and "install the PyTorch extension" in done.stderr and "--torch-by-pip" in done.stderr
    assert "torchseg could not" not in done.stderr
    told = slicer("5.12", "--torch-by-pip")
    assert told.returncode != 0 and "check the network" in told.stderr, "it went to the network, which is shut"


def test_slicer_says_that_a_folder_of_wheels_is_not_there(
    slicer: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    done = slicer("5.12", "--wheels", "/no/such/folder")
    assert done.returncode != 0 and "does not exist" in done.stderr.splitlines()[-1]


def test_a_folder_is_filled_with_the_chosen_pytorch_first(project: Project) -> None:
    folder = project.folder / "for the clinic"
    done = project.run("download", "--gpu", "--python", project.python, "--wheels", str(folder))
    assert done.returncode == 0 and "for Python 3.11" in done.stdout and folder.is_dir(), done.stderr
    torch, others = project.asked.read_text().splitlines()
    assert f"download --no-input --progress-bar off --retries 2 -d {folder}" in torch
    assert torch.endswith("--no-deps torch==2.13.0")
    assert others.endswith(f"--find-links {folder} -r {project.folder / 'requirements.lock'}")
    assert not project.venv.exists()


def test_a_filled_folder_is_all_that_an_installation_takes(project: Project) -> None:
    """By the real pip, from one folder into another, without an index."""
    shelf, folder = project.folder / "shelf", project.folder / "for the clinic"
    make_wheel(shelf, "torch", "2.13.0")
    make_wheel(shelf, "alphaseg", "2.1", requires=["gammaseg"])
    make_wheel(shelf, "betaseg", "0.3")
    make_wheel(shelf, "gammaseg", "1.0")
    make_wheel(shelf, "pytest", "0.1")
    offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": shelf.as_uri()}
    done = project.run("download", "--gpu", "--wheels", str(folder), environ=offline)
    assert done.returncode == 0, done.stderr
    assert {file.name.split("-")[0] for file in folder.iterdir()} == {
        "torch", "alphaseg", "betaseg", "gammaseg", "pytest"
    }  # fmt: skip


def test_a_folder_to_fill_has_to_be_named(project: Project) -> None:
    done = project.run("download")
    assert done.returncode == 1 and "--wheels FOLDER" in done.stderr

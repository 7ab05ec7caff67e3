#!/usr/bin/env python3
"""Get everything that MetaSegment needs, and run it.

    python3 setup_deps.py demo      make .venv beside this file, install the tested versions, run the demo
    python3 setup_deps.py test      the same, then the tests
    python3 setup_deps.py install   the same, without running anything
    python3 setup_deps.py download --wheels FOLDER      fill a folder for computers without a network; there, add
                                                        --wheels FOLDER to any of the others

A second run finds the environment ready and installs nothing. Whatever follows the options is passed on:
``python3 setup_deps.py test -k geometry``. Inside Slicer it installs what Slicer's Python lacks instead, and replaces
nothing: ``Slicer --python-script setup_deps.py``, with --wheels FOLDER from a folder, and with --torch-by-pip PyTorch
from PyPI where the PyTorch extension is missing. Fill a folder for Slicer with --python PythonSlicer.
"""

# Standard library only, in the syntax of Python 3.6, so that an old Python can say that it is too old.

import argparse
import hashlib
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Dict, List, Tuple

ROOT = Path(__file__).resolve().parent
LOCK = ROOT / "requirements.lock"
PYTHONS = ((3, 11), (3, 12))
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
GPU_INDEX = "https://download.pytorch.org/whl/cu130"
GIGABYTES = {"cpu": 4, "gpu": 12}

# What pip or the system says when something is wrong outside this program, and what to do about it.
TROUBLE = (
    (
        ("No space left on device", "Errno 28", "WinError 112", "Disk quota exceeded"),
        "The disk is full: free some space, or set TMPDIR to a folder that has some, and try again.",
    ),
    (
        ("ProxyError", "407 Proxy", "Tunnel connection failed", "Cannot connect to proxy"),
        "The proxy does not let pip through: set HTTPS_PROXY to http://user:password@host:port and try again.",
    ),
    (
        ("CERTIFICATE_VERIFY_FAILED", "SSLCertVerificationError", "SSLError"),
        "The server's certificate is not trusted: set PIP_CERT to your organisation's certificate file and try again.",
    ),
    (
        (
            "name resolution",
            "Name or service not known",
            "getaddrinfo failed",
            "nodename nor servname",
            "Network is unreachable",
            "No route to host",
            "NewConnectionError",
            "ConnectTimeoutError",
            "ReadTimeoutError",
            "Connection refused",
            "Connection reset",
        ),
        "The network cannot be reached: connect, set HTTPS_PROXY if there is a proxy in between, and try again, "
        "or name a folder of wheels with --wheels.",
    ),
)


class SetupError(Exception):
    """Something that the user can mend; the message says how, in one sentence."""


def main(arguments: List[str]) -> int:
    options, passed_on = read_arguments(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # clean up when killed as when interrupted
    try:
        if options.command == "download":
            return download(options)
        environment = Environment(ROOT / ".venv", options)
        environment.prepare()
        return run(environment.python, options.command, passed_on)
    except SetupError as error:
        print("setup_deps.py: {}".format(error), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("setup_deps.py: interrupted.", file=sys.stderr)
        return 130


def read_arguments(arguments: List[str]) -> Tuple[argparse.Namespace, List[str]]:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("command", choices=("demo", "test", "install", "download"))
    build = parser.add_mutually_exclusive_group()
    build.add_argument("--gpu", dest="build", action="store_const", const="gpu", help="PyTorch with CUDA")
    build.add_argument("--cpu", dest="build", action="store_const", const="cpu", help="PyTorch without CUDA (smaller)")
    parser.add_argument("--python", metavar="PYTHON", help="the Python to make it with (default: this one)")
    parser.add_argument("--index-url", metavar="URL", help="package index to use instead of PyPI")
    parser.add_argument("--torch-index-url", metavar="URL", help="where to look for PyTorch as well")
    parser.add_argument(
        "--wheels",
        metavar="FOLDER",
        help="install from this folder, without a network; with the command download: fill it",
    )
    return parser.parse_known_args(arguments)


def run(python: Path, command: str, passed_on: List[str]) -> int:
    if command == "install":
        print("Ready: {} -m MetaSegmentLib --help".format(python))
        return 0
    if command == "test":
        # Two side by side, a file by one of them; "-n 0" among the options does without.
        side_by_side = ["-n", "2", "--dist", "loadfile"]
        return subprocess.call([str(python), "-m", "pytest"] + side_by_side + passed_on, cwd=str(ROOT))
    return subprocess.call([str(python), "-m", "MetaSegmentLib", "demo"] + passed_on)


def own_python() -> str:
    """The Python that runs this; if that is one of an environment, which may be made anew, the one below it."""
    return getattr(sys, "_base_executable", None) or sys.executable


def download(options: argparse.Namespace) -> int:
    """Fill a folder with PyTorch and everything else that an installation takes."""
    if not options.wheels:
        raise SetupError("Name the folder to fill with --wheels FOLDER.")
    folder = Path(options.wheels).resolve()
    base = options.python or sys.executable
    version = python_version(base)
    build = options.build or "cpu"
    folder.mkdir(parents=True, exist_ok=True)
    require_space(folder, GIGABYTES[build])
    online = Environment(ROOT / ".venv", argparse.Namespace(**{**vars(options), "wheels": None}))
    sources = online.package_sources()
    pip = [base, "-m", "pip", "download", "--no-input", "--progress-bar", "off", "--retries", "2", "-d", str(folder)]
    # The build of PyTorch that lies in the folder wins over that of PyPI: its version is the higher one.
    call(pip + sources + online.torch_sources(build) + ["--no-deps", torch_requirement()])
    call(pip + sources + ["--find-links", str(folder), "-r", str(LOCK)])
    print("{} has everything for Python {} on {}.".format(folder, version, platform.system()))
    return 0


class Environment:
    """A virtual environment that is either complete or not there.

    A stamp, written last, says what it was made of. An environment that was made of something else is put aside while
    its successor is built, and comes back when that fails.
    """

    def __init__(self, folder: Path, options: argparse.Namespace) -> None:
        self.folder = folder
        self.options = options
        self.aside = folder.with_name(folder.name + ".old")
        self.stamp = folder / "metasegment.json"
        self.python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    def prepare(self) -> None:
        self.tidy()
        if self.is_ready():
            return
        if self.folder.exists() and not self.contents():
            raise SetupError("{} was not made by this program: move it away and try again.".format(self.folder))
        version = python_version(self.options.python or own_python())
        build = self.options.build or ("gpu" if shutil.which("nvidia-smi") else "cpu")
        require_space(self.folder.parent, GIGABYTES[build])
        try:
            if self.folder.exists():
                os.replace(str(self.folder), str(self.aside))
            self.build(version, build)
        except BaseException as error:
            self.tidy()
            if isinstance(error, OSError):
                raise SetupError(explained(str(error))) from error
            raise
        remove(self.aside)

    def tidy(self) -> None:
        """Remove what a failed or killed run left behind; never what somebody else made."""
        unfinished = self.folder.is_dir() and not self.contents()
        if unfinished and (self.stamp.exists() or not any(self.folder.iterdir())):
            remove(self.folder)
        if self.aside.exists():
            if self.folder.exists():
                remove(self.aside)
            else:
                os.replace(str(self.aside), str(self.folder))

    def is_ready(self) -> bool:
        made_of = self.contents()
        wanted = {"folder": str(self.folder), "requirements": fingerprint()}
        if self.options.build:
            wanted["build"] = self.options.build
        if self.options.python:
            wanted["python"] = python_version(self.options.python)
        return self.python.exists() and all(made_of.get(key) == value for key, value in wanted.items())

    def contents(self) -> Dict[str, str]:
        try:
            return dict(json.loads(self.stamp.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return {}

    def build(self, version: str, build: str) -> None:
        base = self.options.python or own_python()
        print("Making {} with Python {}; this takes some minutes, once.".format(self.folder.name, version), flush=True)
        self.folder.mkdir()
        self.stamp.touch()
        if subprocess.call([base, "-c", "import ensurepip, venv"], stderr=subprocess.DEVNULL) != 0:
            raise SetupError(
                "This Python cannot make virtual environments: install its venv module "
                "(on Debian and Ubuntu: apt install python{}-venv) and try again.".format(version)
            )
        call([base, "-m", "venv", str(self.folder)])
        sources = self.package_sources()
        # By itself and first: nothing else may choose between PyTorch's builds, which differ by gigabytes.
        self.pip(sources + self.torch_sources(build) + ["--no-deps", torch_requirement()])
        self.pip(sources + ["-r", str(LOCK)])
        self.pip(["--no-index", "--no-deps", "--no-build-isolation", "-e", str(ROOT)])
        contents = {"folder": str(self.folder), "requirements": fingerprint(), "python": version, "build": build}
        unfinished = self.stamp.with_suffix(".new")
        unfinished.write_text(json.dumps(contents), encoding="utf-8")
        os.replace(str(unfinished), str(self.stamp))

    def pip(self, arguments: List[str]) -> None:
        # Python compiles what it imports; compiling everything beforehand would take longer than the demo.
        command = [str(self.python), "-m", "pip", "install", "--no-compile", "--no-input", "--progress-bar", "off"]
        call(command + ["--retries", "2"] + arguments)

    def package_sources(self) -> List[str]:
        if self.options.wheels:
            folder = Path(self.options.wheels).resolve()
            if not folder.is_dir():
                raise SetupError("The folder of wheels {} does not exist.".format(self.options.wheels))
            return ["--no-index", "--find-links", str(folder)]
        return ["--index-url", self.options.index_url] if self.options.index_url else []

    def torch_sources(self, build: str) -> List[str]:
        if self.options.wheels:
            return []
        if self.options.torch_index_url:
            return ["--extra-index-url", self.options.torch_index_url]
        # PyPI itself has PyTorch with CUDA for Linux, and without it for Windows and macOS.
        if build == "cpu" and platform.system() == "Linux":
            if answers(CPU_INDEX + "/torch/"):
                return ["--extra-index-url", CPU_INDEX]
            print("The index of PyTorch's CPU builds cannot be reached; pip takes the build that it finds.", flush=True)
        if build == "gpu" and platform.system() == "Windows":
            return ["--extra-index-url", GPU_INDEX]
        return []


def python_version(python: str) -> str:
    """``3.11`` or ``3.12``, or an error that says that this Python will not do."""
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        version = subprocess.check_output([python, "-c", code], universal_newlines=True).strip()
    except (OSError, subprocess.CalledProcessError) as error:
        raise SetupError("{} cannot be run: name a Python 3.11 or 3.12 with --python.".format(python)) from error
    if tuple(int(part) for part in version.split(".")) not in PYTHONS:
        raise SetupError(
            "MetaSegment needs Python 3.11 or 3.12 and this is {}: run this program with one of those, or name one "
            "with --python.".format(version)
        )
    return version


def require_space(folder: Path, gigabytes: int) -> None:
    free = shutil.disk_usage(str(folder)).free / 1e9
    if free < gigabytes:
        raise SetupError(
            "{} GB of disk space are needed beside this program and {:.1f} GB are free: free some space and try "
            "again.".format(gigabytes, free)
        )


def fingerprint() -> str:
    return hashlib.sha256(LOCK.read_bytes()).hexdigest()


def torch_requirement() -> str:
    return next(line for line in LOCK.read_text(encoding="utf-8").split("\n") if line.startswith("torch=="))


def answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except urllib.error.URLError as error:
        # A certificate that Python distrusts may be one that pip was told to trust.
        return "CERTIFICATE" in str(error)
    except OSError:
        return False
    return True


def call(command: List[str]) -> None:
    """Run ``command``, show how it gets on, and raise SetupError with an explanation if it fails."""
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True
    )
    said = []
    assert process.stdout is not None
    try:
        for line in process.stdout:
            said.append(line)
            if line.startswith(("Collecting", "Downloading", "Installing", "ERROR", "Error")):
                print("  " + line.rstrip(), flush=True)
    except BaseException:
        process.terminate()
        raise
    finally:
        process.wait()
    if process.returncode != 0:
        raise SetupError(explained("".join(said)))


def explained(said: str) -> str:
    """One sentence for what went wrong, from what a failed command said."""
    for signs, advice in TROUBLE:
        if any(sign in said for sign in signs):
            return advice
    lines = [line.strip() for line in said.split("\n") if line.strip()]
    errors = [line for line in lines if "error" in line.lower()]
    return "The installation failed and was undone: {}".format((errors or lines or ["no reason was given"])[-1])


def remove(folder: Path) -> None:
    shutil.rmtree(str(folder), ignore_errors=True)


def in_slicer() -> bool:
    """Whether this Python is Slicer's own; the package slicer-core has a ``slicer`` without ``app``, too."""
    name = Path(sys.executable).stem.lower()
    return hasattr(sys.modules.get("slicer"), "app") or name in ("pythonslicer", "python-real")


def serve_slicer(arguments: List[str]) -> None:
    sys.path.insert(0, str(ROOT / "MetaSegment"))
    from MetaSegmentLib import dependencies

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wheels", metavar="FOLDER", help="install from this folder, without a network")
    parser.add_argument(
        "--torch-by-pip", action="store_true", help="PyTorch from PyPI where the PyTorch extension is missing"
    )
    options, _ = parser.parse_known_args(arguments)
    offline = {}  # type: Dict[str, str]
    pip = dependencies.slicers_pip()
    torch = dependencies.slicers_torch_installer()
    if options.wheels:
        # The PyTorch extension looks for PyTorch in the network.
        folder = Path(options.wheels).resolve()
        if not folder.is_dir():
            raise SetupError("The folder of wheels {} does not exist.".format(options.wheels))
        offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": folder.as_uri()}
        torch = dependencies.TorchByPip(pip)
    elif torch is None and options.torch_by_pip:
        torch = dependencies.TorchByPip(pip)
    before = dict(os.environ)
    os.environ.update(offline)
    try:
        print(dependencies.ensure(pip, torch, log=print))
    finally:
        for name in offline:
            if name in before:
                os.environ[name] = before[name]
            else:
                del os.environ[name]


if __name__ == "__main__":
    if in_slicer():
        serve_slicer(sys.argv[1:])  # errors go to Slicer, which shows them and does not have to quit
    else:
        sys.exit(main(sys.argv[1:]))

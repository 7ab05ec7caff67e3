"""The command in surroundings that it did not choose: streams, folders, names, packages."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.kill import kill_often, make_inputs
from cli.workplace import Workplace

NOT_UTF8 = os.fsdecode(b"r\xf6ntgen")
UNIX = pytest.mark.skipif(os.name == "nt", reason="a shell of Unix")


@pytest.fixture
def shell(workplace: Workplace, repository: Path):
    """Run the words of ``workplace`` in bash: ``shell("| true")``; "RUN" may stand anywhere in the line."""

    def run(line: str, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "MetaSegmentLib", *(words or workplace.words())]
        quoted = " ".join("'" + word.replace("'", "'\\''") + "'" for word in command)
        return subprocess.run(
            ["bash", "-c", line.replace("RUN", quoted)],
            cwd=workplace.folder,
            env={**os.environ, "PYTHONPATH": str(repository / "MetaSegment"), **environment},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=120,
        )

    return run


@UNIX
@pytest.mark.parametrize(
    "line",
    [
        "RUN | true; exit ${PIPESTATUS[0]}",
        "RUN > /dev/full",
        "RUN >&-",
        "RUN 2>&-",
        "RUN <&- >&- 2>&-",
        "RUN 2>/dev/full",
    ],
)
def test_what_is_written_is_done_whoever_listens(workplace: Workplace, shell, line: str) -> None:
    done = shell(line)
    assert done.returncode == 0, done.stderr
    assert workplace.path("out.seg.nrrd").exists()
    assert "unexpected" not in done.stderr and "Exception ignored" not in done.stderr


@UNIX
@pytest.mark.parametrize("line", ["RUN 2>&-", "RUN 2>/dev/full", "RUN >&- 2>&-"])
def test_a_failure_is_a_failure_though_nobody_hears_of_it(workplace: Workplace, shell, line: str) -> None:
    done = shell(line, *workplace.words(image="none.nrrd"))
    assert (done.returncode, done.stdout) == (1, "")


@UNIX
@pytest.mark.parametrize(("line", "status"), [("RUN | head -n1; exit ${PIPESTATUS[0]}", 0), ("RUN > /dev/full", 1)])
def test_a_list_that_could_not_be_printed_is_a_failure_unless_enough_was_read(shell, line: str, status: int) -> None:
    done = shell(line, "methods", "--all")
    assert done.returncode == status
    assert ("could not be printed" in done.stderr) == bool(status)
    assert "Exception ignored" not in done.stderr


@UNIX
def test_names_and_folders_that_are_not_utf8(workplace: Workplace, shell) -> None:
    folder = workplace.path(NOT_UTF8)
    folder.mkdir()
    for name in ("image.nrrd", "painted.seg.nrrd"):
        workplace.path(name).rename(folder / (NOT_UTF8 + name))
    words = ["segment", "--method", "shape", "--image", f"{NOT_UTF8}image.nrrd"]
    words += [
        "--support",
        f"{NOT_UTF8}painted.seg.nrrd",
        "--output",
        f"{NOT_UTF8}.NII.GZ",
        "--report",
        f"{NOT_UTF8}.json",
    ]
    done = shell(f"cd {NOT_UTF8} && RUN", *words)
    assert done.returncode == 0, done.stderr
    assert {file.name for file in folder.iterdir()} >= {f"{NOT_UTF8}.NII.GZ", f"{NOT_UTF8}.json"}


@UNIX
@pytest.mark.parametrize(
    "environment",
    [
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "ascii"},
        {"HOME": "/nonexistent"},
        {"TMPDIR": "/nonexistent"},
    ],
    ids=["C locale", "ASCII", "no home", "no folder for temporary files"],
)
def test_environments_that_are_poor_are_enough(workplace: Workplace, shell, environment: dict[str, str]) -> None:
    done = shell("RUN", **environment)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("role", ["image", "support", "support_image"])
@pytest.mark.parametrize("kind", ["pipe", "socket", "device"])
def test_what_is_no_file_is_called_that(workplace: Workplace, refused, role: str, kind: str) -> None:
    path = workplace.path("odd.nrrd")
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to(os.devnull)
    else:
        socket.socket(socket.AF_UNIX).bind(os.path.relpath(path))
    listing, workplace.listing = workplace.listing, dict  # a device would be read without end
    try:
        said = refused(**{role: "odd.nrrd"})
    finally:
        workplace.listing = listing
    assert "pipe or a device" in said and role.replace("_", " ") in said


def test_an_input_that_may_not_be_read_is_not_called_damaged(workplace: Workplace, refused, monkeypatch) -> None:
    opened = Path.open

    def denied(path: Path, *words: object, **named: object) -> object:
        if path.name == "image.nrrd" and os.access(path, os.R_OK):  # root may read anything
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *words, **named)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", denied)
        patched.setattr(workplace, "listing", dict)
        assert "may not be read" in refused()


def test_a_segmentation_where_a_folder_is_given(workplace: Workplace, refused) -> None:
    workplace.path("folder.seg.nrrd").mkdir()
    assert "is a folder" in refused(support="folder.seg.nrrd")


@UNIX
@pytest.mark.parametrize(
    ("package", "text", "words"),
    [
        (
            "torch",
            "raise ModuleNotFoundError('No module named torch', name='torch')",
            ["is missing", "pip install torch"],
        ),
        ("torch", "raise OSError('libtorch.so: cannot open shared object file')", ["libtorch.so", "force-reinstall"]),
        ("torch", "import math\nmath.nothing", ["cannot be loaded", "torch"]),
        ("torch", "raise ImportError('libtorch.so: failed to map segment from shared object')", ["too little memory"]),
        ("monai", "raise ImportError('DLL load failed')", ["monai", "DLL load failed"]),
        ("safetensors", "raise RuntimeError('built for another Python')", ["safetensors", "another Python"]),
        ("scipy", "raise ImportError('libopenblas.so.0: no such file')", ["scipy", "libopenblas"]),
        ("SimpleITK", "raise ImportError('_SimpleITK: undefined symbol')", ["SimpleITK", "undefined symbol"]),
    ],
)
def test_a_package_that_cannot_be_loaded_is_named_with_its_reason(
    workplace: Workplace, shell, repository: Path, package: str, text: str, words: list[str]
) -> None:
    broken = workplace.path("broken") / package
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text(text, encoding="utf-8")
    path = os.pathsep.join(map(str, (broken.parent, repository / "MetaSegment")))
    done = shell("RUN", *workplace.words(method="protonet"), PYTHONPATH=path)
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1, done.stderr
    assert all(word in done.stderr for word in words) and "unexpected" not in done.stderr
    assert not workplace.path("out.seg.nrrd").exists()


@UNIX
def test_a_file_of_the_user_s_with_the_name_of_a_package(workplace: Workplace, shell, repository: Path) -> None:
    workplace.path("torch.py").write_text("tensor = 1\n", encoding="utf-8")
    assert shell("RUN", *workplace.words(method="protonet")).returncode == 0
    path = os.pathsep.join(map(str, (workplace.folder, repository / "MetaSegment")))
    done = shell("RUN", *workplace.words(method="protonet"), PYTHONPATH=path)
    assert done.returncode == 1 and "torch.py hides the package torch" in done.stderr


@pytest.mark.parametrize("name", ["o.dcm", "out", "o.nrrd.zip"])
def test_an_output_of_another_ending_is_one_sentence(refused, name: str) -> None:
    assert ".seg.nrrd" in refused(output=name)


def test_a_name_that_is_too_long(refused) -> None:
    assert "too long" in refused(output="y" * 253 + ".mha")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kill -9 is of Unix")
def test_a_run_that_is_killed_at_any_moment_leaves_the_older_files_or_the_new_ones(tmp_path: Path) -> None:
    make_inputs(tmp_path / "inputs")
    outcome = kill_often("segment", 5, tmp_path)
    assert outcome.kills == 5 and outcome.in_time and not outcome.faults


@UNIX
def test_standard_output_is_no_place_for_a_report_even_where_it_is_a_file(workplace: Workplace, shell) -> None:
    stream = workplace.path("stdout")
    stream.symlink_to("/proc/self/fd/1")  # as /dev/stdout is
    done = shell(f"RUN > {workplace.path('caught.json')}", *workplace.words(report="stdout"))
    assert done.returncode == 1 and "a pipe or a device" in done.stderr
    assert stream.is_symlink() and not workplace.path("out.nrrd").exists()

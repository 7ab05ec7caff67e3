"""``methods``, ``info``, help, and what all commands share."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from cli.workplace import Workplace
from MetaSegmentLib import __version__
from MetaSegmentLib.cli import main
from MetaSegmentLib.networks import weights
from MetaSegmentLib.networks.plan import Plan
from MetaSegmentLib.predictors.registry import METHODS
from MetaSegmentLib.settings import DEFAULT_METHOD

COMMANDS = ["segment", "methods", "info", "demo", "evaluate", "train"]
HEAVY = ["torch", "monai", "sklearn", "SimpleITK", "slicer", "vtk", "qt", "matplotlib", "scipy"]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main([command, "--help"])
    assert left.value.code == 0
    said = capsys.readouterr().out
    assert f"metasegment {command}" in said
    assert "--verbose" in said


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--help"])
    assert left.value.code == 0
    assert set(COMMANDS) <= set(re.findall(r"^ +(\w+) ", capsys.readouterr().out, re.MULTILINE))


@pytest.mark.parametrize(
    "words", [[], ["magic"], ["segment"], ["segment", "--axis", "3"], ["methods", "--quiet", "--verbose"]]
)
def test_wrong_usage(words: list[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(words)
    assert left.value.code == 2


@pytest.mark.parametrize("words", [["--help"], ["segment", "--help"], ["methods"]])
def test_help_and_methods_load_nothing_heavy(words: list[str], repository: Path) -> None:
    code = f"""
import sys
from MetaSegmentLib.cli import main
try:
    main({words!r})
except SystemExit:
    pass
sys.exit(", ".join(name for name in {HEAVY!r} if name in sys.modules) or 0)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=repository / "MetaSegment", capture_output=True, encoding="utf-8", check=False
    )
    assert (done.returncode, done.stderr.strip()) == (0, "")


def test_the_module_is_the_command(repository: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "MetaSegmentLib", "--version"],
        cwd=repository / "MetaSegment",
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == f"MetaSegment {__version__}"


def test_methods_are_listed_with_the_default_marked(capsys: pytest.CaptureFixture[str]) -> None:
    for words, listed in (([], [n for n, one in METHODS.items() if not one.baseline]), (["--all"], list(METHODS))):
        assert main(["methods", *words]) == 0
        said = capsys.readouterr().out
        for name, method in METHODS.items():
            assert bool(re.search(rf"^{name}( \(default\))?$", said, re.MULTILINE)) == (name in listed)
            assert (method.summary in said) == (name in listed)
        assert f"{DEFAULT_METHOD} (default)" in said


def test_users_are_offered_six_methods_at_most_and_the_default_is_one() -> None:
    offered = [name for name, method in METHODS.items() if not method.baseline]
    assert DEFAULT_METHOD in offered and len(offered) <= 6


def test_info_names_versions_devices_and_verifies_the_weights(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import torch

    weights.store("tiny", {"a": torch.zeros(2)}, Plan("tiny"), tmp_path)
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    for function in (weights.names, weights.load, weights.checksum):
        monkeypatch.setattr(function, "__defaults__", (tmp_path,))
    assert main(["info"]) == 0
    said = capsys.readouterr().out
    assert f"MetaSegment {__version__}" in said
    assert f"torch {torch.__version__.split('+')[0]}" in said
    assert "cpu" in said
    assert f"tiny: as shipped, SHA-256 {weights.checksum('tiny', tmp_path)}" in said

    content = bytearray((tmp_path / "tiny.safetensors").read_bytes())
    content[-1] ^= 1
    (tmp_path / "tiny.safetensors").write_bytes(content)
    assert main(["info"]) == 1
    assert "damaged" in capsys.readouterr().out


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_sees_stage_share_and_time_left(workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert workplace.segment() == 0
    assert re.search(r"combining +\d+% \|.*s left", terminal.getvalue())


@pytest.mark.parametrize("options", [{"quiet": True}, {}])
def test_stderr_stays_empty_when_nobody_watches_or_quiet_is_asked_for(
    workplace: Workplace, capsys: pytest.CaptureFixture[str], options: dict[str, bool]
) -> None:
    assert workplace.segment(**options) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert bool(said.out) != bool(options)


def test_a_terminal_that_knows_ascii_only_is_enough(repository: Path) -> None:
    """Help and tables hold characters beyond ASCII."""
    code = "from MetaSegmentLib.cli import main; main(['segment', '--help'])"
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=repository / "MetaSegment",
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0 and "?" in run.stdout and not run.stderr

"""Names of segments on the command line, in the terminal, in the report and in the result: no letter is lost."""

from __future__ import annotations

import json

import pytest

from cli.workplace import GRID, Workplace, a_ball, painted_on
from MetaSegmentLib.files.segmentations import plain_segment, read_painted, write_segmentation
from MetaSegmentLib.terminal import one_line

NAMES = ("größer Ä 大動脈", "left, upper", 'the "right"\none', "\x1b[31mred\r", " blank ", "e\u0301 👩\u200d⚕️\u2028")


@pytest.fixture
def named(workplace: Workplace) -> Workplace:
    """Balls beside each other, each with a name that makes trouble."""
    labels = sum(
        painted_on(a_ball((11.5, 9 + 20 * (n % 2), 6 + 11 * (n // 2)), (9, 6, 4)), value=n + 1)
        for n in range(len(NAMES))
    )
    segments = [plain_segment(value, name) for value, name in enumerate(NAMES, start=1)]
    write_segmentation(workplace.path("painted.seg.nrrd"), [labels], segments, GRID)
    return workplace


def as_written(name: str) -> str:
    return name.replace("\r", " ")


def test_names_come_out_as_they_went_in(named: Workplace, capsys: pytest.CaptureFixture[str]) -> None:
    assert named.segment(report="r.json") == 0
    written = [one.name for one in read_painted(named.path("out.seg.nrrd"), GRID).segments]
    assert written == [as_written(name) for name in NAMES]
    report = json.loads(named.path("r.json").read_text(encoding="utf-8"))
    assert [one["name"] for one in report["segments"].values()] == written
    lines = capsys.readouterr().out.split("\n")
    printed = [line for line in lines if " ml, " in line]
    assert len(printed) == len(NAMES), "a name must not break the line"
    for line, name in zip(printed, written, strict=True):
        assert line.startswith(f"{one_line(name)}: ")
    assert "\x1b" not in "".join(lines)


@pytest.mark.parametrize(
    ("words", "chosen"),
    [
        (["left, upper"], [2]),
        (["größer Ä 大動脈"], [1]),
        (['the "right"\none'], [3]),
        (["blank", "left, upper"], [2, 5]),
        (['"left, upper",größer Ä 大動脈'], [1, 2]),
        (["2,5"], [2, 5]),
        (["5", "1"], [1, 5]),
    ],
)
def test_segments_are_chosen_by_any_name(named: Workplace, words: list[str], chosen: list[int]) -> None:
    from MetaSegmentLib.cli import main

    arguments = named.words(report="r.json")
    for word in words:
        arguments += ["--segments", word]
    assert main(arguments) == 0
    report = json.loads(named.path("r.json").read_text(encoding="utf-8"))
    assert [int(value) for value in report["segments"]] == chosen


def test_a_refusal_that_names_segments_is_one_line(named: Workplace, capsys: pytest.CaptureFixture[str]) -> None:
    assert named.segment(segments="none\nsuch") == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert r"no segment 'none\nsuch'" in error
    assert r"the \"right\"" not in error
    assert "größer Ä 大動脈 (1)" in error


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb", r"a\nb"),
        ("\r\t\x00\x85", r"\r\t\x00\x85"),
        ("\u2028", r"\u2028"),
        ("größer 大 👩\u200d⚕️ \\n", "größer 大 👩\u200d⚕️ \\n"),
    ],
)
def test_text_stays_on_its_line(text: str, shown: str) -> None:
    assert one_line(text) == shown

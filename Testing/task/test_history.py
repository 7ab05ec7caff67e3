"""The log of runs in a segment's record."""

from __future__ import annotations

import pytest

from MetaSegmentLib.task.history import RunNote, note_of_run, notes_from_text, notes_to_text, with_note
from MetaSegmentLib.task.record import SliceRecord

NOTES = (
    RunNote("shape", "0.1.0", "20261126T1812Z", 3, 0.9125),
    RunNote("fusion", "0.1.0+local", "20261127T0900Z", 4, None),
)


def test_notes_come_back_from_their_text_and_are_safe_in_a_segmentation_file() -> None:
    text = notes_to_text(NOTES)
    assert notes_from_text(text) == NOTES
    assert not set(text) & set("|:~^;=\n")
    assert NOTES[0].day == "2026-11-26"


def test_a_record_carries_them_and_one_without_stays_as_it_was() -> None:
    record = SliceRecord(0, (4, 5, 6), {1: "ab"}, {2: "cd"}, NOTES)
    assert SliceRecord.from_text(record.to_text()) == record
    before = "axis=0;shape=4,5,6;painted=1.ab;filled=2.cd"
    assert SliceRecord(0, (4, 5, 6), {1: "ab"}, {2: "cd"}).to_text() == before
    assert SliceRecord.from_text(before) == SliceRecord(0, (4, 5, 6), {1: "ab"}, {2: "cd"})


@pytest.mark.parametrize("text", ["", "later", "a/b/c/d/e", "a/b/c/1/x", "a b/1/2/3/", "a/b/c/1"])
def test_notes_that_cannot_be_read_do_not_harm_the_record(text: str) -> None:
    assert notes_from_text(text) == ()
    record = SliceRecord.from_text(f"axis=0;shape=4,5,6;painted=1.ab;filled=2.cd;runs={text}")
    assert record is not None and record.filled == {2: "cd"}
    assert notes_from_text(f"{text},{notes_to_text(NOTES)}") == NOTES


def test_the_log_is_short_and_a_result_takes_the_place_of_its_preview() -> None:
    assert with_note(NOTES, NOTES[0], replaces=True) == (NOTES[0], NOTES[0])
    assert with_note((), NOTES[0], replaces=True) == NOTES[:1]
    assert with_note(NOTES * 20, NOTES[0])[-1] == NOTES[0] and len(with_note(NOTES * 20, NOTES[0])) == 20


def test_a_note_says_what_a_report_says() -> None:
    report = {"method": "shape", "segments": {"2": {"estimated_dice": 0.5, "name": "Doe^Jane"}}}
    note = note_of_run(report, 2, 3)
    assert (note.method, note.slices, note.estimated_dice) == ("shape", 3, 0.5)
    assert "Jane" not in notes_to_text([note]), "names may hold those of patients"

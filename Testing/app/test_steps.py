"""Names of steps, by the states before and after them."""

from __future__ import annotations

from MetaSegmentLib.app.steps import StepNames


def test_undo_and_redo_know_the_names_of_steps() -> None:
    names = StepNames()
    names.follow("painted", False)
    names.note("painted", "filled", "MetaSegment, 2 segments")
    names.note("filled", "accepted", "accept slice 3")
    assert (names.undo, names.redo) == ("accept slice 3", "")
    names.follow("filled", True)
    assert (names.undo, names.redo) == ("MetaSegment, 2 segments", "accept slice 3")
    names.follow("painted", True)
    assert (names.undo, names.redo) == ("", "MetaSegment, 2 segments")
    names.follow("filled", True)
    names.follow("accepted", False)
    assert (names.undo, names.redo) == ("accept slice 3", "")


def test_a_stroke_has_no_name_and_takes_the_redo_of_another_step_away() -> None:
    names = StepNames()
    names.follow("painted", False)
    names.note("painted", "filled", "MetaSegment, 1 segment")
    names.follow("stroke on it", False)
    assert names.undo == ""
    names.follow("filled", True)
    assert (names.undo, names.redo) == ("MetaSegment, 1 segment", "")
    names.follow("painted", True)
    names.follow("another stroke", False)
    names.follow("painted", True)
    assert names.redo == "", "what comes back is the stroke"


def test_what_changed_nothing_is_no_step_and_old_names_are_forgotten() -> None:
    names = StepNames()
    names.note("same", "same", "nothing")
    assert names.undo == ""
    for state in range(100):
        names.note(state, state + 1, str(state))
    names.follow(10, True)
    assert names.undo == ""
    names.follow(100, False)
    assert names.undo == "99"
    names.forget()
    names.follow(100, False)
    assert names.undo == ""

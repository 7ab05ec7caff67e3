import pytest

from MetaSegmentLib.errors import InputError
from MetaSegmentLib.files.named_slices import read_group, read_named_slices, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("3,9", (3, 9)),
        (" 3 , 9 ", (3, 9)),
        ("3,9,", (3, 9)),
        ("3 9", (3, 9)),
        ("2:4,8 3:5", {2: (4, 8), 3: (5,)}),
        ("2: 4, 8 3 :5", {2: (4, 8), 3: (5,)}),
        ("2:4 2:8", {2: (4, 8)}),
    ],
)
def test_for_all_segments_or_for_each(text: str, expected: object) -> None:
    assert read_named_slices(text) == expected
    assert read_named_slices(" ".join(words(text))) == expected


@pytest.mark.parametrize("text", ["a", "2:", ":3", "3,9 2:4", "-1", "3,,9", "1:2:3", "²"])
def test_neither(text: str) -> None:
    with pytest.raises(InputError):
        read_named_slices(text)


def test_one_word_may_have_blanks_beside_its_signs() -> None:
    assert read_group(" 2: 3, 9 ") == (2, (3, 9))
    for text in ("3 9", "1 2,5"):
        with pytest.raises(InputError):
            read_group(text)

"""Manifests as people and spreadsheets write them."""

from __future__ import annotations

import codecs
import csv
import io
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cohort.scans import a_manifest, a_scan, assert_plain, found, sentence, some_paint
from MetaSegmentLib.cohort.cases import Common
from MetaSegmentLib.cohort.manifest import COLUMNS, rows_of
from MetaSegmentLib.cohort.names import alike, safe_id
from MetaSegmentLib.errors import InputError

HEADER = "id,image,support"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three scans with paint, each with a name of its own."""
    for name in ("one", "two", "three"):
        a_scan(tmp_path / "scans" / f"{name}.nrrd")
        some_paint(tmp_path / "paint" / f"{name}.nrrd")
    return tmp_path


def line(name: str, *more: str, separator: str = ",") -> str:
    return separator.join((name, f"scans/{name}.nrrd", f"paint/{name}.nrrd", *more))


def test_paths_are_those_from_the_folder_of_the_manifest(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a_manifest(folder, [HEADER, line("one"), line("two")])
    monkeypatch.chdir(folder)
    cases, problems = found(Path("cases.csv"), Path("results"))
    assert not problems
    assert [case.id for case in cases] == ["one", "two"]
    assert cases[0].image == folder / "scans" / "one.nrrd"
    assert cases[0].support == (folder / "paint" / "one.nrrd",)
    assert cases[0].support_images == () and cases[0].own is None and cases[0].output is None
    assert all(case.image.is_absolute() for case in cases)


@pytest.mark.parametrize("separator", [",", ";", "\t"], ids=["comma", "semicolon", "tab"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["unix", "windows", "old mac"])
def test_separators_and_line_ends(folder: Path, separator: str, end: str) -> None:
    lines = [separator.join(("id", "image", "support", "slices")), line("one", '"1,2"', separator=separator)]
    cases, problems = found(a_manifest(folder, lines, end=end))
    assert not problems
    assert cases[0].slices == "1,2"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1", "cp1252"])
def test_encodings_of_spreadsheets(folder: Path, encoding: str) -> None:
    a_scan(folder / "Kopf für später.nrrd")
    text = f'{HEADER}\r\nmüller,"Kopf für später.nrrd",paint/one.nrrd\r\n'
    content = text.encode(encoding)
    assert content.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE)) == (encoding in ("utf-8-sig", "utf-16"))
    (folder / "cases.csv").write_bytes(content)
    cases, problems = found(folder / "cases.csv")
    assert not problems
    assert cases[0].id == "müller" and cases[0].image.name == "Kopf für später.nrrd"


def test_what_spreadsheets_add(folder: Path) -> None:
    """A line that names the separator, quotes round everything, empty lines and empty columns at the end."""
    lines = ["sep=;", '"ID";"Image";"Support";;', "", '"one";"scans/one.nrrd";"paint/one.nrrd";;', ";;;;", "  "]
    cases, problems = found(a_manifest(folder, lines, end="\r\n"))
    assert not problems
    assert [case.id for case in cases] == ["one"]


def test_signs_that_windows_adds_to_latin_1(folder: Path) -> None:
    (folder / "cases.csv").write_bytes(
        f"{HEADER}\r\n{line('one')}\r\n".replace("one,", "1–2 für 3 €,", 1).encode("cp1252")
    )
    (row,) = rows_of(folder / "cases.csv", needs_support=True)
    assert row.id == "1–2 für 3 €"
    (folder / "cases.csv").write_bytes(f"{HEADER}\n".encode() + b"a\xfcb\x81,scans/one.nrrd,paint/one.nrrd\n")
    assert [case.id for case in found(folder / "cases.csv").cases] == ["aüb_"]


def test_quoted_cells_may_hold_separators_quotes_and_line_ends(folder: Path) -> None:
    a_scan(folder / 'a, "b".nrrd')
    lines = [HEADER + ",method", '"o\nne","a, ""b"".nrrd", "paint/one.nrrd",shape']
    cases, problems = found(a_manifest(folder, lines))
    assert not problems
    assert cases[0].id == "o_ne" and cases[0].image.name == 'a, "b".nrrd' and cases[0].method == "shape"


@pytest.mark.skipif(os.sep != "/", reason="there such paths are the usual ones")
def test_paths_that_were_written_on_windows(folder: Path) -> None:
    cases, problems = found(a_manifest(folder, [HEADER, "one,scans\\one.nrrd,.\\paint\\one.nrrd"]))
    assert not problems
    assert cases[0].image.samefile(folder / "scans" / "one.nrrd")


@pytest.mark.parametrize(
    ("header", "named"),
    [
        ("id,image", ["support", "--support"]),
        ("id,support", ["image"]),
        ("image,support,method", ["id"]),
        ("id,imgae,support", ["image", "unknown", "imgae"]),
        ("id,image,support,age,Scanner name", ["unknown", "age", "Scanner name"]),
        ("id,image,support,Support", ["twice", "support"]),
    ],
)
def test_wrong_columns(folder: Path, header: str, named: list[str]) -> None:
    with pytest.raises(InputError) as error:
        found(a_manifest(folder, [header, line("one")]))
    assert_plain([str(error.value)])
    assert all(word in str(error.value) for word in named)


def test_a_manifest_without_names_of_columns_shows_no_patient(folder: Path) -> None:
    with pytest.raises(InputError, match="lacks columns: id, image, support") as error:
        found(a_manifest(folder, ["Private^Somebody,scans/one.nrrd,paint/one.nrrd", line("one")]))
    assert "Somebody" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "empty"),
        (b"\n\n", "empty"),
        (b"id,image,support\n", "no cases"),
        (b"PK\x03\x04 and more", "workbook"),
        (b'id,image,support\n"one,two\n', "quote"),
        (codecs.BOM_UTF16_LE + b"i\0d\0,", "damaged"),
    ],
    ids=["nothing", "empty lines", "header alone", "workbook", "open quote", "half a letter"],
)
def test_what_is_no_table(folder: Path, content: bytes, why: str) -> None:
    (folder / "cases.csv").write_bytes(content)
    with pytest.raises(InputError, match=why) as error:
        found(folder / "cases.csv")
    assert_plain([str(error.value)])


def test_a_manifest_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="manifest does not exist"):
        found(tmp_path / "cases.csv")


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ("bad,scans/none.nrrd,paint/one.nrrd", "image does not exist"),
        ("bad,scans/one.nrrd,paint/none.nrrd", "support does not exist"),
        ("bad,scans/one.nrrd,paint/one.nrrd,scans/none.nrrd", "support image does not exist"),
        ("bad,scans/one.nrrd,", "no painted slices"),
        ("bad,,paint/one.nrrd", "image is missing"),
        ("bad,scans/one.nrrd", "no painted slices"),
        ("bad,scans/one.nrrd,,scans/two.nrrd", "as many support images"),
        ("bad,scans/one.nrrd,paint/two.nrrd|paint/three.nrrd,scans/two.nrrd", "as many support images"),
        ("bad,scans/one.nrrd,paint/two.nrrd|,scans/two.nrrd|scans/three.nrrd", "as many support images"),
        ("bad,scans/one.nrrd,paint/one.nrrd|paint/two.nrrd,|", "Several supports were painted on the image"),
        ("bad,scans/one.nrrd,paint", "support is a folder"),
        ("bad,scans/one.nrrd,paint/one.nrrd,,,magic", "no such method"),
        ("bad,scans/one.nrrd,paint/one.nrrd,,,,three", "slices are not understood"),
        ("bad,scans/one.nrrd,paint/one.nrrd,,,,1:2 3", "not both"),
        ("bad,scans/one.nrrd,paint/one.nrrd,,,,3,9", "more cells"),
        ("bad,scans/one.nrrd,paint/one.nrrd,,b.txt", "format"),
    ],
)
def test_a_wrong_line_stops_no_other(folder: Path, wrong: str, why: str) -> None:
    header = ",".join(("id", "image", "support", "support_image", "output", "method", "slices"))
    cases = found(a_manifest(folder, [header, line("one"), wrong, line("two")]))
    assert [case.id for case in cases.cases] == ["one", "two"]
    assert why in sentence(cases, "bad")
    assert_plain([sentence(cases, "bad")], "scans/", "paint/")


def test_a_case_without_id_is_named_by_its_line(folder: Path) -> None:
    cases = found(a_manifest(folder, [HEADER, line("one"), ",scans/two.nrrd,paint/two.nrrd"]))
    assert [one.id for one in cases.problems] == ["line 3"]
    assert "id is empty" in sentence(cases)


@pytest.mark.parametrize(
    ("first", "second"),
    [("scan", "scan"), ("scan", "SCAN"), ("a/b", "a_b"), ("straße", "STRASSE"), ("u\u0308", "\u00fc")],
    ids=["same", "case", "safe", "long s", "composed"],
)
def test_cases_of_the_same_name_are_not_done_but_the_others_are(folder: Path, first: str, second: str) -> None:
    rest = "scans/one.nrrd,paint/one.nrrd"
    cases = found(a_manifest(folder, [HEADER, f"{first},{rest}", line("two"), f"{second},{rest}"]))
    assert [case.id for case in cases.cases] == ["two"]
    assert "lines 2 and 4" in sentence(cases)


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("Scan-01_a.b", "Scan-01_a.b"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("C:\\x", "C__x"),
        ("con", "_con"),
        ("NUL.2", "_NUL.2"),
        ("lpt1", "_lpt1"),
        ("console", "console"),
        ("-rf", "_-rf"),
        (".hidden.", "hidden"),
        ("...", "_"),
        ("a\tb\0c", "a_b_c"),
        (" scan 7 (left) ", "scan 7 (left)"),
        ("病人", "病人"),
    ],
)
def test_ids_become_names_of_files(text: str, safe: str) -> None:
    assert safe_id(text) == safe


@given(st.text(min_size=1, max_size=300))
def test_a_safe_id_is_one_name_and_stays_as_it_is(text: str) -> None:
    safe = safe_id(text)
    assert safe and not set(safe) & set('/\\:*?"<>|\0\n') and safe not in (".", "..") and safe == safe.strip()
    assert len(safe.encode()) <= 150
    assert safe_id(safe) == safe


@pytest.mark.parametrize(
    "output",
    [
        "../b.nrrd",
        "x/../../b.nrrd",
        "..\\b.nrrd",
        "/b.nrrd",
        "C:\\b.nrrd",
        "c:b.nrrd",
        "\\\\server\\b.nrrd",
        "link/b.nrrd",
    ],
)
def test_an_output_outside_its_folder(folder: Path, output: str) -> None:
    results = folder / "results"
    results.mkdir()
    (results / "link").symlink_to(folder / "scans", target_is_directory=True)
    header = f"{HEADER},output"
    cases = found(a_manifest(folder, [header, line("one", output), line("two", "")]), results)
    assert [case.id for case in cases.cases] == ["two"]
    assert "outside" in sentence(cases, "one")


def test_a_result_that_is_a_link_to_outside(folder: Path) -> None:
    results = folder / "results"
    results.mkdir()
    (results / "one.seg.nrrd").symlink_to(folder / "elsewhere.seg.nrrd")
    assert "outside" in sentence(found(a_manifest(folder, [HEADER, line("one"), line("two")]), results), "one")


@pytest.mark.parametrize("output", ["con.nrrd", "a/AUX/b.nrrd", "a?.nrrd", "a./b.nrrd", "a\x01.nrrd"])
def test_an_output_that_windows_cannot_have(folder: Path, output: str) -> None:
    cases = found(a_manifest(folder, [f"{HEADER},output", line("one", output)]))
    assert "not every system" in sentence(cases)


@pytest.mark.parametrize(
    ("output", "inside"),
    [
        ("b.nii.gz", "b.nii.gz"),
        ("site/b.mha", "site/b.mha"),
        ("site\\b.mha", "site/b.mha"),
        ("x/../b.nrrd", "b.nrrd"),
        ("b", "b.seg.nrrd"),
        ("b.seg.dcm", "b.seg.dcm"),
        ("b.rtstruct.dcm", "b.rtstruct.dcm"),
    ],
)
def test_an_output_inside_its_folder(folder: Path, output: str, inside: str) -> None:
    cases, problems = found(a_manifest(folder, [f"{HEADER},output", line("one", output)]))
    assert not problems
    assert cases[0].output == folder / "results" / inside
    assert cases[0].result(folder / "results", ".seg.nrrd") == cases[0].output


def test_an_output_folder_that_is_a_link(folder: Path) -> None:
    (folder / "real").mkdir()
    results = folder / "results"
    results.symlink_to(folder / "real", target_is_directory=True)
    cases, problems = found(a_manifest(folder, [f"{HEADER},output", line("one", str(results / "b.nrrd"))]), results)
    assert not problems
    assert cases[0].output == results / "b.nrrd"


@pytest.mark.parametrize("second", ["b.nrrd", "B.NRRD", "./x/../b.nrrd", "one.seg.nrrd"])
def test_two_cases_with_one_output(folder: Path, second: str) -> None:
    first = "" if second.startswith("one") else "b.nrrd"
    lines = [f"{HEADER},output", line("one", first), line("two", second), line("three", "")]
    cases = found(a_manifest(folder, lines))
    assert [case.id for case in cases.cases] == ["three"]
    assert "same output" in sentence(cases, "one") and "same output" in sentence(cases, "two")


def test_an_output_that_is_an_input_of_another_case(folder: Path) -> None:
    lines = [f"{HEADER},output", line("one", "two.nrrd"), line("two", "b.nrrd")]
    cases = found(a_manifest(folder, lines), folder / "scans")
    assert [case.id for case in cases.cases] == ["two"]
    assert "overwrite an input" in sentence(cases, "one")


def test_paint_of_other_patients_and_of_the_image_itself(folder: Path) -> None:
    lines = [
        f"{HEADER},support_image",
        "one,scans/one.nrrd,paint/two.nrrd,scans/two.nrrd",
        "two,scans/two.nrrd,paint/one.nrrd | paint/two.nrrd | paint/three.nrrd,scans/one.nrrd||scans/three.nrrd",
        "three,scans/three.nrrd,paint/three.nrrd,scans/../scans/three.nrrd",
    ]
    (one, two, three), problems = found(a_manifest(folder, lines))
    assert not problems
    paint, scans = folder / "paint", folder / "scans"
    assert (one.support, one.support_images, one.own) == ((paint / "two.nrrd",), (scans / "two.nrrd",), None)
    assert two.support == (paint / "one.nrrd", paint / "three.nrrd")
    assert two.support_images == (scans / "one.nrrd", scans / "three.nrrd")
    assert two.own == paint / "two.nrrd"
    assert (three.support, three.support_images, three.own) == ((paint / "three.nrrd",), (), None)


def test_common_paint_is_for_cases_without_paint_of_their_own(folder: Path) -> None:
    paint, scans = folder / "paint", folder / "scans"
    common = Common((paint / "one.nrrd",), (scans / "one.nrrd",))
    lines = [HEADER, "one,scans/one.nrrd,", line("two"), "three,scans/three.nrrd,"]
    (one, two, three), problems = found(a_manifest(folder, lines), common=common)
    assert not problems
    assert (one.support, one.support_images) == ((paint / "one.nrrd",), ())
    assert (two.support, two.support_images) == ((paint / "two.nrrd",), ())
    assert (three.support, three.support_images) == ((paint / "one.nrrd",), (scans / "one.nrrd",))
    cases, problems = found(a_manifest(folder, ["id,image", "two,scans/two.nrrd"]), common=common)
    assert not problems and cases[0].support == (paint / "one.nrrd",)


def test_common_paint_of_the_case_among_others_is_its_own(folder: Path) -> None:
    paint, scans = folder / "paint", folder / "scans"
    common = Common((paint / "one.nrrd", paint / "two.nrrd"), (scans / "one.nrrd", scans / "two.nrrd"))
    (two,), _ = found(a_manifest(folder, ["id,image", "two,scans/two.nrrd"]), common=common)
    assert (two.support, two.support_images, two.own) == (
        (paint / "one.nrrd",),
        (scans / "one.nrrd",),
        paint / "two.nrrd",
    )


def test_common_paint_that_cannot_be_used_stops_all(folder: Path) -> None:
    manifest = a_manifest(folder, ["id,image", "one,scans/one.nrrd"])
    paint, scan = folder / "paint" / "one.nrrd", folder / "scans" / "one.nrrd"
    for common, why in (
        (Common((folder / "none.nrrd",)), "support does not exist"),
        (Common((paint,), (folder / "none.nrrd",)), "support image does not exist"),
        (Common((paint, paint), (scan,)), "as many support images"),
        (Common((paint, paint)), "need their support images"),
    ):
        with pytest.raises(InputError, match=why):
            found(manifest, common=common)


def test_slices_as_on_the_command_line(folder: Path) -> None:
    lines = [f"{HEADER};slices".replace(",", ";")]
    lines += [line(name, text, separator=";") for name, text in (("one", " 1, 2 ,3"), ("two", "2:1,2  3: 2"))]
    (one, two), problems = found(a_manifest(folder, lines))
    assert not problems
    assert (one.slices, two.slices) == ("1,2,3", "2:1,2 3:2")


CELLS = st.text(st.characters(blacklist_categories=("Cs", "Cc", "Zl", "Zp")), max_size=12).map(
    lambda text: text.strip().replace("|", "").replace("\\", "")
)
FILLED = CELLS.filter(bool)
ROWS = st.fixed_dictionaries(
    {name: FILLED if name in ("id", "image", "support") else CELLS for name in COLUMNS if name != "support_image"}
)


@given(
    rows=st.lists(ROWS, min_size=1, max_size=5),
    columns=st.permutations([name for name in COLUMNS if name != "support_image"]),
    separator=st.sampled_from([",", ";", "\t"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    end=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
def test_what_a_table_holds_is_read_again(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[dict[str, str]],
    columns: list[str],
    separator: str,
    encoding: str,
    end: str,
    quoting: int,
) -> None:
    text = io.StringIO()
    table = csv.DictWriter(text, columns, delimiter=separator, lineterminator=end, quoting=quoting)
    table.writeheader()
    table.writerows(rows)
    manifest = tmp_path_factory.mktemp("table") / "cases.csv"
    manifest.write_bytes(text.getvalue().encode(encoding))
    read = rows_of(manifest, needs_support=True)
    assert [row.problem for row in read] == [""] * len(rows)
    assert [(row.id, row.output, row.method, row.slices) for row in read] == [
        (row["id"], row["output"], row["method"], row["slices"]) for row in rows
    ]
    assert [(row.image, row.paint) for row in read] == [
        (manifest.parent / row["image"], ((manifest.parent / row["support"], None),)) for row in rows
    ]


@given(st.text(max_size=20), st.text(max_size=20))
def test_names_that_differ_in_case_alone_are_alike(first: str, second: str) -> None:
    assert alike(first) == alike(alike(first))
    assert (alike(first) == alike(second)) == (alike(second) == alike(first))

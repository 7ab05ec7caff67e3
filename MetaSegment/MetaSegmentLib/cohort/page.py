"""The summary of a cohort as one HTML file that needs nothing else: pictures inside, sortable, no network."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .summary import Row

HEADS = ("slices", "case", "state", "doubt", "estimated Dice", "found", "volume, ml", "seconds", "note")
UNSORTED = ("slices", "note")
DASH = "–"

# The policy forbids whatever is not in this file, should anything that looks like markup ever get past the escaping.
PAGE = Template("""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>MetaSegment cohort</title>
<style>
body { font: 15px/1.4 system-ui, sans-serif; margin: 2em; color: #222; background: #fff; }
table { border-collapse: collapse; }
th, td { padding: .4em .8em; text-align: left; vertical-align: top; border-bottom: 1px solid #ddd; }
th button { all: unset; cursor: pointer; font-weight: 600; }
th button:focus-visible { outline: 2px solid #06c; }
th[aria-sort=ascending] button::after { content: " ▲"; }
th[aria-sort=descending] button::after { content: " ▼"; }
td.n { text-align: right; font-variant-numeric: tabular-nums; }
tr.failed td { background: #fdecea; }
tr.open td { color: #777; }
img { display: block; background: #000; }
</style>
</head>
<body>
<h1>MetaSegment cohort</h1>
<p>$counts. Most doubtful first. Slices: the middle one of the structures, and the one with most doubt.</p>
<table>
<thead><tr>$heads</tr></thead>
<tbody>
$rows
</tbody>
</table>
<script>
for (const button of document.querySelectorAll("th button")) button.onclick = () => {
  const head = button.parentElement, place = [...head.parentElement.children].indexOf(head);
  const down = head.getAttribute("aria-sort") === "ascending";
  for (const other of head.parentElement.children) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  const body = document.querySelector("tbody"), key = row => row.children[place].dataset.v;
  const order = (a, b) => a === "" || b === "" ? (a === "") - (b === "") :
    (isNaN(a) || isNaN(b) ? a.localeCompare(b, undefined, {numeric: true}) : a - b) * (down ? -1 : 1);
  body.append(...[...body.children].sort((a, b) => order(key(a), key(b))));
};
</script>
</body>
</html>
""")


def to_html(rows: Sequence[Row], counts: Mapping[str, int]) -> str:
    """The page of ``rows`` in their order."""
    heads = "".join(
        f"<th>{head}</th>" if head in UNSORTED else f'<th><button type="button">{head}</button></th>' for head in HEADS
    )
    said = ", ".join(f"{count} {state}" for state, count in sorted(counts.items())) or "No cases"
    return PAGE.substitute(counts=said, heads=heads, rows="\n".join(map(_row, rows)))


def _row(row: Row) -> str:
    dices = [one.estimated_dice for one in row.structures]
    found = [one.found for one in row.structures]
    volumes = [f"{escape(_plain(one.name))} {one.volume_ml:.2f}" for one in row.structures]
    total = sum(one.volume_ml for one in row.structures) if row.structures else None
    cells = (
        f"<td>{_picture(row.picture)}</td>",
        f'<td data-v="{escape(_plain(row.id))}">{escape(_plain(row.id))}</td>',
        f'<td data-v="{escape(row.state)}">{escape(row.state)}</td>',
        _number([row.doubt], ".2f"),
        _number(dices, ".2f"),
        _number(found, ".2f"),
        f'<td class="n" data-v="{"" if total is None else total}">{"<br>".join(volumes) or DASH}</td>',
        _number([row.seconds or None], ".1f"),
        f"<td>{escape(_plain(row.sentence))}</td>",
    )
    return f'<tr class="{escape(row.state)}">{"".join(cells)}</tr>'


def _number(values: Sequence[float | None], form: str) -> str:
    """Numbers below each other, sorted by the lowest."""
    known = [value for value in values if value is not None]
    shown = "<br>".join(DASH if value is None else format(value, form) for value in values) or DASH
    return f'<td class="n" data-v="{min(known) if known else ""}">{shown}</td>'


def _picture(file: Path | None) -> str:
    if file is None:
        return ""
    try:
        content = file.read_bytes()
    except OSError:
        return ""
    return f'<img alt="two slices with outlines" src="data:image/png;base64,{base64.b64encode(content).decode()}">'


def _plain(text: str) -> str:
    """Without control characters, which no browser shows."""
    return "".join(letter if letter.isprintable() else "�" for letter in text)

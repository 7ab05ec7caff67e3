"""One HTML file, pictures included, of what the checks in a real Slicer came to."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

STYLE = """
body { font: 15px sans-serif; max-width: 75em; margin: 2em auto; color: #222; background: #fff }
table { border-collapse: collapse; width: 100% } td, th { border: 1px solid #bbb; padding: .4em .6em; text-align: left }
.passed { background: #d9f2d9 } .failed { background: #f8d3d3 } .other { background: #f4ecc8 }
img { max-width: 100%; border: 1px solid #bbb } figure { margin: 2em 0 }
"""


def page(results: Mapping[str, str], folder: Path) -> str:
    """The table of checks and steps, then the pictures.

    Args:
        results: of each check, in words; ``passed`` when it did.
        folder: with ``tour.json`` and its pictures, as check_tour.py leaves them; may be empty.
    """
    file = folder / "tour.json"
    steps: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else []
    rows = [_row(name, "", result, "") for name, result in results.items()]
    rows += [_row(step["name"], step["about"], _outcome(step), f"{step['seconds']:.1f} s") for step in steps]
    failed = [name for name, result in results.items() if result != "passed"]
    verdict = "All passed." if not failed else f"Not passed: {', '.join(failed)}."
    figures = "".join(_figure(step, folder / step["picture"]) for step in steps if "picture" in step)
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>MetaSegment in Slicer</title>'
        f"<style>{STYLE}</style></head><body><h1>MetaSegment in Slicer</h1><p>{escape(verdict)}</p>"
        f"<table><tr><th>Check</th><th>What has to hold</th><th>Result</th><th>Time</th></tr>{''.join(rows)}</table>"
        f"{figures}</body></html>\n"
    )


def _outcome(step: Mapping[str, Any]) -> str:
    return "passed" if step["passed"] else f"failed: {step['problem']}"


def _row(name: str, about: str, result: str, time: str) -> str:
    kind = "passed" if result == "passed" else "other" if result == "left out" else "failed"
    cells = "".join(f"<td>{escape(text)}</td>" for text in (name.replace("_", " "), about, result, time))
    return f'<tr class="{kind}">{cells}</tr>'


def _figure(step: Mapping[str, Any], picture: Path) -> str:
    if not picture.is_file():
        return ""
    data = base64.b64encode(picture.read_bytes()).decode("ascii")
    name = escape(step["name"].replace("_", " "))
    return (
        f'<figure><img alt="{name}" src="data:image/png;base64,{data}">'
        f"<figcaption>{name}: {escape(_outcome(step))}</figcaption></figure>"
    )

"""The report of a run, as JSON without names or paths of the input."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .atomic import output_error

Report = dict[str, Any]


def write_report(path: Path, report: Mapping[str, Any]) -> None:
    """Write the report.

    Raises:
        OutputError: it could not be written.
    """
    text = json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise output_error(error, path.parent) from error

"""Accuracy of the main methods and of all, of the default without its parts, and of the suggested slice.

    python Testing/benchmarks/accuracy.py --data FOLDER... --work SCRATCH --jobs 2

runs ``metasegment evaluate`` four times and writes ``accuracy``, ``methods``, ``ablation`` and ``suggestions`` as JSON,
Markdown (for the README) and PNG to ``Testing/benchmarks/results/``. Records of all cases stay in the scratch folder:
the same command goes on where it was interrupted. Not collected by pytest: it takes hours.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "MetaSegment"))
os.environ.setdefault("ITK_GLOBAL_DEFAULT_THREADER", "Platform")

from MetaSegmentLib import cli  # noqa: E402
from MetaSegmentLib.evaluation.layout import FOOTNOTE, overview  # noqa: E402
from MetaSegmentLib.replacing import replacing  # noqa: E402

# What each part asks of the command; options on this script's command line come after and win.
PARTS = {
    "accuracy": ["--k", "3,5,8", "--placement", "inside,ends", "--methods", "fusion,maml,protonet,network"],
    "methods": ["--k", "5"],
    "ablation": ["--k", "3,5,8", "--methods", "ablation"],
    "suggestions": ["--k", "3,5", "--suggestions"],
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, metavar="FOLDER", help="where records are kept")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results", metavar="FOLDER")
    parser.add_argument("--only", choices=PARTS, nargs="+", default=list(PARTS), help="some of the parts")
    arguments, options = parser.parse_known_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    for part in arguments.only:
        work = arguments.work / part
        status = cli.main(["evaluate", *PARTS[part], *options, "--output", str(work)])
        if status:
            return status
        collect(part, work, arguments.output)
    return 0


def collect(part: str, work: Path, output: Path) -> None:
    """Copy what is to be kept of a part: the summary without its curves, the table, and the plots of all data sets."""
    if part == "suggestions":
        for kind in ("json", "md", "png"):
            put(work / f"suggestions.{kind}", output / f"suggestions.{kind}")
        return
    summary = json.loads((work / "summary.json").read_text(encoding="utf-8"))
    kept = {"settings": summary["settings"], "rows": summary["rows"]}
    write(output / f"{part}.json", json.dumps(kept, indent=1) + "\n")
    write(output / f"{part}.md", f"{overview(summary['rows'])}\n{FOOTNOTE}")
    plots = sorted(work.glob("all-data-sets-*.png")) or sorted(work.glob("*.png"))
    for plot in plots:
        put(plot, output / f"{part}-{plot.name.removeprefix('all-data-sets-')}")


def put(source: Path, target: Path) -> None:
    if source.exists():
        with replacing(target) as waiting:
            shutil.copyfile(source, waiting)


def write(target: Path, text: str) -> None:
    with replacing(target) as waiting:
        waiting.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())

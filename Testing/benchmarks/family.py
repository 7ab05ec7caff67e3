"""Every method against its nearest relative: mean Dice at each K, the paired difference with its interval, seconds.

    metasegment evaluate --data DATA/openkbp DATA/msd_hippocampus DATA/spine_vb2 --held-out --limit 3 --no-surface \
        --k 3,5,8 --methods all --output scratch
    python Testing/benchmarks/family.py --records scratch

reads the records of that evaluation and writes ``family.json`` and ``family.md`` to ``Testing/benchmarks/results/``.
Cases are of volumes that training kept out. Intervals are of 95 % by bootstrap over the cases.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from statistics import fmean, median
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "MetaSegment"))

from MetaSegmentLib.evaluation.tables import dice_of, interval_of_mean  # noqa: E402
from MetaSegmentLib.predictors.registry import METHODS  # noqa: E402
from MetaSegmentLib.replacing import replacing  # noqa: E402

RELATIVES = {
    "fusion": "context",
    "context": "network",
    "maml": "network",
    "protonet": "network",
    "protonet-cosine": "protonet",
    "protonet-global": "protonet",
    "protonet-position": "protonet",
    "protonet-map": "protonet-position",
    "protonet-map-cosine": "protonet-cosine",
    "protonet-joint": "protonet",
    "matching": "protonet",
    "matching-memory": "matching",
    "ridge": "protonet",
    "fomaml": "maml",
    "reptile": "maml",
    "anil": "maml",
    "maml-joint": "maml",
    "bayesian": "maml",
    "variational": "maml",
    "robust": "maml",
    "meta-regularised": "maml",
    "clustered": "maml",
    "transfer-head": "network",
    "transfer": "transfer-head",
    "scratch": "transfer",
    "resnet-frozen": "transfer-head",
    "resnet": "transfer",
    "tent": "network",
    "network": "experts",
    "experts": "propagation",
}
"""What a method changes one thing of; the predictors without weights have none."""

Record = dict[str, Any]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=Path, required=True, metavar="FOLDER", help="the --output of the evaluation")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results", metavar="FOLDER")
    arguments = parser.parse_args()
    files = sorted((arguments.records / "cases").rglob("*.json"))
    records = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    rows = [row for name in METHODS if (row := row_of(name, records))]
    about = {"data_sets": sorted({one["data_set"] for one in records}), "rows": rows}
    write(arguments.output / "family.json", json.dumps(about, indent=1) + "\n")
    text = table(rows)
    write(arguments.output / "family.md", text)
    print(text)
    return 0


def row_of(name: str, records: list[Record]) -> Record | None:
    """By K: cases, mean Dice and the difference to the relative on the cases that both have; None without a case."""
    done = [one for one in records if name in one["methods"]]
    if not done:
        return None
    relative = RELATIVES.get(name)
    by_k = {}
    for k in sorted({one["k"] for one in done}):
        here = [one["methods"] for one in done if one["k"] == k]
        pairs = [dice_of(one[name]) - dice_of(one[relative]) for one in here if relative in one]
        by_k[str(k)] = {
            "cases": len(here),
            "dice": fmean(dice_of(one[name]) for one in here),
            "difference": fmean(pairs) if pairs else None,
            "interval": interval_of_mean(pairs),
        }
    seconds = median(one["methods"][name].get("seconds", 0.0) for one in done)
    return {"method": name, "relative": relative, "k": by_k, "seconds": seconds}


def table(rows: list[Record]) -> str:
    """As Markdown, a line a method."""
    ks = sorted({k for row in rows for k in row["k"]}, key=int)
    cases = ", ".join(f"{max(row['k'].get(k, {'cases': 0})['cases'] for row in rows)}" for k in ks)
    head = ["method", *(f"K = {k}" for k in ks), "against", *(f"difference, K = {k}" for k in ks), "seconds"]
    lines = [f"| {' | '.join(head)} |", f"|---|{'---:|' * len(ks)}---|{'---:|' * (len(ks) + 1)}"]
    for row in rows:
        found = [row["k"].get(k) for k in ks]
        dice = [f"{one['dice']:.3f}".lstrip("0") if one else "" for one in found]
        against = f"`{row['relative']}`" if row["relative"] else ""
        cells = [f"`{row['method']}`", *dice, against, *map(difference, found), f"{row['seconds']:.1f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", f"Cases at K = {', '.join(ks)}: {cases}.", ""])


def difference(found: Record | None) -> str:
    if not found or found["difference"] is None:
        return ""
    low, high = found["interval"] or (float("nan"), float("nan"))
    return " ".join([short(found["difference"]), f"({short(low)} to {short(high)})"])


def short(value: float) -> str:
    return f"{value:+.3f}".replace("0.", ".", 1).replace("-", "−")


def write(file: Path, text: str) -> None:
    with replacing(file) as waiting:
        waiting.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(main())

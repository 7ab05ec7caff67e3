"""How long a run takes in the panel, against the command line, and for how long it holds the panel.

    python Testing/benchmarks/responsiveness_panel.py --method fusion --shape 40,128,128

The panel is shown in the stand-in for Slicer's Qt half, whose event loop starves threads as the application's does.
Seconds depend on the machine; the factors were measured within one run. Not collected by pytest.
"""

from __future__ import annotations

import argparse
import json
import os
import runpy
import sys
import time
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY / "MetaSegment"), str(REPOSITORY / "Testing"), str(Path(__file__).parent)]
os.environ.setdefault("ITK_GLOBAL_DEFAULT_THREADER", "Platform")

from speed import PAINTED, REGION, phantom  # noqa: E402

from host.application import application  # noqa: E402
from host.loop import Heartbeat  # noqa: E402
from scene.nodes import add_segmentation, add_volume, only, paint  # noqa: E402

REPEATS = 3


def measure(module: Any, method: str, shape: tuple[int, int, int]) -> dict[str, Any]:
    """Seconds of the same run, started in every way; ``held``: longest time without an event, in seconds."""
    from gui.desk import Desk

    check = runpy.run_path(str(REPOSITORY / "Testing" / "slicer" / "check_panel.py"))
    desk = Desk(module)
    image, mask = phantom(shape)
    volume, segmentation = add_volume(desk.scene, image), add_segmentation(desk.scene)
    inside = mask.any((1, 2)).nonzero()[0]
    painted = [int(inside[len(inside) * (2 * k + 1) // (2 * PAINTED)]) for k in range(PAINTED)]
    paint(segmentation, volume, "structure", only(mask, 0, painted))
    desk.parameters.method = method
    desk.parameters.inputVolume, desk.parameters.segmentation = volume, segmentation
    desk.settle()

    def in_the_panel() -> float:
        desk.logic.session.forget()
        return float(check["segment"](desk.widget))

    def blocking() -> float:
        desk.logic.session.forget()
        start = time.perf_counter()
        desk.logic.process(volume, segmentation, method=method)
        return time.perf_counter() - start

    command_line = check["segment_on_the_command_line"](volume, segmentation, method)
    first = in_the_panel()
    # In turn, and the best of each: other programs may take the computer's time in the middle.
    pairs = [(in_the_panel(), blocking()) for _ in range(REPEATS)]
    again, elsewhere = (min(seconds) for seconds in zip(*pairs, strict=True))
    with Heartbeat() as heartbeat:
        in_the_panel()
    desk.close()
    return {
        "method": method,
        "shape": shape,
        "command_line": command_line,
        "panel_first": first,
        "panel_again": again,
        "blocking": elsewhere,
        "held": heartbeat.longest,
        "first_to_command_line": first / command_line,
        "again_to_blocking": again / elsewhere,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", default="fusion")
    parser.add_argument("--shape", default=",".join(map(str, REGION)), help="K,J,I (default %(default)s)")
    options = parser.parse_args()
    depth, height, width = map(int, options.shape.split(","))
    with application() as module:
        print(json.dumps(measure(module, options.method, (depth, height, width)), indent=1))


if __name__ == "__main__":
    main()

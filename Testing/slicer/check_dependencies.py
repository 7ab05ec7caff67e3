"""Run inside Slicer: MetaSegment finds Slicer's way to install packages and loads nothing heavy by itself."""

import sys
import traceback

import slicer


def check() -> None:
    before = {name for name in ("torch", "monai") if name in sys.modules}
    from MetaSegmentLib import dependencies

    names = [package.requirement for package in dependencies.packages()]
    assert any(name.startswith("torch") for name in names) and any(name.startswith("monai") for name in names), names
    assert hasattr(dependencies.slicers_pip(), "install")
    assert {name for name in ("torch", "monai") if name in sys.modules} == before
    if not dependencies.missing():
        assert not dependencies.ensure().installed


if __name__ == "__main__":
    try:
        check()
    except Exception:
        traceback.print_exc()
        slicer.util.exit(slicer.util.EXIT_FAILURE)
    else:
        slicer.util.exit(slicer.util.EXIT_SUCCESS)

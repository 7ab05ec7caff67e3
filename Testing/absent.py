"""Code run in an interpreter of its own where some packages are not installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

# What is hidden is looked for by every finder in vain, as if it had never been installed.
HIDE = """
import sys
class Blind:
    def __init__(self, finder):
        self._finder = finder
    def __getattr__(self, name):
        return getattr(self._finder, name)
    def find_spec(self, name, path=None, target=None):
        return None if name.split(".")[0] in {names!r} else self._finder.find_spec(name, path, target)
sys.meta_path[:] = [Blind(finder) for finder in sys.meta_path]
"""


def run_without(
    names: tuple[str, ...], code: str, repository: Path, *words: str, folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run Python code that cannot import the packages ``names``; ``words`` are its arguments."""
    library = f"sys.path.insert(0, {str(repository / 'MetaSegment')!r})\n"
    return subprocess.run(
        [sys.executable, "-c", HIDE.format(names=names) + library + code, *words],
        cwd=folder or repository,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

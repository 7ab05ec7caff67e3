"""What the tests of calibration share with those of data."""

from __future__ import annotations

from data.cases import a_data_set

__all__ = ["a_data_set"]

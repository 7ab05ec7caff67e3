"""What the tests of data share with those of the evaluation."""

from __future__ import annotations

from data.cases import a_data_set, blobs, real_structures, reference

__all__ = ["a_data_set", "blobs", "real_structures", "reference"]

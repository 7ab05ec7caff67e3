"""Many tasks of one kind, resumable: evaluation, episodes, calibration."""

"""Numbers that are fitted on held-out volumes and stand in the plan of the weights; see ``answer/calibration.py``."""

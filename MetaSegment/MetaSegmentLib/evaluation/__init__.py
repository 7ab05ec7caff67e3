"""The few-slice protocol: methods and Slicer's own tools scored on labelled volumes, side by side."""

"""One structure in many scans: which cases there are, and all of them segmented."""

# Packages and configuration files are made by Slicer itself.

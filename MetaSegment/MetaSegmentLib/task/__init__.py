"""What was given: a volume, the paint on it, and the lattice to work on."""

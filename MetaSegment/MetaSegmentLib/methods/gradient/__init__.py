"""Methods that take gradient steps on the painted slices."""

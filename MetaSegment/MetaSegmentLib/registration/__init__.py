"""Slices laid onto slices, volumes laid onto volumes."""

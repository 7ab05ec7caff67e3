"""Predictors without learned weights."""

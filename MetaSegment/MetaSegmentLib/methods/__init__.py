"""Methods with learned weights, and the sum of all."""

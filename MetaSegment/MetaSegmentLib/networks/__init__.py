"""Networks: what they see, their weights, and where they run."""

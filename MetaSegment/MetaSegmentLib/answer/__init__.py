"""From logits to the answer: labels, how sure they are, where to paint next, the report."""

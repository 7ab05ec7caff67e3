"""What a panel shows and does, without a toolkit."""

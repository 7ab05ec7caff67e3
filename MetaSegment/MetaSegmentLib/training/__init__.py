"""Meta-training: tasks drawn from labelled and synthetic volumes, episodes, and the training itself."""

"""The panel's parts that are Qt and nothing else; what they show is worked out in the scene package."""

"""mixture: how much of each source is trained on, and in which order."""

"""Promoted models: what may be promoted, the version that a promotion makes, and the history of every name."""

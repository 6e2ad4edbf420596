"""Scores checkpoints: ``score`` is the job, ``model`` the checkpoint, ``tasks`` what is measured."""

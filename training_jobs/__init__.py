"""What runs in processes of its own, on this machine or on GPU nodes: pretraining, its data and its checkpoints.

This room imports ``assets.lake`` and ``assets.recipe`` of the project, and of Dagster only the tiny ``dagster_pipes``.
"""

"""pretraining_run: the checkpoints, metrics and cost of one recipe's pretraining."""

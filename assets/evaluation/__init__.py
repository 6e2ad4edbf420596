"""evaluation: the scores of a checkpoint, task by task, with item-level results."""

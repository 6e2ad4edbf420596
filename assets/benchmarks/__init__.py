"""benchmark: the items of an evaluation task, which corpora are decontaminated against and checkpoints are scored on."""

"""checkpoint: a step of a run as a standard Hugging Face folder."""

"""tokenizer: byte-level BPE, trained on a uniform sample of the languages."""

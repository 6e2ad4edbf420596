"""clean_corpus: the documents of a source that are fit for training, and why the others are not."""

"""raw_corpus: what a source holds, as it came, in one schema."""

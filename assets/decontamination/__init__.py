"""decontaminated_corpus: benchmark text is cut out of a source, and documents that hold too much of it go."""

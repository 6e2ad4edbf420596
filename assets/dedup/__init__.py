"""duplicates and deduplicated_corpus: exact and near-duplicates found across a pool, and removed from each source."""

"""tokenized_shards: documents as token ids in Megatron's indexed format, with an index back to the documents."""

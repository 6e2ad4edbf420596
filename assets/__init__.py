"""The asset graph of Tokka: one room per stage, from raw corpora to evaluation scores."""

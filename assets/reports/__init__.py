"""scoreboard and model_card: what people read in the end, as HTML and Markdown."""

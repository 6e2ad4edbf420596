"""What happens by itself: new files, what follows them, scheduled training, promotion, alerts."""

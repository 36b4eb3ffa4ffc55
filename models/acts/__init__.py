"""What operators do in the console: each is asked once, done once, and kept as a row."""

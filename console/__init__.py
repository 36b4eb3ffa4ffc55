"""The console's side of HTTP: who asks, and what the pages look like."""

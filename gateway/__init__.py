"""Twilio's side: its requests, our answers, and what its texts are made of."""

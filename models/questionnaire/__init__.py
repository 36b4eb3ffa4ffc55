"""Questionnaires: what their files say, what is wrong with them, and what they cost."""

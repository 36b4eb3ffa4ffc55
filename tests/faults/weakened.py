"""smsconvo with one protection taken out: `weakened.py WEAKNESS COMMAND …`.

A fault test that passes with its protection taken out tests nothing. The worker is another
process that imports this file anew, so that the weakness is there as well.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import smsconvo
from models import database


def sync_later() -> None:
    """Commits are acknowledged before they are on disk."""
    database.PRAGMAS["synchronous"] = 1  # NORMAL


WEAKNESSES = {"sync_later": sync_later}

WEAKNESSES[sys.argv[1]]()

if __name__ == "__main__":
    del sys.argv[1]
    smsconvo.cli()

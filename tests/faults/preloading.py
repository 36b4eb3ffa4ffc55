"""What the server of forks imports, once: Python 3.11 does not tell it where the tests are."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import psycopg  # noqa: E402, F401  which the program imports for PostgreSQL only
import warm  # noqa: E402, F401

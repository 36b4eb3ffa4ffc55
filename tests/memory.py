"""How much memory a command needs."""

import subprocess
import sys
from pathlib import Path

from conftest import HERE

COMMAND = """
import atexit, re, runpy, sys
from pathlib import Path

def tell():
    status = Path("/proc/self/status").read_text()
    print(re.search(r"VmHWM:\\s+(\\d+) kB", status)[1], file=sys.stderr)

atexit.register(tell)
sys.argv = sys.argv[1:]
sys.path.insert(0, str(Path(sys.argv[0]).parent))
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def measure_memory(folder: Path, environ: dict[str, str], *arguments: str) -> int:
    """The most KiB that a command has had in memory.

    It tells them itself: in what `wait4` says, the kernel counts the process that started it, too.
    """
    command = [sys.executable, "-c", COMMAND, str(HERE / "smsconvo.py"), *arguments]
    ended = subprocess.run(
        command,
        cwd=folder,
        env=environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=True,
    )
    return int(ended.stderr.split()[-1])

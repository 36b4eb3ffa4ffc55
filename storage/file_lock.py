"""Locks that processes share, and which the kernel releases when their holder ends."""

import fcntl
import os


class FileLock:
    """A lock that processes share: a file, which stays. It is released when its holder dies."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._handle: int | None = None

    def acquire(self, wait: bool = True) -> bool:
        """Whether the lock is held now; without waiting it may be another's."""
        while True:
            if self._handle is None:
                self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(self._handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self.close()
                return False
            if self._has_its_name():
                return True
            self.close()  # the file was deleted: others would lock another one

    def release(self) -> None:
        """Let others have it; the file stays open for the next time."""
        if self._handle is not None:
            fcntl.flock(self._handle, fcntl.LOCK_UN)

    def close(self) -> None:
        """Release it for good; processes that inherited the lock keep it."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def _has_its_name(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self._handle), os.stat(self._path))
        except FileNotFoundError:
            return False

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_: object) -> None:
        self.close()

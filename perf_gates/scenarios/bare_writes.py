"""What any durable write takes, behind the same pipe as a store's: `python bare_writes.py DIR`.

A line of JSON in, then write, sync, rename and sync of the folder, then a line of JSON out.
"""

from __future__ import annotations

import base64
import json
import os
import sys
from hashlib import sha256


def write(folder: str, data: bytes) -> str:
    """The calls and nothing else; the id of what was written."""
    digest = sha256(b"blob %d\0" % len(data) + data).hexdigest()
    temp = f"{folder}/temp"
    fd = os.open(temp, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    os.write(fd, data)
    os.fsync(fd)
    os.close(fd)
    os.rename(temp, f"{folder}/{digest}")
    fd = os.open(folder, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)
    return f"sha256:{digest}"


def main(folder: str) -> None:
    """Answers until the input ends."""
    for line in sys.stdin.buffer:
        data = base64.b64decode(json.loads(line)["data"])
        sys.stdout.write(json.dumps({"ok": True, "id": write(folder, data)}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])

"""Changes a folder through as many different calls as there are; run with the folder's path."""

from __future__ import annotations

import ctypes
import os
import sys
import threading


def write(path: str, data: bytes, flags: int = 0) -> int:
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | flags, 0o644)
    os.write(descriptor, data)
    return descriptor


def main(root: str) -> None:
    os.mkdir(root)
    os.chdir(root)
    os.makedirs("a/b/c")
    one = write("a/one", b"0123456789")
    os.pwrite(one, b"PP", 3)
    os.writev(one, [b"vec", b"tor"])
    os.pwritev(one, [b"xx", b"yy"], 20)
    os.truncate("a/one", 22)
    os.ftruncate(one, 30)
    os.posix_fallocate(one, 0, 64)
    os.fdatasync(one)
    append = write("a/one", b"appended", os.O_APPEND)
    os.pwrite(append, b"also appended", 0)
    two = write("two", b"")
    os.sendfile(two, one, 0, 12)
    os.copy_file_range(one, two, 8, 0, 40)
    os.rename("two", "a/b/moved")
    os.write(two, b"after the move")
    os.link("a/b/moved", "hard")
    os.symlink("a/one", "soft")
    with open("soft", "r+b") as file:
        file.write(b"through the link")
    unnamed = os.open("a", os.O_TMPFILE | os.O_WRONLY, 0o640)
    os.write(unnamed, b"no name yet")
    os.link(f"/proc/self/fd/{unnamed}", "named", src_dir_fd=unnamed, follow_symlinks=True)
    os.chmod("named", 0o400)
    deleted = write("deleted", b"gone")
    os.unlink("deleted")
    os.write(deleted, b"still written")
    os.rmdir("a/b/c")
    os.rename("a/b", "renamed")
    folder = os.open("renamed", os.O_RDONLY)
    os.mkdir("inside", dir_fd=folder)
    os.replace("hard", "inside/target", src_dir_fd=None, dst_dir_fd=folder)
    write("x", b"x"), write("y", b"y")
    libc = ctypes.CDLL(None, use_errno=True)
    libc.renameat2(-100, b"x", -100, b"y", 2)  # exchanges them
    threads = [threading.Thread(target=write, args=(f"t{n}", b"t" * n)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if os.fork() == 0:
        os.chdir("a")
        write("by a child", b"child")
        os._exit(0)
    os.wait()
    os.write(write("osync", b"", os.O_SYNC), b"synced at once")
    os.fsync(folder)
    libc.syncfs(folder)
    os.sync()


if __name__ == "__main__":
    main(sys.argv[2])

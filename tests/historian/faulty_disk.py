"""A disk that fails when a test says so: a shim between SQLite and the system, built by gcc."""

import subprocess
from pathlib import Path

# while the file FAILS.sync is there, syncs of a store's files fail with EIO; FAILS.write: writes
# do; FAILS.full: nothing grows, and the disk has nothing left
SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
static int fails(int fd, const char *what) {
    char link[64], path[4096], flag[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, sizeof path - 1);
    if (size < 0) return 0;
    path[size] = 0;
    snprintf(flag, sizeof flag, "%s.%s", getenv("FAILS"), what);
    if (!strstr(path, "store.sqlite") || access(flag, F_OK)) return 0;
    errno = EIO;
    return 1;
}
#define REAL(name, type) ((type)dlsym(RTLD_NEXT, name))
int fsync(int fd) {
    return fails(fd, "sync") ? -1 : REAL("fsync", int (*)(int))(fd);
}
int fdatasync(int fd) {
    return fails(fd, "sync") ? -1 : REAL("fdatasync", int (*)(int))(fd);
}
static int full(void) {
    char flag[4096];
    snprintf(flag, sizeof flag, "%s.full", getenv("FAILS"));
    return !access(flag, F_OK);
}
ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t at) {
    struct stat now;
    if (fails(fd, "write")) return -1;
    if (fails(fd, "full") && !fstat(fd, &now) && at + (off64_t)size > now.st_size) {
        errno = ENOSPC;
        return -1;
    }
    return REAL("pwrite64", ssize_t (*)(int, const void *, size_t, off64_t))(fd, bytes, size, at);
}
int statvfs(const char *path, struct statvfs *disk) {
    int found = REAL("statvfs", int (*)(const char *, struct statvfs *))(path, disk);
    if (!found && full()) disk->f_bavail = 0;
    return found;
}
int statvfs64(const char *path, struct statvfs64 *disk) {
    int found = REAL("statvfs64", int (*)(const char *, struct statvfs64 *))(path, disk);
    if (!found && full()) disk->f_bavail = 0;
    return found;
}
"""


def faulty_disk(folder: Path) -> dict[str, str]:
    """Build the shim in a folder; return the environment of a process that is to have it."""
    source, shim = folder / "shim.c", folder / "shim.so"
    source.write_text(SHIM)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", shim, source, "-ldl"], check=True)
    return {"LD_PRELOAD": str(shim), "FAILS": str(folder / "fails")}

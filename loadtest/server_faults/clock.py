"""A wall clock that jumps for the processes of one server: a library of forty lines that the C compiler here makes."""

from __future__ import annotations

import struct
import subprocess
import sysconfig
from pathlib import Path

from loadtest.errors import LoadtestError

_SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile long long *shift; /* seconds, in a file that all processes of the server share */
static int (*real)(clockid_t, struct timespec *);

__attribute__((constructor)) static void begin(void) {
    const char *name = getenv("SHIFT_OF_THE_CLOCK");
    int file = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
    void *found = file < 0 ? MAP_FAILED : mmap(NULL, sizeof *shift, PROT_READ, MAP_SHARED, file, 0);
    if (file >= 0) close(file);
    if (found != MAP_FAILED) shift = found;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int failed = real(clock, now);
    if (!failed && shift && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += *shift;
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec exact;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &exact)) return -1;
    now->tv_sec = exact.tv_sec;
    now->tv_usec = exact.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *where) {
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    if (where) *where = exact.tv_sec;
    return exact.tv_sec;
}
"""


class ShiftedClock:
    """`environment` puts a process and its children under it. Raises `LoadtestError` where nothing can be compiled."""

    def __init__(self, folder: Path) -> None:
        source, library, self._shift = folder / "clock.c", folder / "clock.so", folder / "shift"
        source.write_text(_SOURCE)
        self.jump(0)
        compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
        try:
            subprocess.run(
                [compiler, "-O1", "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"],
                check=True,
                capture_output=True,
                text=True,
            )
        except OSError as error:
            raise LoadtestError(f"a clock that jumps needs a C compiler: {compiler}: {error.strerror}") from None
        except subprocess.CalledProcessError as error:
            raise LoadtestError(f"the clock that jumps cannot be compiled: {error.stderr.strip()}") from None
        self.environment = {"LD_PRELOAD": str(library), "SHIFT_OF_THE_CLOCK": str(self._shift)}

    def jump(self, seconds: int) -> None:
        """The wall clock is so many seconds ahead of the true one from now on."""
        with self._shift.open("r+b" if self._shift.exists() else "wb") as file:
            file.write(struct.pack("=q", seconds))

// Preloaded into a program, makes its wall clock wrong by CLOCK_SHIM_SECONDS; what it measures time by stays true.

#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t id, struct timespec* time) {
  const int done = (int)syscall(SYS_clock_gettime, id, time);
  const char* seconds = getenv("CLOCK_SHIM_SECONDS");
  if (done == 0 && id == CLOCK_REALTIME && seconds) time->tv_sec += atoll(seconds);
  return done;
}

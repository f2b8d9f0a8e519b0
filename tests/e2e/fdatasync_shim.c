/* Preloaded into tapeline: after an fdatasync or fsync of a segment has returned, and before the
   caller learns it, a line `<length> <path>` goes into the file that KILL_NOTES names. The length is
   how far the file had been written when the sync began; what stands behind it may be lost by a
   power cut. KILL_PAUSE_US holds each sync back, so that a kill finds bytes that are not synced;
   while it does, the file that KILL_SYNCING names has grown by a byte, so that the killer can tell. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILES_MAX = 65536, PATH_BYTES = 4096 };

static _Atomic long long written_to[FILES_MAX];

static int known(int fd) { return fd >= 0 && fd < FILES_MAX; }

static void wrote(int fd, long long end) {
  if (!known(fd)) return;
  long long before = atomic_load(&written_to[fd]);
  while (before < end && !atomic_compare_exchange_weak(&written_to[fd], &before, end)) {
  }
}

#define REAL(name, type) ((type)dlsym(RTLD_NEXT, name))

typedef ssize_t (*pwrite_type)(int, const void*, size_t, off_t);

static ssize_t write_there(const char* name, int fd, const void* from, size_t bytes, off_t at) {
  const ssize_t put = REAL(name, pwrite_type)(fd, from, bytes, at);
  if (put > 0) wrote(fd, (long long)at + put);
  return put;
}

ssize_t pwrite(int fd, const void* from, size_t bytes, off_t at) {
  return write_there("pwrite", fd, from, bytes, at);
}

ssize_t pwrite64(int fd, const void* from, size_t bytes, off_t at) {
  return write_there("pwrite64", fd, from, bytes, at);
}

typedef int (*ftruncate_type)(int, off_t);

static int cut(const char* name, int fd, off_t length) {
  const int failed = REAL(name, ftruncate_type)(fd, length);
  if (failed == 0 && known(fd) && atomic_load(&written_to[fd]) > length) {
    atomic_store(&written_to[fd], (long long)length);
  }
  return failed;
}

int ftruncate(int fd, off_t length) { return cut("ftruncate", fd, length); }

int ftruncate64(int fd, off_t length) { return cut("ftruncate64", fd, length); }

int close(int fd) {
  if (known(fd)) atomic_store(&written_to[fd], 0);
  return REAL("close", int (*)(int))(fd);
}

static void note(const char* path, long long length) {
  const char* notes = getenv("KILL_NOTES");
  if (!notes || length == 0) return;
  const int fd = open(notes, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  char line[PATH_BYTES + 32];
  const int bytes = snprintf(line, sizeof line, "%lld %s\n", length, path);
  if (fd < 0 || write(fd, line, (size_t)bytes) != bytes) abort();
  REAL("close", int (*)(int))(fd);
}

/* Says that a sync of bytes that are new has begun. */
static void announce(void) {
  const char* path = getenv("KILL_SYNCING");
  const int fd = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
  if (fd < 0) return;
  if (write(fd, ".", 1) != 1) abort();
  REAL("close", int (*)(int))(fd);
}

static int sync_file(const char* name, int fd) {
  char link[64], path[PATH_BYTES];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t bytes = readlink(link, path, sizeof path - 1);
  path[bytes < 0 ? 0 : bytes] = '\0';
  const char* end = strrchr(path, '.');
  const int is_segment = known(fd) && end && strcmp(end, ".segment") == 0;
  const long long length = is_segment ? atomic_load(&written_to[fd]) : 0;
  const char* pause = getenv("KILL_PAUSE_US");
  if (is_segment && pause && length > 0) {
    announce();
    usleep((useconds_t)atoi(pause));
  }
  const int failed = REAL(name, int (*)(int))(fd);
  const int why = errno;
  if (is_segment && failed == 0) note(path, length);
  errno = why;
  return failed;
}

int fdatasync(int fd) { return sync_file("fdatasync", fd); }

int fsync(int fd) { return sync_file("fsync", fd); }

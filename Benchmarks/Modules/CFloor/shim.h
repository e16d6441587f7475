#pragma once

#include <hiredis/hiredis.h>
#include <poll.h>
#include <stdint.h>

/* Calls of Linux that Swift cannot import: they are variadic, or hidden unless _GNU_SOURCE is defined. */
#ifdef __linux__
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Reads or sets the cores of a thread, one bit for each; 0 is the calling thread. */
static inline long lockbench_get_cores(int thread, uint8_t *cores, size_t size) {
  return syscall(SYS_sched_getaffinity, thread, size, cores);
}

static inline long lockbench_set_cores(int thread, const uint8_t *cores, size_t size) {
  return syscall(SYS_sched_setaffinity, thread, size, cores);
}
#endif

/* Makes this thread's waits end in time, rather than up to 50 µs late. */
static inline void lockbench_exact_timers(void) {
#ifdef __linux__
  prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
#endif
}

/* Calls poll(2) for this many nanoseconds, or for ever if the number is negative. */
static inline void lockbench_poll(struct pollfd *polls, nfds_t count, int64_t nanoseconds) {
#ifdef __linux__
  long time[] = {nanoseconds / 1000000000, nanoseconds % 1000000000}; /* a timespec */
  syscall(SYS_ppoll, polls, count, nanoseconds < 0 ? NULL : time, NULL, 0);
#else
  poll(polls, count, nanoseconds < 0 ? -1 : (int)((nanoseconds + 999999) / 1000000));
#endif
}

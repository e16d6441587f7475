// The last resort, which depends on neither Swift nor Dispatch: when no thread can be created, when this program is
// stopped, hangs or is killed, a process of its own ends the command in time.
//
// It is forked before the lock is asked for. It leads the command's process group, so that the command is not a
// leader itself: setsid(1) would fork then, and the lock would be released while its command runs. As long as it is
// not reaped, the number of the group cannot become another's.

#include "CChildProcess.h"
#include "Internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#ifdef __linux__
#include <sys/prctl.h>
#endif

/// What both processes see.
struct shared {
  /// When to end the command and this process; 0 for never.
  _Atomic int64_t deadline;
  /// The command; 0 while there is none. Set to 0 before it is reaped.
  _Atomic pid_t child;
  _Atomic int is_over;
};

static struct shared *shared;
static pid_t guardian;
static int life_line = -1;

pid_t child_process_group(void) { return guardian; }

void child_process_note(pid_t child) {
  if (shared) atomic_store(&shared->child, child);
}

/// A clock that goes on while the machine sleeps, as the server's does.
static int64_t now(void) {
  struct timespec time;
#ifdef __linux__
  clock_gettime(CLOCK_BOOTTIME, &time);
#else
  clock_gettime(CLOCK_MONOTONIC_RAW, &time);
#endif
  return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static void kill_command(pid_t tool_group) {
  pid_t child = atomic_load(&shared->child);
  // Out of the group, to survive its end; that fails when nothing is left of the other one.
  setpgid(0, tool_group);
  if (child > 0) kill(child, SIGKILL);
  kill(-guardian, SIGKILL);
}

/// Waits for the other end of the life line to be closed; whether that was so in time.
static int wait_for_end(int line, int milliseconds) {
  struct pollfd entry = {.fd = line, .events = POLLIN};
  return poll(&entry, 1, milliseconds) > 0;
}

/// Whether a process is stopped, and so does nothing that would have to be ended.
static int is_stopped(pid_t process) {
#ifdef __linux__
  char path[32], stat[256];
  // Without snprintf, which may allocate memory: this process was forked from one with threads.
  char *end = path + sizeof path, *start = end;
  const char *suffix = "/stat";
  *--start = 0;
  for (int i = 4; i >= 0; i--) *--start = suffix[i];
  do *--start = (char)('0' + process % 10);
  while (process /= 10);
  const char *prefix = "/proc/";
  for (int i = 5; i >= 0; i--) *--start = prefix[i];
  int file = open(start, O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  ssize_t length = read(file, stat, sizeof stat);
  close(file);
  // The name in parentheses may hold anything.
  while (length > 2 && stat[length - 1] != ')') length--;
  return length > 2 && length + 1 < (ssize_t)sizeof stat && stat[length + 1] == 'T';
#else
  (void)process;
  return 0;
#endif
}

static void guard(int line, pid_t tool, pid_t tool_group) {
  for (;;) {
    int64_t deadline = atomic_load(&shared->deadline);
    int64_t left = deadline ? deadline - now() : 1000000000;
    if (left <= 0) break;
    // Not for long at a time: the clock of poll(2) stops while the machine sleeps.
    int milliseconds = left > 250000000 ? 250 : (int)(left / 1000000) + 1;
    if (wait_for_end(line, milliseconds)) {
      if (!atomic_load(&shared->is_over)) kill_command(tool_group);
      return;
    }
  }
  kill_command(tool_group);
  // It may still say how it came to that, if it can, or when a shell lets it go on.
  while (!wait_for_end(line, 2000))
    if (!is_stopped(tool)) {
      kill(tool, SIGKILL);
      return;
    }
}

int child_process_guardian_start(void) {
  shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) {
    shared = NULL;
    return -1;
  }
  int line[2];
  if (pipe(line) != 0) return -1;
  fcntl(line[0], F_SETFD, FD_CLOEXEC);
  fcntl(line[1], F_SETFD, FD_CLOEXEC);
  sigset_t all, former;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &former);
  pid_t tool = getpid(), tool_group = getpgrp();
  pid_t child = fork();
  if (child == 0) {
    guardian = getpid();
    setpgid(0, 0);
#ifdef __linux__
    prctl(PR_SET_NAME, "redis-lock-grd");
#endif
    // Whoever reads what this process writes must not wait for the guardian.
    long most = sysconf(_SC_OPEN_MAX);
    if (most < 0 || most > 65536) most = 65536;
    for (int number = 0; number < most; number++)
      if (number != line[0]) close(number);
    guard(line[0], tool, tool_group);
    _exit(0);
  }
  int error = errno;
  pthread_sigmask(SIG_SETMASK, &former, NULL);
  close(line[0]);
  if (child < 0) {
    close(line[1]);
    errno = error;
    return -1;
  }
  // Here as well: nobody knows which of both comes first.
  setpgid(child, child);
  guardian = child;
  life_line = line[1];
#ifdef __linux__
  // What leaves the command's group stays below this process, to be ended with it.
  prctl(PR_SET_CHILD_SUBREAPER, 1);
#endif
  return 0;
}

void child_process_guardian_renew(int64_t nanoseconds) {
  if (shared) atomic_store(&shared->deadline, now() + (nanoseconds > 0 ? nanoseconds : 0));
}

void child_process_guardian_end(void) {
  if (!shared) return;
  atomic_store(&shared->is_over, 1);
  close(life_line);
  life_line = -1;
}

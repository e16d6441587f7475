// The environments of other processes. To read one, the kernel locks the process's memory. So a read waits as long as
// that process hangs with its memory locked, for example in a file system whose server does not answer. Only a kill
// ends that wait. So nothing that has to go on reads them itself: a helper does.

#ifdef __linux__
#define _GNU_SOURCE

#include "CChildProcess.h"
#include "Internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
  /// How many milliseconds a read that waits for a processor may take, before others go on without it.
  ///
  /// Less if it waits for anything else, and still less after some of those.
  /// Many of them must not outlive the lock. If one does not hang after all, its helper goes on.
  patience = 100,
  patience_if_blocked = 10,
  patience_with_many = 2,
  many = 8,
  /// How many helpers may hang.
  most_helpers = 256,
  /// How many processes without the mark are remembered.
  most_unmarked = 65536,
};

/// What a helper reads.
struct progress {
  /// Whether others have gone on without it.
  _Atomic int is_left_behind;
  _Atomic int is_reading, is_done;
  /// How many reads it has begun.
  _Atomic unsigned reads;
  pid_t id;
  unsigned long long start;
};

/// Whether this process is a helper, which may wait; and where it notes its progress.
static int is_helper;
static struct progress *progress;

/// Processes without the mark, at the places of their ids: the next helper need not read their environments again.
static _Atomic uint64_t *unmarked;

/// The processes whose environments were not read in time.
static struct {
  pid_t id;
  unsigned long long start;
} stuck[most_helpers];
static int stuck_count;

int child_process_is_late(void) { return progress && atomic_load(&progress->is_left_behind); }

/// What no other process has had or will have.
static uint64_t identity(pid_t process, unsigned long long start) { return (uint64_t)start << 22 | (uint64_t)process; }

static int64_t milliseconds_now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

pid_t child_process_fork_helper(void) {
  sigset_t all, former;
  sigfillset(&all);
  // Signals are for the handlers of this process alone.
  sigprocmask(SIG_SETMASK, &all, &former);
  // From its first moment on, so that it is not taken for one of the command's processes.
  char name[16] = "";
  prctl(PR_GET_NAME, name);
  prctl(PR_SET_NAME, CHILD_PROCESS_GUARDIAN_NAME);
  // Not by fork(2), whose handlers in libraries could wait for threads that are not here. And without a signal at its
  // end, so that a thread that waits for any child does not notice it.
  pid_t helper = (pid_t)syscall(SYS_clone, 0, 0, 0, 0, 0);
  if (helper == 0) {
    is_helper = 1;
    return 0;
  }
  int error = errno;
  prctl(PR_SET_NAME, name);
  sigprocmask(SIG_SETMASK, &former, NULL);
  errno = error;
  return helper;
}

void child_process_end_helper(pid_t helper) {
  struct timespec pause = {0, 1000000};
  kill(helper, SIGKILL);
  // Not for ever: some waits in the kernel end for no signal.
  for (int i = 0; i < 20 && waitpid(helper, NULL, __WCLONE | WNOHANG) == 0; i++) nanosleep(&pause, NULL);
}

/// Reads an environment, which may take for ever; `is_whole` is set to 1 if all of it was read at once.
static enum finding read_mark(pid_t thread, int *is_whole) {
  static char text[65536];
  size_t length;
  const char *mark = child_process_own_mark(&length);
  if (!mark) return not_found;
  int file = child_process_open(thread, "environ");
  if (file < 0) return errno == ENOENT || errno == ESRCH ? vanished : not_found;
  enum finding finding = empty;
  text[0] = 0;
  size_t kept = 1;
  ssize_t count;
  int reads = 0, is_full = 0;
  while (finding != found && (count = read(file, text + kept, sizeof text - kept)) > 0) {
    size_t end = kept + (size_t)count;
    reads++;
    is_full = end == sizeof text;
    finding = memmem(text, end, mark, length) ? found : not_found;
    kept = end < length - 1 ? end : length - 1;
    memmove(text, text + end - kept, kept);
  }
  close(file);
  // At an exec between two reads, the rest is gone: what then follows looks like the end.
  if (finding == not_found && is_full) finding = empty;
  if (is_whole) *is_whole = reads == 1;
  return finding;
}

static int is_stuck(pid_t process, unsigned long long start) {
  for (int i = 0; i < stuck_count; i++)
    if (stuck[i].id == process && stuck[i].start == start) return 1;
  return 0;
}

static void note_stuck(pid_t process, unsigned long long start) {
  if (stuck_count == most_helpers) return;
  stuck[stuck_count].id = process;
  stuck[stuck_count++].start = start;
}

/// Whether a helper that reads waits for anything but a processor.
static int is_blocked(pid_t helper) {
  char line[512];
  int file = child_process_open(helper, "stat");
  if (file < 0) return 0;
  ssize_t length = read(file, line, sizeof line - 1);
  close(file);
  line[length > 0 ? length : 0] = 0;
  const char *end = strrchr(line, ')');
  return end && (end[2] == 'D' || end[2] == 'S');
}

/// How many milliseconds the read of a helper may take.
static int64_t patience_with(pid_t helper) {
  return !is_blocked(helper) ? patience : stuck_count < many ? patience_if_blocked : patience_with_many;
}

/// Reads an environment in a helper, and notes its progress.
static enum finding read_with_progress(pid_t process, unsigned long long start, pid_t thread) {
  if (!progress) return read_mark(thread, NULL);
  _Atomic uint64_t *place = &unmarked[process % most_unmarked];
  if (atomic_load(place) == identity(process, start)) return not_found;
  progress->id = process;
  progress->start = start;
  atomic_fetch_add(&progress->reads, 1);
  atomic_store(&progress->is_reading, 1);
  int is_whole = 0;
  enum finding finding = read_mark(thread, &is_whole);
  atomic_store(&progress->is_reading, 0);
  if (finding == not_found && is_whole) atomic_store(place, identity(process, start));
  return finding;
}

/// Reads environments one after the other, and writes what it finds.
_Noreturn static void answer(const struct suspect *suspects, int count, int answers) {
  child_process_close_others(answers, answers);
  for (int i = 0; i < count; i++) {
    int is_skipped = is_stuck(suspects[i].id, suspects[i].start);
    char finding = is_skipped ? not_found : (char)read_mark(suspects[i].thread, NULL);
    if (write(answers, &finding, 1) != 1) _exit(1);
  }
  _exit(0);
}

/// Reads environments in a helper, until that hangs at one; returns how many there is a finding of, at least one.
static int read_in_helper(struct suspect *suspects, int count) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    suspects->finding = read_mark(suspects->thread, NULL);
    return 1;
  }
  pid_t helper = child_process_fork_helper();
  if (helper == 0) answer(suspects, count, ends[1]);
  close(ends[1]);
  int known = 0, is_over = helper < 0;
  if (is_over) suspects[known++].finding = read_mark(suspects->thread, NULL);
  struct pollfd entry = {.fd = ends[0], .events = POLLIN};
  for (int64_t begin = milliseconds_now(); known < count && !is_over;) {
    char findings[256];
    if (poll(&entry, 1, 1) > 0) {
      ssize_t length = read(ends[0], findings, sizeof findings);
      for (int i = 0; i < length; i++) suspects[known++].finding = findings[i];
      is_over = length <= 0;
      begin = milliseconds_now();
    } else if (milliseconds_now() - begin >= patience_with(helper)) {
      note_stuck(suspects[known].id, suspects[known].start);
      suspects[known++].finding = not_found;
      is_over = 1;
    }
  }
  // One that was killed.
  if (known == 0) suspects[known++].finding = not_found;
  if (helper > 0) child_process_end_helper(helper);
  close(ends[0]);
  return known;
}

void child_process_look_for_marks(struct suspect *suspects, int count) {
  for (int i = 0; i < count;) {
    struct suspect *suspect = &suspects[i];
    if (!is_helper && !is_stuck(suspect->id, suspect->start)) {
      // One helper for many: to start and end one takes longer than to read.
      i += read_in_helper(suspect, count - i);
      continue;
    }
    int is_skipped = is_stuck(suspect->id, suspect->start);
    suspect->finding = is_skipped ? not_found : read_with_progress(suspect->id, suspect->start, suspect->thread);
    i++;
  }
}

void child_process_forget_stuck(void) { stuck_count = 0; }

void child_process_read_anyway(void) { is_helper = 1; }

/// Waits for a helper; returns 0 if it hangs. One that was killed counts as ended.
static int await_helper(pid_t helper, struct progress *its) {
  struct timespec pause = {0, 1000000};
  unsigned reads = 0;
  int64_t since = milliseconds_now();
  while (waitpid(helper, NULL, __WCLONE | WNOHANG) == 0) {
    int64_t time = milliseconds_now();
    unsigned now = atomic_load(&its->reads);
    if (now != reads || !atomic_load(&its->is_reading)) since = time;
    reads = now;
    if (time - since >= patience_with_many && time - since >= patience_with(helper)) return 0;
    // It may have been stopped.
    kill(helper, SIGCONT);
    nanosleep(&pause, NULL);
  }
  return 1;
}

int child_process_run_apart(void (*run)(void)) {
  static struct progress *all;
  static pid_t hanging[most_helpers];
  // A helper that hangs may go on at any time, so that its place is not used again.
  static int used, freed;
  if (!all) {
    size_t size = most_helpers * sizeof *all;
    all = mmap(NULL, size + most_unmarked * sizeof *unmarked, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (all == MAP_FAILED) all = NULL;
    if (all) unmarked = (_Atomic uint64_t *)((char *)all + size);
  }
  child_process_forget_stuck();
  while (all && used < most_helpers) {
    struct progress *its = &all[used];
    pid_t helper = child_process_fork_helper();
    if (helper == 0) {
      progress = its;
      run();
      atomic_store(&its->is_done, 1);
      _exit(0);
    }
    if (helper < 0) {
      // The user may start no more processes: rather the next than the ones that hang.
      if (freed == used) return -1;
      if (hanging[freed]) child_process_end_helper(hanging[freed]);
      freed++;
      continue;
    }
    int has_ended = await_helper(helper, its);
    hanging[used++] = has_ended ? 0 : helper;
    if (has_ended && atomic_load(&its->is_done)) return 0;
    if (has_ended) continue;
    atomic_store(&its->is_left_behind, 1);
    note_stuck(its->id, its->start);
  }
  return all ? 0 : -1;
}
#endif

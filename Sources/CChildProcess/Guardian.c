// The last resort, which depends on neither Swift nor Dispatch: a separate process that ends the command in time.
// It does so even if no thread can be created, or if this program is stopped, hangs or is killed.
//
// It is forked before the lock is requested. It leads the command's process group, so that the command is not a
// leader itself. Otherwise setsid(1) would fork, and the lock would be released while its command runs. As long as
// it is not reaped, the number of the group is not reused.
//
// A command that stays in the tool's group is not a leader either, and the guardian's group has no other member.

#ifdef __linux__
#define _GNU_SOURCE
#endif

#include "CChildProcess.h"
#include "Internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifdef __linux__
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#endif

/// Whether a guardian has timers that continue it; 0 if that is not known yet.
enum { has_timers = 1, no_timers = 2 };

/// The memory that both processes share.
struct shared {
  /// When to end the command and this process; 0 for never.
  _Atomic int64_t deadline;
  /// The command; 0 while there is none. Set to 0 before it is reaped.
  _Atomic pid_t child;
  /// When that was started, by the clock of /proc; 0 if that is not known.
  _Atomic unsigned long long start_of_child;
  /// Whether the deadline has passed, and the guardian has ended the command.
  _Atomic int was_due;
  /// Whether the command had ended by itself when the guardian came to that.
  _Atomic int had_ended;
  _Atomic int is_over, is_awake;
  /// How many processes the tool has looked at to find what the command has left.
  _Atomic unsigned progress;
  /// Whether the command stays in the tool's group; set before there is any other process.
  int stays_in_job;
  /// Whether the command, or what it has started, has the terminal, as far as the tool knows; and whether it ever had.
  _Atomic int has_terminal, had_terminal;
  /// What the command's process had got from its group before it was this command, and how many signals the tool had
  /// received by then.
  _Atomic uint64_t inherited;
  _Atomic unsigned receipts_at_start, receipts;
  _Atomic int has_begun;
  /// The signal that the terminal has sent to the command's group, such as SIGINT for Ctrl-C; 0 for none.
  _Atomic int typed;
  /// The text that all processes of the command have in their environment.
  char mark[512];
  /// Its length; 0 while there is none.
  _Atomic size_t mark_length;
};

static struct shared *shared;
static pid_t guardian;
/// The command's group, which the first guardian leads, and its latest guardian: as long as that is not reaped, the
/// group's number is not reused.
static pid_t group, keeper;
/// The tool's group, to which the terminal belongs when the command has ended.
static pid_t tool_group;
/// The ends of the pipes by which guardians notice the end of this process; the first is that of a guardian which has a
/// successor.
static int former_life_line = -1, life_line = -1;
/// For the thread that waits for the command and the one that kills it: each may need another guardian.
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;

pid_t child_process_group(void) { return group; }

pid_t child_process_tool_group(void) { return tool_group; }

int child_process_stays_in_job(void) { return shared && shared->stays_in_job; }

pid_t child_process_command(void) { return shared ? atomic_load(&shared->child) : 0; }

int child_process_is_guardian(pid_t process) {
  return process == guardian || process == keeper || process == group;
}

/// Whether it is killed with the command's group. Under `turn`, as the end of the life line.
static int is_expendable;

void child_process_note(pid_t child) {
  if (!shared) return;
  if (child) atomic_store(&shared->start_of_child, child_process_start_of(child));
  atomic_store(&shared->child, child);
}

/// Held while the command is signalled.
static pthread_mutex_t signalling = PTHREAD_MUTEX_INITIALIZER;
/// The command, as long as it may be signalled. Under `signalling`.
static pid_t signalled;

int child_process_keep(pid_t child) {
  pthread_mutex_lock(&signalling);
  if (child > 0 && child == signalled) return 1;
  pthread_mutex_unlock(&signalling);
  errno = ESRCH;
  return 0;
}

void child_process_let_go(void) { pthread_mutex_unlock(&signalling); }

void child_process_set_signalled(pid_t child) {
  pthread_mutex_lock(&signalling);
  signalled = child;
  pthread_mutex_unlock(&signalling);
}

int child_process_is_command(pid_t process) {
  unsigned long long start = shared ? atomic_load(&shared->start_of_child) : 0, now = child_process_start_of(process);
  // /proc may hide it, as it does other users' processes where it is mounted with hidepid.
  return process > 0 && (start == 0 || now == 0 || now == start);
}

void child_process_note_begin(void) {
  if (!shared || !shared->stays_in_job) return;
  // What was sent before the fork has been counted by then.
  struct timespec moment = {0, 1000000};
  nanosleep(&moment, NULL);
  // In this order: of what is counted, that which was sent after the fork is pending.
  atomic_store(&shared->receipts_at_start, atomic_load(&shared->receipts));
  sigset_t pending;
  sigpending(&pending);
  uint64_t inherited = 0;
  for (int number = 1; number <= 64; number++)
    if (sigismember(&pending, number) == 1) inherited |= (uint64_t)1 << (number - 1);
  atomic_store(&shared->inherited, inherited);
  atomic_store(&shared->has_begun, 1);
}

void child_process_await_begin(pid_t child) {
  if (!shared || !shared->stays_in_job) return;
  struct timespec pause = {0, 200000};
  for (int i = 0; i < 500 && !atomic_load(&shared->has_begun); i++) {
    siginfo_t info = {.si_pid = 0};
    if (waitid(P_PID, (id_t)child, &info, WEXITED | WSTOPPED | WNOHANG | WNOWAIT) != 0 || info.si_pid) return;
    nanosleep(&pause, NULL);
  }
}

int child_process_has_missed(int signal, unsigned receipt) {
  if (!child_process_stays_in_job()) return 0;
  if ((int)(receipt - atomic_load(&shared->receipts_at_start)) >= 0) return 0;
  return signal > 64 || !(atomic_load(&shared->inherited) >> (signal - 1) & 1);
}

_Atomic unsigned *child_process_shared_receipts(void) { return shared ? &shared->receipts : NULL; }

void child_process_note_fork(void) {
  if (shared) atomic_store(&shared->receipts_at_start, atomic_load(&shared->receipts));
}

void child_process_mark(const char *variable) {
  const char *value = strchr(variable, '=');
  size_t length = value ? strlen(++value) : 0;
  if (!shared || !length || length > sizeof shared->mark) return;
  memcpy(shared->mark, value, length);
  atomic_store(&shared->mark_length, length);
}

/// A clock that goes on while the machine sleeps, like the server's.
static int64_t now(void) {
  struct timespec time;
#ifdef __linux__
  clock_gettime(CLOCK_BOOTTIME, &time);
#else
  clock_gettime(CLOCK_MONOTONIC_RAW, &time);
#endif
  return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

int child_process_is_due(void) {
  if (!shared) return 0;
  int64_t deadline = atomic_load(&shared->deadline);
  // A guardian that has seen the deadline pass may not have seen the process that asks.
  return atomic_load(&shared->was_due) || (deadline && deadline <= now());
}

void child_process_note_progress(void) {
  if (shared && getpid() != guardian) atomic_fetch_add(&shared->progress, 1);
}

unsigned child_process_progress(void) { return shared ? atomic_load(&shared->progress) : 0; }

int child_process_was_due(void) { return shared && atomic_load(&shared->was_due); }

int child_process_had_ended(void) { return shared && atomic_load(&shared->had_ended); }

int child_process_has_ended(pid_t child) {
  siginfo_t info = {.si_pid = 0};
  return waitid(P_PID, (id_t)child, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0;
}

void child_process_note_terminal(int is_lent) {
  if (!shared) return;
  atomic_store(&shared->has_terminal, is_lent);
  if (is_lent) atomic_store(&shared->had_terminal, 1);
}

int child_process_has_terminal(void) { return shared && atomic_load(&shared->has_terminal); }

int child_process_has_had_terminal(void) { return shared && atomic_load(&shared->had_terminal); }

const char *child_process_own_mark(size_t *length) {
  *length = shared ? atomic_load(&shared->mark_length) : 0;
  return *length ? shared->mark : NULL;
}

/// Leaves the command's group for one of this process's own, to survive its end; returns whether it could.
///
/// No other group would do: it may be killed meanwhile, as the tool's is, or be that of another run's command.
static int leave_group(void) {
#ifdef __linux__
  pid_t own = getpid();
  // Without the handlers of libraries for fork(2), which could wait for threads that are not here.
  pid_t helper = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
  if (helper == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    // This process may have ended before.
    if (getppid() != own) _exit(0);
    for (;;) pause();
  }
#else
  pid_t helper = fork();
  if (helper == 0)
    for (;;) pause();
#endif
  // If this process does not lead the group, the helper stays in it, and is not reaped, so that its number is not
  // reused.
  if (getpid() != group) return setpgid(0, 0) == 0;
  if (helper < 0) return 0;
  // A leader can only join a group.
  int is_done = setpgid(helper, helper) == 0 && setpgid(0, helper) == 0;
  kill(helper, SIGKILL);
  return is_done;
}

#if defined(__linux__) && defined(__LP64__)
/// How many timers continue a guardian that is stopped.
enum { most_timers = 12 };

/// How many signals the user may have pending, according to this process, and how many there are; returns 0 if that is
/// not known.
static int count_pending(long *used, long *most) {
  char text[4096];
  int file = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  ssize_t length = read(file, text, sizeof text - 1);
  close(file);
  text[length > 0 ? length : 0] = 0;
  char *counts = strstr(text, "\nSigQ:\t");
  if (!counts) return 0;
  *used = strtol(counts + 7, &counts, 10);
  if (*counts != '/') return 0;
  *most = strtol(counts + 1, NULL, 10);
  return 1;
}

/// How many timers this process may have: each takes one of the signals that the user may have pending (`ulimit -i`), of
/// which the command gets half.
static int count_timers(void) {
  long used, most;
  if (!count_pending(&used, &most)) return most_timers;
  // Then the command cannot have any in any case.
  if (most == 0) return most_timers;
  long half = (most - used) / 2;
  return half < 1 ? 1 : half > most_timers ? most_timers : (int)half;
}

/// Creates timers that continue this process; returns how many there are.
static int create_timers(int *timers) {
  int most = count_timers();
  struct rlimit limit;
  if (getrlimit(RLIMIT_SIGPENDING, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_SIGPENDING, &limit);
  }
  // A signal that is already pending, and blocked, still continues a process; it is only not sent twice.
  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGCONT};
  int count = 0;
  // Not the functions of the C library, which older ones keep in a library of its own.
  while (count < most && syscall(SYS_timer_create, CLOCK_BOOTTIME, &event, &timers[count]) == 0) count++;
  return count;
}
#endif

/// Makes the system continue this process some time after so many milliseconds, if it is stopped by then.
///
/// It cannot be kept stopped together with the tool, as by `pkill -STOP`, while the lock ends. Linux only.
static void stay_awake(int milliseconds) {
#if defined(__linux__) && defined(__LP64__)
  static int timers[most_timers], count;
  if (count == 0) count = create_timers(timers);
  atomic_store(&shared->is_awake, count > 0 ? has_timers : no_timers);
  // A stop takes back a signal to continue that has not yet had its effect, so there have to be others. A timer with an
  // interval would not do: since Linux 6.13, one whose signal was taken back does not go on.
  // The first at once: the shortest time that the guardian has is a few milliseconds.
  long later = 1;
  for (int i = 0; i < count; i++, later = later < 20 ? 20 : later * 2 + 10) {
    long total = milliseconds + later;
    struct itimerspec time = {.it_value = {total / 1000, total % 1000 * 1000000}};
    syscall(SYS_timer_settime, timers[i], 0, &time, NULL);
  }
#else
  (void)milliseconds;
  atomic_store(&shared->is_awake, has_timers);
#endif
}

int child_process_guardian_can_stay_awake(void) {
  struct timespec pause = {0, 1000000};
  // It may have been forked a moment ago.
  for (int i = 0; i < 100 && shared && !atomic_load(&shared->is_awake); i++) nanosleep(&pause, NULL);
  return !shared || atomic_load(&shared->is_awake) != no_timers;
}

/// Kills the command and all that it has started; `tool` is 0 if this program has ended.
static void kill_command(pid_t tool) {
  stay_awake(20);
  pid_t child = atomic_load(&shared->child);
  int survives = leave_group();
  if (child_process_is_command(child)) {
    // As long as the tool is there, it is the parent of whatever loses its own.
    if (!tool) child_process_kill_tree(child);
    // It may lead a group of its own.
    if (getpgid(child) == child) kill(-child, SIGKILL);
    kill(child, SIGKILL);
  }
  if (survives) kill(-group, SIGKILL);
  child_process_kill_rest(tool, NULL);
#ifdef __linux__
  // By now there may be room for the helper.
  if (!survives && leave_group()) kill(-group, SIGKILL);
#else
  if (!survives) kill(-group, SIGKILL);
#endif
}

/// Signals the tool's group, unless that is out of sight: in a PID namespace it has the number 0.
static void signal_tool_group(int signal) {
  if (tool_group > 0) kill(-tool_group, signal);
}

/// Gives the terminal of a command whose tool has been killed back to the tool's group, which may be a script's.
///
/// A script that reads from the terminal before that is stopped, so it is continued.
static void give_terminal_back(void) {
  int terminal = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (terminal < 0) return;
  pid_t owner = tcgetpgrp(terminal);
  // A shell that was the command may have made a group of its own the terminal's, which may be gone by now.
  int is_commands =
      owner == group || (owner > 0 && owner != tool_group && child_process_has_terminal() && child_process_group_is_left(owner));
  // The look took time, and a shell may have taken the terminal meanwhile. All signals are blocked here, also SIGTTOU.
  if (is_commands && tcgetpgrp(terminal) == owner && tcsetpgrp(terminal, tool_group) == 0) signal_tool_group(SIGCONT);
  close(terminal);
}

/// Waits for the other end of the life line to be closed; returns whether that was in time.
static int wait_for_end(int line, int milliseconds) {
  stay_awake(milliseconds);
  struct pollfd entry = {.fd = line, .events = POLLIN};
  return poll(&entry, 1, milliseconds) > 0;
}

/// The state of a process, according to Linux.
struct look {
  /// For example `T` for a stopped process; 0 if it cannot be known.
  char state;
  /// Whether it is to stop with SIGTSTP, and has not done so yet.
  int is_to_stop;
};

static struct look look_at(pid_t process) {
  struct look look = {0, 0};
#ifdef __linux__
  char text[4096];
  int file = child_process_open(process, "status");
  if (file < 0) return look;
  ssize_t length = read(file, text, sizeof text - 1);
  close(file);
  text[length > 0 ? length : 0] = 0;
  // The name may contain anything, but no line feed.
  const char *state = strstr(text, "\nState:\t"), *pending = strstr(text, "\nShdPnd:\t");
  const char *threads = strstr(text, "\nThreads:\t");
  if (state) look.state = state[8];
  // A process whose first thread has ended looks like one that has ended.
  if (look.state == 'Z' && threads && strtol(threads + 10, NULL, 10) > 1)
    look.state = child_process_state_of_other_thread(process);
  if (pending) look.is_to_stop = (strtoull(pending + 9, NULL, 16) >> (SIGTSTP - 1)) & 1;
#else
  (void)process;
#endif
  return look;
}

/// Whether a process does nothing until something continues it: a signal (`T`) or a debugger (`t`).
static int is_stopped(pid_t process) {
  char state = look_at(process).state;
  return state == 'T' || state == 't';
}

int child_process_has_stayed_stopped(pid_t child) {
#ifdef __linux__
  struct timespec moment = {0, 5000000};
  nanosleep(&moment, NULL);
  return is_stopped(child);
#else
  (void)child;
  return 1;
#endif
}

/// How often in a row a command has to be seen not to need help before that is believed.
static const int most_looks = 20;

#ifdef __linux__
/// The signals of the terminal: this process's group gets them, too.
static sigset_t signals_of_terminal(void) {
  const int numbers[] = {SIGINT, SIGQUIT, SIGTSTP, SIGHUP, SIGWINCH};
  sigset_t set;
  sigemptyset(&set);
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) sigaddset(&set, numbers[i]);
  return set;
}
#endif

/// Passes on that the terminal has hung up: the system tells the group that had it, and no other part of the job.
static void hang_up(int line) {
  // If the tool has been killed, it is about that: the group is an orphan. But this very signal may have ended the
  // command, and the tool is about to end as well.
  if (!child_process_has_terminal() || (wait_for_end(line, 0) && !atomic_load(&shared->is_over))) return;
  child_process_tell_guardian(tool_group, SIGHUP);
  signal_tool_group(SIGHUP);
}

/// Notes a signal of the terminal, since the command cannot tell. Returns whether it is meant to stop the command.
///
/// All signals are blocked here, so it is pending.
static int note_typed(int line, pid_t tool) {
  int is_to_stop = 0;
#ifdef __linux__
  sigset_t typed = signals_of_terminal();
  struct timespec zero = {0, 0};
  siginfo_t info;
  while (sigtimedwait(&typed, &info, &zero) > 0) {
    // From the kernel, and not from a process other than a run within the command; a stop may have been typed while the
    // other group had the terminal.
    int is_relayed = info.si_code == SI_QUEUE && info.si_value.sival_int == child_process_typed_mark;
    int is_typed = info.si_code == SI_KERNEL || is_relayed;
    if (info.si_signo == SIGTSTP)
      is_to_stop = is_to_stop || is_typed || info.si_pid == tool;
    else if (is_typed && (info.si_signo == SIGINT || info.si_signo == SIGQUIT))
      atomic_store(&shared->typed, info.si_signo);
    if (is_typed && info.si_signo == SIGHUP)
      hang_up(line);
    else if (info.si_code == SI_KERNEL)
      child_process_follow(atomic_load(&shared->child), info.si_signo);
  }
#endif
  return is_to_stop;
}

/// Helps a command to stop if it waits in vfork(2) for a child that was itself stopped before its exec. A shell
/// would hang like that for ever.
///
/// Only for a command that has not stopped yet, since another process may have continued it. Returns whether there
/// was one; on a busy machine this may take many attempts.
static int help_to_stop(void) {
  pid_t child = atomic_load(&shared->child);
  if (child <= 0) return 0;
  struct look look = look_at(child);
  if (look.state != 'D' || !look.is_to_stop) return 0;
  struct timespec moment = {0, 5000000};
  kill(-group, SIGCONT);
  nanosleep(&moment, NULL);
  kill(-group, SIGTSTP);
  return 1;
}

/// Ends what a kill has missed: a stopped tool does not see that, and does nothing that would have to be ended.
///
/// The longer there is nothing, the longer the pause in milliseconds, since looking takes time.
static void kill_missed(pid_t tool, int *pause) {
  int has_found = 0;
  child_process_kill_rest(tool, &has_found);
  *pause = has_found ? 100 : *pause < 1600 ? *pause * 2 : 1600;
}

/// Waits for the end of the tool like `wait_for_end`, but not while there is a signal of the terminal.
static int wait_for_event(int line, int signals, int milliseconds) {
  stay_awake(milliseconds);
  struct pollfd entries[] = {{.fd = line, .events = POLLIN}, {.fd = signals, .events = POLLIN}};
  return poll(entries, 2, milliseconds) > 0 && entries[0].revents;
}

static void guard(int line, pid_t tool) {
  int looks = 0, signals = -1;
#ifdef __linux__
  sigset_t of_terminal = signals_of_terminal();
  signals = signalfd(-1, &of_terminal, SFD_CLOEXEC);
#endif
  for (;;) {
    int64_t deadline = atomic_load(&shared->deadline);
    int64_t left = deadline ? deadline - now() : 1000000000;
    if (left <= 0) break;
    // Only for short times: the clock of poll(2) stops while the machine sleeps.
    int longest = looks > 0 ? 50 : deadline || signals >= 0 ? 250 : 20;
    int milliseconds = left > longest * 1000000LL ? longest : (int)(left / 1000000) + 1;
    int is_ended = wait_for_event(line, signals, milliseconds);
    int is_to_stop = note_typed(line, tool);
    if (is_ended) {
      if (atomic_load(&shared->is_over)) return;
#ifdef __linux__
      // At once, since a script may be about to use it. Apart, since to look at processes may take for ever.
      pid_t helper = child_process_fork_helper();
      if (helper == 0) {
        give_terminal_back();
        _exit(0);
      }
#endif
      kill_command(0);
#ifdef __linux__
      if (helper > 0) child_process_end_helper(helper);
#endif
      give_terminal_back();
      return;
    }
    // A moment later, so that a command that is just stopping is not taken for one that cannot stop.
    if (looks > 0) looks = help_to_stop() ? most_looks : looks - 1;
    if (is_to_stop) looks = most_looks;
  }
  if (look_at(atomic_load(&shared->child)).state == 'Z') atomic_store(&shared->had_ended, 1);
  atomic_store(&shared->was_due, 1);
  kill_command(tool);
  // The tool may still report how that happened, if it can, or when a shell continues it. Milliseconds.
  unsigned progress = 0;
  for (int idle = 0, running = 0, pause = 100; !wait_for_end(line, pause);) {
    if (is_stopped(tool)) {
      idle = running = 0;
      kill_missed(tool, &pause);
      continue;
    }
    // One that was just continued gets its time.
    pause = 100;
    running += pause;
    // It may need longer where there are many processes, and descendants that it misses are found by no other.
    unsigned former = progress;
    progress = child_process_progress();
    idle = progress != former && running < 60000 ? 0 : idle + pause;
    if (idle > 4000) {
      kill(tool, SIGKILL);
      break;
    }
  }
  // The tool may have been killed meanwhile, and then the rest does not descend from it any more.
  if (atomic_load(&shared->is_over)) return;
  child_process_kill_rest(0, NULL);
  give_terminal_back();
}

/// Ends what is left of the command if the tool is killed or stopped while it does that itself.
static void guard_rest(int line, pid_t tool) {
  for (int pause = 100; !wait_for_end(line, pause);)
    if (is_stopped(tool))
      kill_missed(tool, &pause);
    else
      pause = 100;
  if (atomic_load(&shared->is_over)) return;
  child_process_kill_rest(0, NULL);
  give_terminal_back();
}

/// Closes all descriptors but those of a helper, which must not keep a process waiting that reads the output of this one.
void child_process_close_others(int first, int second) {
#ifdef SYS_close_range
  unsigned low = (unsigned)(first < second ? first : second), high = (unsigned)(first < second ? second : first);
  // At once, however many may be open. Older kernels lack it.
  if ((low == 0 || syscall(SYS_close_range, 0, low - 1, 0) == 0) &&
      (high - low < 2 || syscall(SYS_close_range, low + 1, high - 1, 0) == 0) &&
      syscall(SYS_close_range, high + 1, ~0u, 0) == 0)
    return;
#endif
  long most = sysconf(_SC_OPEN_MAX);
  if (most < 0 || most > 65536) most = 65536;
  for (int number = 0; number < most; number++)
    if (number != first && number != second) close(number);
}

/// Forks a guardian, which leads the command's group or joins it, or else is in a group of its own.
static int fork_guardian(int is_in_group, void (*guard)(int line, pid_t tool)) {
  int line[2];
  if (pipe(line) != 0) return -1;
  fcntl(line[0], F_SETFD, FD_CLOEXEC);
  fcntl(line[1], F_SETFD, FD_CLOEXEC);
  sigset_t all, former;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &former);
  pid_t tool = getpid();
  tool_group = getpgrp();
  pid_t child = fork();
  if (child == 0) {
    guardian = getpid();
    if (!group) group = guardian;
    setpgid(0, is_in_group ? group : 0);
#ifdef __linux__
    // So that a pkill(1) for this program does not match it.
    prctl(PR_SET_NAME, CHILD_PROCESS_GUARDIAN_NAME);
#endif
    child_process_close_others(line[0], line[0]);
    guard(line[0], tool);
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
  guardian = child;
  if (!group) group = child;
  if (is_in_group) keeper = child;
  // Here as well, since either process may come first.
  setpgid(child, is_in_group ? group : child);
  if (life_line >= 0) close(life_line);
  life_line = line[1];
  return 0;
}

#ifdef __linux__
/// A process that blocks all signals, and tells which ones it has got.
struct witness {
  pid_t process;
  /// The ends of the pipes for questions to it, and for its answers.
  int questions, answers;
};

/// In the tool's group, which tells nothing if the outsider has got the signal as well: a pattern such as that of
/// pkill(1) matches both, and the command not.
///
/// The outsider is forked first. A program that signals processes one by one, by their numbers or the reverse,
/// then reaches it before the other, or both before the tool.
static struct witness outsider = {0, -1, -1}, member = {0, -1, -1};
/// So that nothing is asked while they are being ended.
static pthread_mutex_t hearing = PTHREAD_MUTEX_INITIALIZER;

/// A question, or its answer.
struct question {
  int signal, id, is_sent;
  /// Whether there is a signal that has cancelled this one, if there was one, or was a moment ago: SIGCONT cancels
  /// SIGTSTP, and the reverse. The tool may receive two at once in another order.
  int may_be_cancelled;
  pid_t sender;
};

/// Answers whether this process has got signals, until the tool has ended. All signals are blocked here.
static void testify(int questions, int answers) {
  struct question question;
  struct timespec zero = {0, 0};
  siginfo_t info;
  int64_t last[NSIG] = {0};
  while (read(questions, &question, sizeof question) == sizeof question) {
    sigset_t asked;
    sigemptyset(&asked);
    sigaddset(&asked, question.signal);
    question.is_sent = sigtimedwait(&asked, &info, &zero) > 0;
    question.sender = question.is_sent ? info.si_pid : 0;
    if (question.is_sent) last[question.signal] = now();
    int opposite = question.signal == SIGTSTP ? SIGCONT : question.signal == SIGCONT ? SIGTSTP : 0;
    // The other signal stays, to be asked about in its turn.
    sigset_t pending;
    sigpending(&pending);
    question.may_be_cancelled =
        opposite && (sigismember(&pending, opposite) || (last[opposite] && now() - last[opposite] < 10000000));
    if (write(answers, &question, sizeof question) < 0) return;
  }
}

/// Forks a witness, in the tool's group or in one of its own.
static int fork_witness(struct witness *witness, int is_in_job) {
  int to[2], from[2];
  if (pipe(to) != 0) return -1;
  if (pipe(from) != 0) {
    close(to[0]);
    close(to[1]);
    return -1;
  }
  for (int i = 0; i < 2; i++) {
    fcntl(to[i], F_SETFD, FD_CLOEXEC);
    fcntl(from[i], F_SETFD, FD_CLOEXEC);
  }
  sigset_t all, former;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &former);
  pid_t child = fork();
  if (child == 0) {
    if (!is_in_job) setpgid(0, 0);
    prctl(PR_SET_NAME, CHILD_PROCESS_WITNESS_NAME);
    child_process_close_others(to[0], from[1]);
    testify(to[0], from[1]);
    _exit(0);
  }
  int error = errno;
  pthread_sigmask(SIG_SETMASK, &former, NULL);
  // Here as well, since either process may come first.
  if (child > 0 && !is_in_job) setpgid(child, child);
  close(to[0]);
  close(from[1]);
  *witness = (struct witness){child, to[1], from[0]};
  errno = error;
  return child < 0 ? -1 : 0;
}

int child_process_is_witness(pid_t process) { return process == outsider.process || process == member.process; }

/// Asks a witness about a signal, and makes it forget that.
static struct question ask(const struct witness *witness, int signal) {
  static int id;
  const struct question nothing = {.signal = signal, .id = ++id};
  struct question question = nothing;
  if (witness->questions < 0 || write(witness->questions, &question, sizeof question) < 0) return nothing;
  struct pollfd entry = {.fd = witness->answers, .events = POLLIN};
  // It may have been stopped or killed, and then the command rather gets a signal twice. On a busy machine, it may only
  // have to wait for its turn.
  for (int64_t end = now() + 1000000000; now() < end;) {
    // A signal interrupts this.
    int count = poll(&entry, 1, 100);
    if (count == 0 && is_stopped(witness->process)) break;
    if (count <= 0) continue;
    if (read(witness->answers, &question, sizeof question) != sizeof question) break;
    if (question.id == id) return question;
  }
  return nothing;
}

void child_process_forget_signal(int signal) {
  if (!child_process_stays_in_job()) return;
  pthread_mutex_lock(&hearing);
  ask(&member, signal);
  pthread_mutex_unlock(&hearing);
}

/// Lets a moment pass in which the system signals all processes of a group, one after the other.
static void pass_moment(void) {
  struct timespec rest = {0, 1000000};
  while (nanosleep(&rest, &rest) != 0 && errno == EINTR) continue;
}

/// Where a witness keeps one of several copies, the answer about that one goes for all that had come before.
static struct told {
  unsigned end;
  pid_t sender;
} told[NSIG];

/// Asks about a signal that this process has received.
static int was_told(int signal, pid_t sender, int is_merged) {
  // Other runs of the job stop it as well; once is enough.
  int is_stop = signal == SIGTSTP;
  struct question of_member = ask(&member, signal), of_outsider = ask(&outsider, signal);
  if (of_outsider.is_sent || of_outsider.may_be_cancelled) return 0;
  if (!of_member.is_sent) return of_member.may_be_cancelled;
  // Each copy of these is kept, in an order that may differ between processes: only their number counts.
  if (!is_merged) return 1;
  // What a witness has got at another time, from another process, tells nothing.
  if (of_member.sender != sender && !is_stop) return 0;
  // The answer also goes for what this process receives a moment later, and the witness has had already. What it gets
  // meanwhile is counted as well, or it would be missed, or be taken for what is sent to this process alone.
  for (int i = 0; i < 100 && of_member.is_sent && !of_outsider.is_sent; i++) {
    // This thread alone receives signals: what has come by the end of the moment has been counted.
    pass_moment();
    told[signal] = (struct told){child_process_receipts(), sender};
    of_member = ask(&member, signal);
    of_outsider = ask(&outsider, signal);
  }
  return 1;
}

int child_process_was_sent_to_job(int signal) {
  if (!child_process_stays_in_job()) return 0;
  pid_t sender = child_process_sender();
  int is_merged = signal < 32;
  if (is_merged && (signal == SIGTSTP || sender == told[signal].sender) &&
      (int)(child_process_receipt() - told[signal].end) < 0)
    return 1;
  pass_moment();
  pthread_mutex_lock(&hearing);
  int result = was_told(signal, sender, is_merged);
  pthread_mutex_unlock(&hearing);
  return result;
}

/// Ends a witness, even if something has stopped it, and reaps it.
static void end_witness(struct witness *witness) {
  pthread_mutex_lock(&hearing);
  if (witness->questions >= 0) {
    close(witness->questions);
    close(witness->answers);
  }
  witness->questions = -1;
  pthread_mutex_unlock(&hearing);
  if (witness->process <= 0) return;
  kill(witness->process, SIGKILL);
  struct timespec pause = {0, 1000000};
  for (int i = 0; i < 100 && waitpid(witness->process, NULL, WNOHANG) == 0; i++) nanosleep(&pause, NULL);
  witness->process = 0;
}
#else
int child_process_was_sent_to_job(int signal) { return 0; }

void child_process_forget_signal(int signal) { (void)signal; }

int child_process_is_witness(pid_t process) { return 0; }
#endif

int child_process_guardian_start(int stays_in_job) {
  shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) {
    shared = NULL;
    return -1;
  }
  child_process_keep_former_children();
#ifdef __linux__
  shared->stays_in_job = stays_in_job;
  if (stays_in_job && (fork_witness(&outsider, 0) != 0 || fork_witness(&member, 1) != 0)) return -1;
#else
  (void)stays_in_job;
#endif
  if (fork_guardian(1, guard) != 0) return -1;
#ifdef __linux__
  // Processes that leave the command's group stay below this process, to be ended with it.
  prctl(PR_SET_CHILD_SUBREAPER, 1);
#endif
  return 0;
}

int child_process_guardian_restart(void) {
  struct timespec pause = {0, 10000000};
  // There may be room for a process in a moment.
  for (int i = 0; i < 10; i++) {
    // Only for the attempt: a kill does not wait for the pauses.
    pthread_mutex_lock(&turn);
    int result = is_expendable ? 1 : fork_guardian(1, guard);
    pthread_mutex_unlock(&turn);
    if (result >= 0) return result;
    nanosleep(&pause, NULL);
  }
  return -1;
}

int child_process_guardian_check(void) {
  siginfo_t info = {.si_pid = 0};
  if (guardian <= 0 || waitid(P_PID, (id_t)guardian, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || !info.si_pid) return 0;
  int failure = child_process_guardian_restart();
  return failure == 0 ? 1 : failure < 0 ? -1 : 0;
}

void child_process_guardian_succeed(void) {
  pthread_mutex_lock(&turn);
  is_expendable = 1;
#ifdef __linux__
  static int is_done;
  if (shared && !is_done) {
    // The first one notices the end of this process until it is killed.
    int line = life_line;
    life_line = -1;
    is_done = fork_guardian(0, guard_rest) == 0;
    if (is_done)
      former_life_line = line;
    else
      life_line = line;
  }
#endif
  pthread_mutex_unlock(&turn);
}

int64_t child_process_guardian_time(void) { return now(); }

void child_process_guardian_renew(int64_t deadline) {
  if (!shared) return;
  // Zero would stand for none.
  int64_t former = atomic_exchange(&shared->deadline, deadline > 1 ? deadline : 1);
#ifdef __linux__
  // The guardian waits for the former one, or for none; a signal of the terminal wakes it, and means nothing from here.
  if (guardian > 0 && (!former || deadline < former - 1000000)) kill(guardian, SIGWINCH);
#else
  (void)former;
#endif
}

void child_process_guardian_end(void) {
  if (!shared || guardian <= 0) return;
  atomic_store(&shared->is_over, 1);
  pthread_mutex_lock(&turn);
  if (former_life_line >= 0) close(former_life_line);
  if (life_line >= 0) close(life_line);
  former_life_line = life_line = -1;
  pthread_mutex_unlock(&turn);
  // The guardian handles typed signals, and ends. The wait is short, in case another process has stopped the
  // guardian.
  struct timespec pause = {0, 1000000};
  siginfo_t info = {.si_pid = 0};
  for (int i = 0; i < 100; i++) {
    if (waitid(P_PID, (id_t)guardian, &info, WEXITED | WNOWAIT | WNOHANG) < 0 || info.si_pid) break;
    nanosleep(&pause, NULL);
  }
}

void child_process_guardian_reap(void) {
  child_process_guardian_end();
  if (guardian > 0) waitpid(guardian, NULL, WNOHANG);
  // One that was killed with the command's group.
  if (keeper > 0) waitpid(keeper, NULL, WNOHANG);
  guardian = 0;
#ifdef __linux__
  end_witness(&member);
  end_witness(&outsider);
#endif
}

int child_process_typed(void) { return shared ? atomic_load(&shared->typed) : 0; }

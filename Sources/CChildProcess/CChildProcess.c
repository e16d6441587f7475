#include "CChildProcess.h"
#include "Internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifdef __linux__
#include <sys/prctl.h>
#endif

extern char **environ;

static int set_foreground(int terminal, pid_t group) {
  // Otherwise the system would stop a background process for it.
  sigset_t blocked, former;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGTTOU);
  pthread_sigmask(SIG_BLOCK, &blocked, &former);
  int result = tcsetpgrp(terminal, group);
  int error = errno;
  pthread_sigmask(SIG_SETMASK, &former, NULL);
  errno = error;
  return result;
}

int child_process_lend_terminal(int terminal) {
  child_process_note_terminal(1);
  return set_foreground(terminal, child_process_group());
}

int child_process_take_terminal_back(int terminal) {
  pid_t owner = tcgetpgrp(terminal);
  int is_lent = child_process_has_terminal();
  // From now on, the terminal is that of this job, or of any other that a shell gives it to.
  child_process_note_terminal(0);
  // A shell that was the command may have left the terminal to a group that is gone. So may any other job: a shell that
  // is about to take it back would read from a terminal that is not its own, and end.
  int is_commands = owner == child_process_group() || (is_lent && owner > 0 && child_process_group_has_ended(owner));
  if (!is_commands || tcgetpgrp(terminal) != owner) return 0;
  return set_foreground(terminal, getpgrp()) == 0 ? 1 : -1;
}

void child_process_check_terminal(int terminal) {
  pid_t owner = tcgetpgrp(terminal);
  if (!child_process_has_terminal() || owner <= 0 || owner == child_process_group()) return;
  if (owner == getpgrp() || !child_process_group_is_commands(owner)) child_process_note_terminal(0);
}

/// Whether this process has received SIGCONT more often than `continues`, or is about to. This thread blocks it.
static int is_continued(unsigned continues) {
  sigset_t pending;
  // A new stop cancels a SIGCONT that has continued this process and was not handled yet: that one is never counted.
  return (int)(child_process_continues() - continues) > 0 || (sigpending(&pending) == 0 && sigismember(&pending, SIGCONT) == 1);
}

int child_process_stop_job(unsigned continues) {
  struct sigaction ignore = {.sa_handler = SIG_IGN}, stop = {.sa_handler = SIG_DFL}, former;
  sigset_t own, both, blocked;
  sigemptyset(&own);
  sigaddset(&own, SIGTSTP);
  both = own;
  sigaddset(&both, SIGCONT);
  pthread_sigmask(SIG_BLOCK, &both, &blocked);
  sigaction(SIGTSTP, &ignore, &former);
  int stops = !is_continued(continues);
  child_process_note_stop(stops);
  if (stops) {
    // The others first. A signal to the whole process might be taken by a thread that waits for signals.
    kill(0, SIGTSTP);
    child_process_forget_signal(SIGTSTP);
    // If the first thread blocks signals right now, for example to start another, a signal stays pending. It is
    // dropped here.
    sigaction(SIGTSTP, &ignore, NULL);
    stops = !is_continued(continues);
  }
  // Pending before it has an effect: whatever stops this process from now on, such as another run of the job, what
  // continues it takes this signal back. Otherwise this process would stop twice.
  if (stops) raise(SIGTSTP);
  sigaction(SIGTSTP, &stop, NULL);
  pthread_sigmask(SIG_UNBLOCK, &own, NULL);
  pthread_sigmask(SIG_SETMASK, &blocked, NULL);
  sigaction(SIGTSTP, &former, NULL);
  return stops;
}

void child_process_continue_job(void) {
  struct sigaction ignore = {.sa_handler = SIG_IGN}, former;
  // This process has not stopped, and its command may be meant to stay so.
  sigaction(SIGCONT, &ignore, &former);
  kill(0, SIGCONT);
  child_process_forget_signal(SIGCONT);
  sigaction(SIGCONT, &former, NULL);
}

void child_process_signal_job(int number) {
  signal(number, SIG_IGN);
  // If this job is the command of another run, that run has to know that the signal was typed. Its guardian handles no
  // signal at once, and of two only keeps the first.
  child_process_tell_guardian_in_turn(getpgrp(), number);
  kill(0, number);
}

void child_process_end_by(int number) {
  if (child_process_was_ignored(number)) return;
  // No core dump of this program, which has not crashed.
  struct rlimit none = {0, 0};
  setrlimit(RLIMIT_CORE, &none);
  sigset_t own;
  sigemptyset(&own);
  sigaddset(&own, number);
  signal(number, SIG_DFL);
  pthread_sigmask(SIG_UNBLOCK, &own, NULL);
  raise(number);
}

/// Whether one of the additions replaces a variable of the environment, by its name.
static int is_replaced(const char *variable, char *const *additions) {
  size_t length = strcspn(variable, "=");
  for (; *additions; additions++)
    if (strcspn(*additions, "=") == length && strncmp(variable, *additions, length) == 0) return 1;
  return 0;
}

/// Returns the environment of this process, in its order and with all its oddities, plus the additions; NULL with
/// `errno` if there is no memory. The caller frees it.
static char **make_environment(char *const *additions) {
  size_t count = 1;
  for (char **variable = environ; *variable; variable++) count++;
  for (char *const *addition = additions; *addition; addition++) count++;
  char **environment = malloc(count * sizeof *environment);
  if (!environment) return NULL;
  count = 0;
  for (char **variable = environ; *variable; variable++)
    if (!is_replaced(*variable, additions)) environment[count++] = *variable;
  for (char *const *addition = additions; *addition; addition++)
    if (strchr(*addition, '=')) environment[count++] = *addition;
  environment[count] = NULL;
  return environment;
}

int child_process_fits(const struct child_process_order *order) {
  char **environment = make_environment(order->additions);
  if (!environment) return 0;
  long most = sysconf(_SC_ARG_MAX);
  // Linux takes no single string of more than 32 pages.
  size_t size = 4096, longest = 0;
  for (char *const *list = order->arguments;; list = environment) {
    for (char *const *string = list; *string; string++) {
      size_t length = strlen(*string) + 1;
      size += length + sizeof(char *);
      if (length > longest) longest = length;
    }
    if (list == (char *const *)environment) break;
  }
  free(environment);
  errno = E2BIG;
#ifdef __linux__
  if (longest > 32 * 4096) return 0;
  // With `ulimit -s unlimited`, the C library knows no limit, but Linux does.
  if (most < 0 || most > 6 << 20) most = 6 << 20;
#endif
  return most < 0 || size <= (size_t)most;
}

/// Waits until a child has begun its command or reports why it cannot; returns whether it was stopped before.
///
/// A child that is stopped meanwhile would neither begin nor be noticed: it is continued, to be stopped later.
static int wait_for_start(pid_t child, int report) {
  int was_stopped = 0, ready;
  struct pollfd entry = {.fd = report, .events = POLLIN};
  while ((ready = poll(&entry, 1, 20)) == 0 || (ready < 0 && errno == EINTR)) {
    siginfo_t info = {.si_pid = 0};
    if (waitid(P_PID, (id_t)child, &info, WSTOPPED | WNOHANG) != 0 || info.si_pid != child) continue;
    was_stopped = 1;
    kill(child, SIGCONT);
  }
  return was_stopped;
}

/// Runs in the child; returns with `errno` if the command cannot begin. Nothing in it may allocate memory or take a lock,
/// since the parent has threads.
static void run(const struct child_process_order *order, char **environment, pid_t parent, pid_t parent_group) {
#ifdef __linux__
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return;
#endif
  // The parent may have ended before the signal was requested.
  if (getppid() != parent) {
    errno = ESRCH;
    return;
  }
  // Not if the job was put into the background while it waited.
  int is_foreground = order->terminal >= 0 && tcgetpgrp(order->terminal) == parent_group;
  if (!child_process_stays_in_job() && setpgid(0, child_process_group()) != 0) {
    // The guardian has ended the group.
    if (child_process_is_due()) errno = ETIME;
    return;
  }
  // Here as well: the parent may be stopped before it does so, and the command may leave the group.
  child_process_note(getpid());
  setpriority(PRIO_PROCESS, 0, child_process_own_nice());
  child_process_restore_limit();
  if (is_foreground) set_foreground(order->terminal, child_process_group());
  for (int number = 1; number < NSIG; number++)
    signal(number, child_process_was_ignored(number) ? SIG_IGN : SIG_DFL);
  child_process_note_begin();
  sigprocmask(SIG_SETMASK, child_process_own_mask(), NULL);
  environ = environment;
  // This process may have been stopped, or the parent may have been before the fork, until another has the lock.
  if (child_process_is_due()) {
    errno = ETIME;
    return;
  }
  execvp(order->arguments[0], order->arguments);
}

pid_t child_process_start(const struct child_process_order *order, int *start) {
  char **environment = make_environment(order->additions);
  if (!environment) return -1;
  int report[2];
  if (pipe(report) != 0) {
    free(environment);
    return -1;
  }
  fcntl(report[0], F_SETFD, FD_CLOEXEC);
  fcntl(report[1], F_SETFD, FD_CLOEXEC);
  // Signals that arrive before the child has its own dispositions would go to handlers of the parent.
  sigset_t all, former;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &former);
  child_process_mark(order->additions[0]);
  if (order->terminal >= 0 && tcgetpgrp(order->terminal) == getpgrp()) child_process_note_terminal(1);
  // The parent and the child both set the child's group; either may come first.
  pid_t parent = getpid(), parent_group = getpgrp();
  child_process_note_fork();
  pid_t child = fork();
  if (child == 0) {
    run(order, environment, parent, parent_group);
    int error = errno;
    (void)!write(report[1], &error, sizeof error);
    _exit(127);
  }
  int error = errno;
  pthread_sigmask(SIG_SETMASK, &former, NULL);
  close(report[1]);
  free(environment);
  if (child > 0) {
    child_process_note(child);
    // Here as well, since either process may come first.
    if (!child_process_stays_in_job()) setpgid(child, child_process_group());
    child_process_await_begin(child);
    *start = report[0];
  } else {
    close(report[0]);
  }
  errno = error;
  return child;
}

int child_process_await_start(pid_t child, int start) {
  int was_stopped = wait_for_start(child, start), error = 0;
  ssize_t count;
  do count = read(start, &error, sizeof error);
  while (count < 0 && errno == EINTR);
  close(start);
  if (count == sizeof error) return error;
  if (was_stopped) kill(child_process_stays_in_job() ? child : -child_process_group(), SIGTSTP);
  return 0;
}

int child_process_wait(pid_t child, struct child_process_change *change) {
  // A guardian that has no successor is not reaped, so that the number of the command's group is not reused.
  static int is_guardian_left;
  struct timespec pause = {0, 20000000};
  siginfo_t info;
  change->exit_status = -1;
  change->ending_signal = change->stopping_signal = 0;
  change->guardian = child_process_guardian_runs;
  for (;;) {
    // The child stays unreaped, so that its id is not reused meanwhile.
    info.si_pid = 0;
    int options = WEXITED | WSTOPPED | WNOWAIT | (is_guardian_left ? WNOHANG : 0);
    if (is_guardian_left) child_process_reap_orphans(child);
    int result = waitid(is_guardian_left ? P_PID : P_ALL, (id_t)child, &info, options);
    if (result == 0 && info.si_pid == 0) {
      nanosleep(&pause, NULL);
      continue;
    }
    if (result < 0 && errno == EINTR) continue;
    if (result < 0) return -1;
    if (info.si_pid == child) break;
    pid_t other = info.si_pid;
    int is_ended = info.si_code != CLD_STOPPED, is_guardian = child_process_is_guardian(other);
    if (is_guardian && is_ended) {
      // Before it is reaped, since its number is also the group's.
      int failure = child_process_guardian_restart();
      is_guardian_left = failure != 0;
      if (failure > 0) continue;
      change->guardian = failure == 0 ? child_process_guardian_replaced : child_process_guardian_lost;
      if (is_guardian_left) return 0;
    }
    // If stopped, it could not end the command, or tell what it has got.
    if ((is_guardian || child_process_is_witness(other)) && !is_ended) kill(other, SIGCONT);
    // Else an orphan; whether that was stopped is of no interest.
    if (is_ended) child_process_note_end(&info);
    waitid(P_PID, other, &info, WEXITED | WSTOPPED | WNOHANG);
    if (change->guardian != child_process_guardian_runs) return 0;
  }
  int is_stopped = info.si_code == CLD_STOPPED;
  if (!is_stopped) child_process_note_end(&info);
  change->exit_status = info.si_code == CLD_EXITED ? info.si_status : -1;
  change->ending_signal = info.si_code != CLD_EXITED && !is_stopped ? info.si_status : 0;
  change->stopping_signal = is_stopped ? info.si_status : 0;
  // A stop is reported once.
  if (is_stopped) waitid(P_PID, child, &info, WSTOPPED | WNOHANG);
  return 0;
}

void child_process_forget(pid_t child) {
  child_process_note(0);
  pid_t result;
  do result = waitpid(child, NULL, 0);
  while (result < 0 && errno == EINTR);
}

#include "CChildProcess.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __linux__
#include <sys/prctl.h>
#endif

extern char **environ;

int child_process_set_foreground(int terminal, pid_t group) {
  // Otherwise the system would stop a process of the background for it.
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

/// What the child does; nothing in it may allocate memory or take a lock, since the parent has threads.
static void run(const struct child_process_order *order, pid_t parent) {
#ifdef __linux__
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return;
#endif
  // It may have ended before the signal was asked for.
  if (getppid() != parent) {
    errno = ESRCH;
    return;
  }
  setpgid(0, 0);
  if (order->terminal >= 0) child_process_set_foreground(order->terminal, getpid());
  for (int number = 1; number < NSIG; number++) signal(number, SIG_DFL);
  for (const int *number = order->ignored; *number != 0; number++) signal(*number, SIG_IGN);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  environ = (char **)order->environment;
  execvp(order->arguments[0], order->arguments);
}

pid_t child_process_start(const struct child_process_order *order) {
  int report[2];
  if (pipe(report) != 0) return -1;
  fcntl(report[0], F_SETFD, FD_CLOEXEC);
  fcntl(report[1], F_SETFD, FD_CLOEXEC);
  // What arrives before the child has its own dispositions would go to handlers of the parent.
  sigset_t all, former;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &former);
  pid_t parent = getpid();
  pid_t child = fork();
  if (child == 0) {
    run(order, parent);
    int error = errno;
    (void)!write(report[1], &error, sizeof error);
    _exit(127);
  }
  int error = errno;
  pthread_sigmask(SIG_SETMASK, &former, NULL);
  close(report[1]);
  if (child > 0) {
    // Here as well: nobody knows which of both comes first.
    setpgid(child, child);
    ssize_t count;
    do count = read(report[0], &error, sizeof error);
    while (count < 0 && errno == EINTR);
    if (count == sizeof error) {
      child_process_forget(child);
      child = -1;
    }
  }
  close(report[0]);
  errno = error;
  return child;
}

int child_process_wait(pid_t child, struct child_process_change *change) {
  siginfo_t info;
  int result;
  // The child stays as it is, so that its id and that of its group cannot become another's meanwhile.
  do result = waitid(P_PID, child, &info, WEXITED | WSTOPPED | WNOWAIT);
  while (result < 0 && errno == EINTR);
  if (result < 0) return -1;
  int is_stopped = info.si_code == CLD_STOPPED;
  change->exit_status = info.si_code == CLD_EXITED ? info.si_status : -1;
  change->ending_signal = info.si_code != CLD_EXITED && !is_stopped ? info.si_status : 0;
  change->stopping_signal = is_stopped ? info.si_status : 0;
  // That it was stopped is told once.
  if (is_stopped) waitid(P_PID, child, &info, WSTOPPED | WNOHANG);
  return 0;
}

void child_process_forget(pid_t child) {
  pid_t result;
  do result = waitpid(child, NULL, 0);
  while (result < 0 && errno == EINTR);
}

int child_process_ignores(int signal) {
  struct sigaction action;
  return sigaction(signal, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

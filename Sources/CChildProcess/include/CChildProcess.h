#ifndef ASYNC_REDIS_LOCK_CHILD_PROCESS_H
#define ASYNC_REDIS_LOCK_CHILD_PROCESS_H

#include <sys/types.h>

/// How to start a command.
struct child_process_order {
  /// The command and its arguments, ended by NULL; looked up on the PATH.
  char *const *arguments;
  /// Its environment, ended by NULL.
  char *const *environment;
  /// The terminal that it gets the foreground of, or -1.
  int terminal;
  /// The signals that it ignores, ended by 0; all others have their default disposition.
  const int *ignored;
};

/// Starts a command in a process group of its own.
///
/// On Linux the kernel kills it when the calling thread ends, so that thread has to live on.
///
/// Returns its id, or -1 with `errno` when it could not be started.
pid_t child_process_start(const struct child_process_order *order);

/// Makes a process group that of a terminal's foreground, also when called from the background.
int child_process_set_foreground(int terminal, pid_t group);

/// What became of a child.
struct child_process_change {
  /// Its exit status; -1 if it has not exited.
  int exit_status;
  /// The signal that ended it; 0 if none did.
  int ending_signal;
  /// The signal that stopped it; 0 if none did.
  int stopping_signal;
};

/// Waits until a child has ended or has been stopped, and leaves an ended one in place; -1 with `errno` when there is no such child.
int child_process_wait(pid_t child, struct child_process_change *change);

/// Lets go of a child that has ended.
void child_process_forget(pid_t child);

/// Whether this process ignores a signal.
int child_process_ignores(int signal);

#endif

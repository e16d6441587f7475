#ifndef ASYNC_REDIS_LOCK_CHILD_PROCESS_H
#define ASYNC_REDIS_LOCK_CHILD_PROCESS_H

#include <stdint.h>
#include <sys/types.h>

// MARK: What this process was started with

/// The arguments of this process, byte for byte as they were given to it, ended by NULL; NULL if they cannot be
/// known.
char *const *child_process_own_arguments(void);

/// Whether this process was told to ignore a signal when it was started, by nohup(1) for instance.
int child_process_was_ignored(int signal);

/// Whether so many more threads can be created.
int child_process_can_create_threads(int count);

/// Whether so many more files can be opened.
int child_process_can_open(int count);

// MARK: Signals

/// The first and the last of the real-time signals that programs may use; 0 if there are none.
int child_process_first_real_time_signal(void);
int child_process_last_real_time_signal(void);

/// Where a signal comes from.
enum child_process_origin {
  child_process_from_elsewhere,
  /// From the system, such as the one of Ctrl-Z.
  child_process_from_terminal,
  /// From a process of the own process group.
  child_process_from_job,
  /// From the own guardian, which only passes on that the terminal has hung up: its group has been told.
  child_process_from_guardian,
};

/// Receives signals from now on: `receive` is called for each, in their order, on a separate thread.
///
/// Once it has returned, no signal is missed. Call it once.
///
/// Returns 0, or -1 with `errno`.
int child_process_receive_signals(
  const int *numbers, int count, void (*receive)(int signal, enum child_process_origin origin)
);

/// Lets the first thread do nothing for ever but handle signals that the parent has not blocked.
_Noreturn void child_process_rest(void);

/// Starts a thread that receives no signals, and is more urgent than others where the system allows that.
///
/// Returns 0, or -1 with `errno`.
int child_process_start_thread(void *context, void *(*body)(void *context));

// MARK: The guardian

/// Starts a guardian: a process that ends the command, and this process, if its deadline is not renewed. It also
/// ends the command if this process dies.
///
/// Start it before the lock is requested, so that nothing has to be created later. It leads the process group that
/// the command runs in, unless that stays in the group of this process; only on Linux can it do so.
///
/// Returns 0, or -1 with `errno`.
int child_process_guardian_start(int stays_in_job);

/// Whether the guardian is continued by the system while both it and this process are stopped; Linux only, and else 1.
int child_process_guardian_can_stay_awake(void);

/// Whether the command stays in the group of this process, where it shares the terminal with the rest of the job.
int child_process_stays_in_job(void);

/// Whether a signal that this process has received was sent to its whole group. Call it once for each signal, from
/// one thread. Always 0 unless the command stays in the group.
int child_process_was_sent_to_job(int signal);

/// How many signals were received before the one that is being reported.
unsigned child_process_receipt(void);

/// Whether a signal, before which so many were received, was sent to the group before the command was in that. Valid
/// once the command has been started.
int child_process_has_missed(int signal, unsigned receipt);

/// The time by the guardian's clock, in nanoseconds.
int64_t child_process_guardian_time(void);

/// How many processes this one has looked at to find what the command has left; Linux only, and else 0.
unsigned child_process_progress(void);

/// Whether the guardian has begun to end the command, because its time was over.
int child_process_was_due(void);

/// Whether the command had ended by itself by then; Linux only, and else 0.
int child_process_had_ended(void);

/// Whether a child has ended, and nothing has taken note of that yet.
int child_process_has_ended(pid_t child);

/// Sets the guardian's deadline, by its clock.
///
/// Not from now on: this process may be stopped between a look at the lock and this call.
void child_process_guardian_renew(int64_t deadline);

/// Replaces the guardian if it was ended from outside: 1 if it has, -1 if it cannot, else 0.
///
/// For the time after the command's own end, when `child_process_wait` does not notice that.
int child_process_guardian_check(void);

/// Ends the guardian, which then does nothing any more, and waits for that, 100 ms at most.
///
/// It is left unreaped, so that the number of the command's group is not reused.
void child_process_guardian_end(void);

/// Ends the guardian and the witnesses, and reaps them: the first process of a container may reap nothing. The command's group must not
/// be named any more.
void child_process_guardian_reap(void);

/// The signal of Ctrl-C or of Ctrl-\ if one was typed while the command had the terminal, or 0; known once the
/// guardian has ended. Linux only.
int child_process_typed(void);

// MARK: The command

/// How to start a command.
struct child_process_order {
  /// The command and its arguments, ended by NULL; looked up on the PATH.
  char *const *arguments;
  /// Variables to add to the environment of this process, or to replace in it: `NAME=value`, or `NAME` to leave
  /// one out; ended by NULL.
  /// The first has a value of its own for each run, which marks the command's processes, wherever it stands in their
  /// environments.
  char *const *additions;
  /// The terminal whose foreground the command's group gets, or -1.
  int terminal;
};

/// Starts a command in the guardian's process group, or in that of this process, with the signal dispositions and the signal mask that this
/// process was started with.
///
/// On Linux the kernel kills it if the calling thread ends, so that thread has to live on.
///
/// Returns its id, or -1 with `errno` if there is no process for it. Sets `start` for `child_process_await_start`.
pid_t child_process_start(const struct child_process_order *order, int *start);

/// Waits until a command runs, which may take long: its file may be on another host. Until then, it is this program.
///
/// Returns 0, or an `errno` if it cannot run; its process has yet to be reaped. Call it once.
int child_process_await_start(pid_t child, int start);

/// Whether the command's arguments and environment are small enough to start it; if not, 0 with `errno`.
int child_process_fits(const struct child_process_order *order);

/// Gives a terminal's foreground to the command's group, also from the background; 0, or -1 with `errno`.
int child_process_lend_terminal(int terminal);

/// Gives it back to this process's group; 1, or 0 if another job has it, or -1 with `errno`.
int child_process_take_terminal_back(int terminal);

/// Finds out whether the command still has a terminal that it was given.
///
/// A shell may have taken it after a stop that no handler sees.
void child_process_check_terminal(int terminal);

/// Whether a child that was stopped is still so a moment later, when the rest of its job has been continued, too. Linux
/// only.
int child_process_has_stayed_stopped(pid_t child);

/// Whether the command has had the terminal.
int child_process_has_had_terminal(void);

/// Whether this process has received SIGTSTP since it last stopped itself, other than from its own job.
int child_process_is_to_stop(void);

/// Whether this process has stopped itself since it received the signal that is being reported.
int child_process_has_stopped(void);

/// How often this process has received SIGCONT: so far, by its last SIGTSTP, and by the signal that is being reported;
/// and how many of these have been reported.
unsigned child_process_continues(void);
unsigned child_process_continues_at_stop(void);
unsigned child_process_continues_at_receipt(void);
unsigned child_process_reported_continues(void);

/// Stops the processes of this job as Ctrl-Z does, this one last, and returns when it is continued.
///
/// Returns 0 if it does not stop, since it has received SIGCONT more often than `continues`.
int child_process_stop_job(unsigned continues);

/// Continues the other processes of this job.
void child_process_continue_job(void);

/// Sends a signal to the other processes of this job, as the terminal does to the foreground job.
void child_process_signal_job(int signal);

/// Ends this process by a signal. Returns if the signal was ignored when this process was started, or does not end
/// it, as in the first process of a container.
void child_process_end_by(int signal);

/// Lets the command, which has begun, be signalled; 0 if it must not be any more, since it has ended.
///
/// As long as it is not reaped, its number is not reused. Nor is its group's as long as the guardian is not.
void child_process_set_signalled(pid_t child);

/// Sends a signal to the command and its group; 0, or -1 with `errno`.
///
/// If the command stays in this process's group, those that it has started there get the signal, and no others. Then
/// this may take long.
int child_process_signal(pid_t child, int signal);

/// Sends a signal to the command and its group at once, and not to others that it has started in this process's group; 0,
/// or -1 with `errno`.
int child_process_signal_command(pid_t child, int signal);

/// Sends a signal to those others. This may take long.
void child_process_signal_others(pid_t child, int signal);

/// Whether the command has left the group that it was started in, as timeout(1) does.
int child_process_has_left(pid_t child);

/// Sends a signal that the group has got to a command that has left it, and to the group that it leads.
void child_process_follow(pid_t child, int signal);

/// Sends a signal to the command, its group and all other descendants of this process.
///
/// Returns the id of a process that the signal could not be sent to, or 0.
pid_t child_process_signal_all(pid_t child, int signal);

/// Kills the processes that the command has left behind, again and again until none is left. Linux only, but for
/// those in its group.
///
/// Returns the id of a process that could not be killed, or 0.
pid_t child_process_kill_left(void);

/// Whether anything runs that a command which has ended, and was not reaped, has left behind.
///
/// Ask twice: between two looks, a process may have started another. Reaps what has ended. On Linux, all that the
/// command has started counts, and what is stopped is continued; elsewhere, its group.
int child_process_has_rest(pid_t child);

/// The next process that was killed, the command or what it had started, or 0; for `child_process_kill_left`, and after
/// that. Only on Linux others than the command.
pid_t child_process_next_killed(void);

/// How many more there were, which are not known one by one.
int child_process_more_killed(void);

/// The fate of the guardian.
enum child_process_guardian_state {
  child_process_guardian_runs,
  /// The guardian was ended from outside, and another has taken its place.
  child_process_guardian_replaced,
  /// The guardian was ended from outside, and no other could be started.
  child_process_guardian_lost,
};

/// A change in the state of a child, or of the guardian.
struct child_process_change {
  /// Its exit status; -1 if it has not exited.
  int exit_status;
  /// The signal that ended it; 0 if none did.
  int ending_signal;
  /// The signal that stopped it; 0 if none did.
  int stopping_signal;
  /// If it does not run, this change is about the guardian.
  enum child_process_guardian_state guardian;
};

/// Waits until a child has ended or has been stopped, or until the guardian has ended; an ended child is left in
/// place. Returns -1 with `errno` if there is no such child. Reaps orphans meanwhile, as the first process of a
/// container has to.
int child_process_wait(pid_t child, struct child_process_change *change);

/// Reaps a child that has ended.
void child_process_forget(pid_t child);

#endif

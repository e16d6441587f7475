#ifndef ASYNC_REDIS_LOCK_CHILD_PROCESS_INTERNAL_H
#define ASYNC_REDIS_LOCK_CHILD_PROCESS_INTERNAL_H

#include <signal.h>
#include <sys/types.h>

/// The process group of the command, which the guardian leads.
pid_t child_process_group(void);

/// The process group of the tool.
pid_t child_process_tool_group(void);

/// The command; 0 while there is none.
pid_t child_process_command(void);

/// Whether a process is the guardian, or was the first one, whose number is the group's.
int child_process_is_guardian(pid_t process);

/// Whether a process is the guardian or the witness of any run, or helps one. Linux only.
int child_process_is_any_guardian(pid_t process);

/// The name of the guardian among the processes.
#define CHILD_PROCESS_GUARDIAN_NAME "lock-guardian"

/// The name of the witness among the processes.
#define CHILD_PROCESS_WITNESS_NAME "lock-witness"

/// Opens a file about a process in /proc; returns -1 if it cannot. Linux only.
int child_process_open(pid_t process, const char *file);

/// Notes the children that this process has, which are none of the command's. Linux only.
void child_process_keep_former_children(void);

/// Reaps the children of this process that have ended, except the command and the guardian. Linux only.
void child_process_reap_orphans(pid_t child);

/// Notes that a child of this process has ended, which was not reaped yet, if that was by the kill of the tool or of its
/// guardian.
void child_process_note_end(const siginfo_t *info);

/// Whether no process of a group runs.
int child_process_group_has_ended(pid_t group);

/// Whether no process of a group runs, or one that the command has started. For the guardian, which has one thread.
int child_process_group_is_left(pid_t group);

/// The same for the tool, whose threads take turns. Always 1 except on Linux.
int child_process_group_is_commands(pid_t group);

/// If a group is that of another run's command, tells that run's guardian that a signal came from the terminal. For the
/// guardian, which has one thread. Linux only.
void child_process_tell_guardian(pid_t group, int signal);

/// The same for the tool, whose threads take turns.
void child_process_tell_guardian_in_turn(pid_t group, int signal);

/// Whether something was found out about a process; `empty` and `vanished` for an environment that could not be read.
enum finding { not_found, found, empty, vanished };

/// Notes that the tool has looked at another process: its guardian gives it time as long as it gets on.
void child_process_note_progress(void);

/// A process that the command may have started, one of its threads, and what is found in its environment.
struct suspect {
  pid_t id, thread;
  unsigned long long start;
  enum finding finding;
};

/// Looks for the mark of this run in the environments that processes were started with. Linux only.
///
/// An environment is empty for a moment at each exec. One that cannot be read in time counts as `not_found`, and so it does
/// from then on.
void child_process_look_for_marks(struct suspect *suspects, int count);

/// Forgets which environments could not be read in time. Linux only.
void child_process_forget_stuck(void);

/// Lets this process wait for environments itself from now on. Linux only.
void child_process_read_anyway(void);

/// Calls a function in another process, which may read environments, and waits for its end. Linux only.
///
/// If it hangs, another is started, which leaves out the process that it hangs at. The former goes on as soon as it can.
///
/// Returns -1 if there is no process for it.
int child_process_run_apart(void (*run)(void));

/// Whether this process was started by `child_process_run_apart`, and others have gone on without it. Linux only.
int child_process_is_late(void);

/// Forks a process that may hang, which only `child_process_end_helper` reaps; returns its id, or -1. Linux only.
pid_t child_process_fork_helper(void);

/// Ends such a process. Linux only.
void child_process_end_helper(pid_t helper);

/// Closes all descriptors but two.
void child_process_close_others(int first, int second);

/// Kills the command, if it runs, and what descends from it. Linux only.
///
/// That reads nothing that other processes can withhold.
void child_process_kill_tree(pid_t child);

/// Kills processes until none is left, but not for longer than two seconds. Linux only.
///
/// Those are the command's group, and the descendants of the tool; if that has ended and `tool` is 0, all processes
/// whose environment contains the mark.
///
/// Returns the id of a process that could not be killed, or 0; `has_found`, unless NULL, is set to 1 if there was one to
/// kill.
pid_t child_process_kill_rest(pid_t tool, int *has_found);

/// Starts another guardian before the command's group is killed, and the guardian with it. It ends the rest if the tool
/// is killed or stopped meanwhile.
void child_process_guardian_succeed(void);

/// Starts another guardian, in the group of one that has ended but was not reaped; returns 0, or -1 with `errno`.
///
/// Returns 1 if it has been killed with the command's group meanwhile, so that none is needed.
int child_process_guardian_restart(void);

/// Tells the guardian which variable of the environment has the value that marks the command's processes.
void child_process_mark(const char *variable);

/// The text that marks the command's processes, and its length; NULL for none.
const char *child_process_own_mark(size_t *length);

/// Tells the guardian which process the command is; 0 before the command is reaped.
void child_process_note(pid_t child);

/// Whether the time of the command is over, so that it must not begin.
int child_process_is_due(void);

/// Keeps the command from being reaped, so that it can be signalled by its number, until `child_process_let_go`.
///
/// Returns 0 with `errno` if the command has ended; then there is nothing to let go.
int child_process_keep(pid_t child);
void child_process_let_go(void);

/// The state of a thread of a process whose first thread has ended, according to Linux; 0 if it cannot be known. Linux
/// only.
char child_process_state_of_other_thread(pid_t process);

/// When a process was started, in ticks since the system was; 0 if that is not known.
unsigned long long child_process_start_of(pid_t process);

/// Whether a process is still the one that was noted as the command: its number may have been given to another.
int child_process_is_command(pid_t process);

/// Notes that the command gets the terminal, or no longer has it.
void child_process_note_terminal(int is_lent);

/// Whether the command has the terminal, as far as this process knows.
int child_process_has_terminal(void);

/// The value that comes with a typed signal from a run within the command, whose own command had the terminal.
enum { child_process_typed_mark = 0x74797065 };

/// Notes that this process is about to stop itself, or is not, since it has been continued; SIGTSTP is ignored meanwhile.
void child_process_note_stop(int stops);

/// Makes the witnesses forget a signal that this process has sent to its job, and does not receive itself.
void child_process_forget_signal(int signal);

/// The process that has sent the signal which is being reported; 0 for the system, and -1 if it is not known.
pid_t child_process_sender(void);

/// How many signals were received so far, and where that is counted, which the command's process can read before it is
/// the command; NULL if there is no such place.
unsigned child_process_receipts(void);
_Atomic unsigned *child_process_shared_receipts(void);

/// Notes that the command's process is about to be forked.
void child_process_note_fork(void);

/// Notes in that process, which blocks all signals, what it has got from its group before it is the command.
void child_process_note_begin(void);

/// Waits for that note, but not for a process that is stopped.
void child_process_await_begin(pid_t child);

/// Whether a process is a witness of this run.
int child_process_is_witness(pid_t process);

/// The signals that were blocked when this process was started.
const sigset_t *child_process_own_mask(void);

/// The nice value that this process was started with; its threads of high priority have another.
int child_process_own_nice(void);

/// Gives this process the limit of processor time that the tool was started with.
void child_process_restore_limit(void);

#endif

// The processes that the command has started, also those that have left its group. The guardian looks for them as
// well, so nothing in here allocates memory.

#ifdef __linux__
#define _GNU_SOURCE
#endif

#include "CChildProcess.h"
#include "Internal.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifdef __APPLE__
#include <libproc.h>
#endif

/// The command and the processes that have ended by the kill, as far as they are children of the tool by then; those
/// beyond the first are only counted. For the thread that waits for the command, and later for the one that reports its
/// end.
static struct {
  pid_t ids[64];
  int count, told;
} killed;
/// Whether the tool has killed the command's processes: a process that ends by SIGKILL before was killed by another.
/// And whether the command ran by then: its end is noted later.
static _Atomic int is_killing, kills_command;

static void begin_kill(pid_t child) {
  // One of another user is not killed.
  int is_hit = child > 0 && kill(child, 0) == 0 && !child_process_has_ended(child);
  if (is_hit && !atomic_load(&is_killing)) atomic_store(&kills_command, 1);
  atomic_store(&is_killing, 1);
}

/// Whether the tool or its guardian has killed a process, if SIGKILL has ended it.
static int was_killed_with_lock(pid_t process) {
  int was_due = child_process_was_due();
  if (process != child_process_command()) return atomic_load(&is_killing) || was_due;
  return atomic_load(&kills_command) || (was_due && !child_process_had_ended());
}

void child_process_note_end(const siginfo_t *info) {
  const int most = sizeof killed.ids / sizeof *killed.ids;
  if (info->si_code != CLD_KILLED || info->si_status != SIGKILL || !was_killed_with_lock(info->si_pid)) return;
  if (child_process_is_any_guardian(info->si_pid)) return;
  if (killed.count < most) killed.ids[killed.count] = info->si_pid;
  killed.count++;
}

pid_t child_process_next_killed(void) {
  const int most = sizeof killed.ids / sizeof *killed.ids;
  return killed.told < killed.count && killed.told < most ? killed.ids[killed.told++] : 0;
}

int child_process_more_killed(void) {
  int count = killed.count - killed.told;
  killed.told = killed.count;
  return count;
}

#ifdef __linux__
#include <stdlib.h>
#include <sys/syscall.h>

int child_process_open(pid_t process, const char *file) {
  char path[64], *start = path + sizeof path;
  size_t length = strlen(file);
  if (length > 32) return -1;
  *--start = 0;
  start -= length;
  memcpy(start, file, length);
  *--start = '/';
  do *--start = (char)('0' + process % 10);
  while (process /= 10);
  start -= strlen("/proc/");
  memcpy(start, "/proc/", strlen("/proc/"));
  return open(start, O_RDONLY | O_CLOEXEC);
}

/// A process as /proc shows it.
struct process {
  pid_t id, parent;
  /// Its first thread, or another if that has ended: then /proc shows nothing of the process under its own number.
  pid_t thread;
  /// When it was started, in ticks since the system was.
  unsigned long long start;
  /// The state of its first thread; 0 if it cannot be known.
  char state;
  /// Whether it runs, and is neither the tool nor the guardian nor this one nor a former child.
  char counts;
  /// Whether it was found to have the mark.
  char is_marked;
  /// Whether it is a thread of the kernel, which has no environment.
  char is_kernel;
};

/// Calls `take` with each number that a folder in /proc lists, until that returns 0.
static void list(int folder, int (*take)(pid_t id, void *context), void *context) {
  struct entry {
    uint64_t inode;
    int64_t offset;
    unsigned short length;
    unsigned char type;
    char name[];
  };
  char buffer[4096] __attribute__((aligned(8)));
  if (folder < 0) return;
  int goes_on = 1;
  for (long size; goes_on && (size = syscall(SYS_getdents64, folder, buffer, sizeof buffer)) > 0;)
    for (long at = 0; goes_on && at < size;) {
      struct entry *entry = (struct entry *)(buffer + at);
      pid_t id = (pid_t)strtol(entry->name, NULL, 10);
      if (id > 0) goes_on = take(id, context);
      at += entry->length;
    }
  close(folder);
}

static int take_other_thread(pid_t id, void *context) {
  struct process *process = context;
  process->thread = id;
  return id == process->id;
}

/// PF_KTHREAD of the kernel's sched.h, which proc(5) refers to.
static const unsigned long kernel_thread = 0x00200000;

/// Reads the parent, the state and the start of a process; returns whether it runs.
static int look_up(struct process *process) {
  child_process_note_progress();
  int file = child_process_open(process->id, "stat");
  process->state = 0;
  process->parent = 0;
  process->start = 0;
  process->thread = process->id;
  if (file < 0) return 0;
  char line[512];
  ssize_t length = read(file, line, sizeof line - 1);
  close(file);
  line[length > 0 ? length : 0] = 0;
  // The name in parentheses may contain anything, even parentheses.
  char *field = strrchr(line, ')'), state = 0;
  long threads = 0;
  process->is_kernel = 0;
  // Numbered from the state on: the parent, the flags, the number of threads, the start.
  for (int number = 0; field && number < 20; number++) {
    field = strchr(field + 1, ' ');
    if (!field) break;
    if (number == 0) state = field[1];
    if (number == 1) process->parent = (pid_t)strtol(field, NULL, 10);
    if (number == 6) process->is_kernel = (strtoul(field, NULL, 10) & kernel_thread) != 0;
    if (number == 17) threads = strtol(field, NULL, 10);
    if (number == 19) process->start = strtoull(field, NULL, 10);
  }
  process->state = state;
  // A process whose first thread has ended looks like one that has ended.
  if (state == 'Z' && threads > 1)
    list(child_process_open(process->id, "task"), take_other_thread, process);
  return state && state != 'X' && (state != 'Z' || threads > 1);
}

char child_process_state_of_other_thread(pid_t process) {
  struct process found = {.id = process, .thread = process};
  list(child_process_open(process, "task"), take_other_thread, &found);
  struct process other = {.id = found.thread};
  look_up(&other);
  // That one may just be ending.
  return other.state == 'Z' || other.state == 'X' ? 0 : other.state;
}

unsigned long long child_process_start_of(pid_t process) {
  struct process found = {.id = process};
  look_up(&found);
  return found.start;
}

/// Looks for the mark of this run in the environment that a process was started with.
static enum finding look_for_mark(const struct process *process) {
  if (process->is_kernel) return not_found;
  struct suspect suspect = {.id = process->id, .thread = process->thread, .start = process->start};
  child_process_look_for_marks(&suspect, 1);
  return suspect.finding;
}

static int has_name(const char *text, size_t length, const char *name) {
  return length == strlen(name) + 1 && memcmp(text, name, length - 1) == 0 && text[length - 1] == '\n';
}

/// Whether a process is the guardian or the witness of any run, or helps one.
///
/// A run within the command ends with its tool, and its guardian is needed to end what it has started, which has
/// another mark.
int child_process_is_any_guardian(pid_t process) {
  char name[sizeof CHILD_PROCESS_GUARDIAN_NAME + 1];
  int file = child_process_open(process, "comm");
  if (file < 0) return 0;
  ssize_t length = read(file, name, sizeof name);
  close(file);
  if (length <= 0) return 0;
  return has_name(name, (size_t)length, CHILD_PROCESS_GUARDIAN_NAME) ||
         has_name(name, (size_t)length, CHILD_PROCESS_WITNESS_NAME);
}

/// Those whose environments are read together. Callers take turns.
static struct suspect suspects[65536];

/// All processes, in ascending order of their ids, as /proc lists them. Callers take turns.
static struct process processes[65536];
static int count;

static int take_process(pid_t id, void *context) {
  (void)context;
  processes[count++].id = id;
  return count < (int)(sizeof processes / sizeof *processes);
}

static void list_processes(void) {
  count = 0;
  list(open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC), take_process, NULL);
}

static struct process *find(pid_t id) {
  int low = 0, high = count;
  while (low < high) {
    int middle = (low + high) / 2;
    if (processes[middle].id < id)
      low = middle + 1;
    else
      high = middle;
  }
  return low < count && processes[low].id == id ? &processes[low] : NULL;
}

/// The children that this process had before it became the tool: not the command's, but of a shell that used exec.
static struct process former[sizeof processes / sizeof *processes];
static int former_count;

void child_process_keep_former_children(void) {
  list_processes();
  for (int i = 0; i < count; i++)
    if (look_up(&processes[i]) && processes[i].parent == getpid())
      former[former_count++] = processes[i];
}

static int is_former(const struct process *process) {
  for (int i = 0; i < former_count; i++)
    if (former[i].id == process->id && former[i].start == process->start) return 1;
  return 0;
}

/// Whether a process descends from the tool, through processes other than the guardian and former children.
static int descends(const struct process *process, pid_t tool) {
  for (int depth = 0; process && depth <= count; depth++) {
    if (child_process_is_guardian(process->id) || is_former(process)) return 0;
    if (process->parent == tool) return 1;
    process = find(process->parent);
  }
  return 0;
}

/// Whether a process is the command, or descends from it.
static int descends_from_command(const struct process *process) {
  pid_t command = child_process_command();
  for (int depth = 0; process && command > 0 && depth <= count; depth++) {
    if (process->id == command) return 1;
    process = find(process->parent);
  }
  return 0;
}

/// Whether a process may be the child of a former child that has ended, which now descends from the tool.
///
/// Then it is in the tool's group.
static int is_in_doubt(const struct process *process, pid_t tool_group) {
  return former_count > 0 && process->id != child_process_command() && getpgid(process->id) == tool_group;
}

/// Whether only its environment tells whether a process that descends from the tool was started by the command.
static int needs_mark(const struct process *process, pid_t tool_group) {
  return is_in_doubt(process, tool_group) && !descends_from_command(process);
}

/// The child of the tool that was started last of those which have ended, and have not been reaped.
static struct process latest_ended;

static void note_end(const struct process *process) {
  int is_later = process->start > latest_ended.start ||
                 (process->start == latest_ended.start && process->id > latest_ended.id);
  if (is_later) latest_ended = *process;
}

/// Whether a process is in the command's group. Later on, other processes may have that number.
static int is_in_group(const struct process *process) {
  return getpgid(process->id) == child_process_group() && !child_process_is_late();
}

/// Whether a process that was looked up is still the same: to read its environment may have taken long.
static int is_same(const struct process *process) {
  struct process now = {.id = process->id};
  return look_up(&now) && now.start == process->start;
}

/// Calls `act` for each process in the group of a tool that has ended whose own environment has no mark, but that of a
/// process that it descends from.
///
/// Those would not be found any more when the other has been killed.
static void for_each_unmarked(void (*act)(pid_t process, void *context), void *context) {
  for (int i = 0; i < count; i++) processes[i].counts = (char)look_up(&processes[i]);
  for (int i = count - 1; i >= 0; i--) {
    const struct process *process = &processes[i];
    if (!process->counts || getpgid(process->id) != child_process_tool_group() || is_former(process)) continue;
    if (child_process_is_any_guardian(process->id) || look_for_mark(process) == found) continue;
    const struct process *ancestor = find(process->parent);
    for (int depth = 0; ancestor && ancestor->id > 1 && depth <= count; depth++) {
      if (look_for_mark(ancestor) == found) {
        if (is_same(process)) act(process->id, context);
        break;
      }
      ancestor = find(ancestor->parent);
    }
  }
}

/// Calls `act` for each process that the command has left; `tool` is 0 if that has ended.
///
/// As long as the tool is there, all descend from it. Those of which only the environment tells whether the command has
/// started them are left to `for_each_marked`.
///
/// Returns `vanished` if some may have been missed: a process that was started after `begin` and has ended may have
/// started another. Returns `empty` if that is so only because of empty environments.
static enum finding for_each_left(pid_t tool, unsigned long long begin, void (*act)(pid_t process, void *context), void *context) {
  list_processes();
  pid_t tool_group = tool ? getpgid(tool) : 0;
  enum finding missed = not_found;
  if (!tool && child_process_stays_in_job()) for_each_unmarked(act, context);
  // The latest first, and at once those whose ancestors need not be known: they may be links of a chain of
  // short-lived processes.
  for (int i = count - 1; i >= 0; i--) {
    struct process *process = &processes[i];
    int runs = look_up(process);
    if (!runs && (!process->start || process->start >= begin)) missed = vanished;
    process->counts = runs && process->id != tool && process->id != getpid() &&
                      !child_process_is_guardian(process->id) && !is_former(process);
    if (!runs && tool && process->parent == tool && !is_in_doubt(process, tool_group)) note_end(process);
    if (!process->counts || tool && (process->parent != tool || is_in_doubt(process, tool_group))) continue;
    process->counts = 0;
    enum finding left = tool || is_in_group(process) ? found : look_for_mark(process);
    if (left == vanished || (left == empty && missed == not_found)) missed = left;
    if (left == found && is_same(process)) act(process->id, context);
  }
  for (int i = count - 1; tool && i >= 0; i--) {
    struct process *process = &processes[i];
    if (!process->counts) continue;
    int is_left = is_in_group(process) || descends(process, tool);
    if (is_left && needs_mark(process, tool_group)) continue;
    process->counts = 0;
    if (is_left) act(process->id, context);
  }
  return missed;
}

/// Whether a process has the mark, or descends from one that does: its own environment may have lost it.
static int has_mark(const struct process *process) {
  for (int depth = 0; process && depth <= count; depth++) {
    if (process->is_marked) return 1;
    if (!process->counts) return 0;
    process = find(process->parent);
  }
  return 0;
}

/// Calls `act` for each of the processes that `for_each_left` has left out and that have the mark. That may take time.
static void for_each_marked(void (*act)(pid_t process, void *context), void *context) {
  int number = 0;
  for (int i = count - 1; i >= 0; i--) {
    const struct process *process = &processes[i];
    if (process->counts) suspects[number++] = (struct suspect){process->id, process->thread, process->start, not_found};
  }
  child_process_look_for_marks(suspects, number);
  for (int i = 0; i < count; i++) processes[i].is_marked = 0;
  for (int i = 0; i < number; i++) find(suspects[i].id)->is_marked = suspects[i].finding == found;
  for (int i = 0; i < number; i++) {
    const struct process *process = find(suspects[i].id);
    if (has_mark(process) && is_same(process)) act(process->id, context);
  }
}

struct signalling {
  int signal;
  /// The latest process that was found, even if it had ended by then.
  pid_t last;
  /// The command, which has received the signal.
  pid_t child;
  int is_sent;
  pid_t missed;
};

static void send(pid_t process, void *context) {
  struct signalling *signalling = context;
  if (child_process_is_any_guardian(process)) return;
  // The command's group has received the signal, where allowed; a second one would be too much for some handlers.
  int is_told = process == signalling->child || getpgid(process) == child_process_group();
  if (signalling->signal == SIGKILL) is_told = 0;
  signalling->last = process;
  if (kill(process, is_told ? 0 : signalling->signal) == 0)
    signalling->is_sent = 1;
  else if (errno == EPERM)
    signalling->missed = process;
}

/// Descendants of the tool whose children are still to be looked for, each with its parent.
static struct { pid_t id, parent; } family[65536];
static int family_size;

/// Lists the children of a thread, the latest last.
static int take_children(pid_t thread, void *context) {
  static char text[8 * sizeof family / sizeof *family];
  pid_t parent = *(pid_t *)context;
  char name[32] = "task/", *end = name + strlen(name);
  char digits[12], *digit = digits;
  for (pid_t rest = thread; rest; rest /= 10) *digit++ = (char)('0' + rest % 10);
  while (digit > digits) *end++ = *--digit;
  memcpy(end, "/children", sizeof "/children");
  int file = child_process_open(parent, name);
  if (file < 0) return 1;
  size_t length = 0;
  for (ssize_t part; length < sizeof text - 1 && (part = read(file, text + length, sizeof text - 1 - length)) > 0;)
    length += (size_t)part;
  close(file);
  text[length] = 0;
  char *next = text;
  for (pid_t child; (child = (pid_t)strtol(next, &next, 10)) > 0;)
    if (family_size < (int)(sizeof family / sizeof *family)) {
      family[family_size].id = child;
      family[family_size++].parent = parent;
    }
  return 1;
}

/// Kills what descends from the tool by the lists of children that Linux keeps, if it does: that is soon done, however
/// many other processes there are.
///
/// A list may miss what is started or ends meanwhile, and those that are in doubt are left out.
static void kill_family(pid_t tool, struct signalling *signalling) {
  pid_t tool_group = getpgid(tool);
  family_size = 0;
  list(child_process_open(tool, "task"), take_children, &tool);
  while (family_size > 0) {
    struct process process = {.id = family[--family_size].id};
    pid_t parent = family[family_size].parent;
    if (process.id == getpid() || child_process_is_guardian(process.id) || !look_up(&process) || is_former(&process)) continue;
    // It may have lost its parent since.
    if (process.parent != tool && process.parent != parent) continue;
    if (parent == tool && is_in_doubt(&process, tool_group)) continue;
    if (child_process_is_any_guardian(process.id)) continue;
    list(child_process_open(process.id, "task"), take_children, &process.id);
    if (is_same(&process)) send(process.id, signalling);
  }
}

/// For the threads of the tool. The guardian has but one, and must not take it: a thread that does not exist there may
/// have had it when the guardian was forked.
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;

static pid_t signal_descendants(pid_t child, int signal) {
  struct signalling signalling = {.signal = signal, .child = child};
  pthread_mutex_lock(&turn);
  child_process_forget_stuck();
  if (signal == SIGKILL) kill_family(getpid(), &signalling);
  for_each_left(getpid(), 0, send, &signalling);
  for_each_marked(send, &signalling);
  pthread_mutex_unlock(&turn);
  return signalling.missed;
}

static void send_in_job(pid_t process, void *context) {
  const struct signalling *signalling = context;
  if (process == signalling->child || getpgid(process) != getpgrp()) return;
  if (!child_process_is_any_guardian(process) || descends_from_command(find(process))) kill(process, signalling->signal);
}

/// Signals what the command has started in the tool's group, and amid that the command, unless `signal_command` is NULL.
///
/// With it the witnesses of runs within the command, which would otherwise pass the signal on to commands that get it
/// from here. The command after those, since it may be a run, which asks its witnesses. But before what takes time.
static int signal_job(pid_t child, int signal, int (*signal_command)(pid_t child, int signal)) {
  struct signalling signalling = {.signal = signal, .child = child};
  pthread_mutex_lock(&turn);
  child_process_forget_stuck();
  for_each_left(getpid(), 0, send_in_job, &signalling);
  int result = signal_command ? signal_command(child, signal) : 0, error = errno;
  for_each_marked(send_in_job, &signalling);
  pthread_mutex_unlock(&turn);
  errno = error;
  return result;
}

/// Reaps the children that have ended, except the command and the guardian; returns how many there were.
static int reap_orphans(pid_t child) {
  int number = 0;
  list_processes();
  for (int i = 0; i < count; i++) {
    pid_t id = processes[i].id;
    if (id == child || child_process_is_guardian(id)) continue;
    siginfo_t info = {.si_pid = 0};
    // Its name is known until it is reaped.
    if (waitid(P_PID, (id_t)id, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || !info.si_pid) continue;
    child_process_note_end(&info);
    waitpid(id, NULL, WNOHANG);
    number++;
  }
  return number;
}

void child_process_reap_orphans(pid_t child) {
  pthread_mutex_lock(&turn);
  reap_orphans(child);
  pthread_mutex_unlock(&turn);
}

/// Notes a process that was asked to end. One that was stopped since, as by Ctrl-Z, is continued: it could not end.
static void note_rest(pid_t process, void *context) {
  send(process, context);
  const struct process *rest = find(process);
  char state = rest ? rest->state : 0;
  // It may go on without its first thread.
  if (state == 'Z') state = child_process_state_of_other_thread(process);
  if (state == 'T' && !child_process_is_any_guardian(process)) kill(process, SIGCONT);
}

int child_process_has_rest(pid_t child) {
  struct signalling signalling = {.child = child};
  pthread_mutex_lock(&turn);
  // What has ended since the last look may have started others.
  int is_changed = reap_orphans(child) > 0;
  for_each_left(getpid(), 0, note_rest, &signalling);
  for_each_marked(note_rest, &signalling);
  pthread_mutex_unlock(&turn);
  return is_changed || signalling.last;
}

/// Whether /proc does not show the processes of other users, and those that may not be traced.
static int has_hidden_processes(void) {
  static char text[65536];
  int file = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
  if (file < 0) return 1;
  size_t length = 0;
  for (ssize_t count = 1; count > 0 && length < sizeof text; length += (size_t)count)
    if ((count = read(file, text + length, sizeof text - length)) < 0) count = 0;
  close(file);
  return length == sizeof text || memmem(text, length, "hidepid=", strlen("hidepid=")) ||
         memmem(text, length, "subset=pid", strlen("subset=pid"));
}

int child_process_group_has_ended(pid_t group) {
  if (kill(-group, 0) != 0 && errno == ESRCH) return 1;
  int runs = 0;
  pthread_mutex_lock(&turn);
  if (has_hidden_processes()) runs = 1;
  list_processes();
  // A process that has ended stays in its group until it is reaped.
  for (int i = 0; i < count && !runs; i++) runs = getpgid(processes[i].id) == group && look_up(&processes[i]);
  pthread_mutex_unlock(&turn);
  return !runs;
}

int child_process_group_is_left(pid_t group) {
  int is_hidden = has_hidden_processes(), number = 0;
  child_process_forget_stuck();
  list_processes();
  for (int i = 0; i < count; i++) {
    struct process *process = &processes[i];
    if (getpgid(process->id) != group || !look_up(process)) continue;
    suspects[number++] = (struct suspect){process->id, process->thread, process->start, not_found};
  }
  child_process_look_for_marks(suspects, number);
  for (int i = 0; i < number; i++)
    if (suspects[i].finding == found) return 1;
  return !is_hidden && number == 0;
}

int child_process_group_is_commands(pid_t group) {
  pthread_mutex_lock(&turn);
  int is_left = child_process_group_is_left(group);
  pthread_mutex_unlock(&turn);
  return is_left;
}

void child_process_tell_guardian(pid_t group, int signal) {
  union sigval mark = {.sival_int = child_process_typed_mark};
  list_processes();
  // Those that have ended do no harm. One that replaces the first does not lead the group.
  for (int i = 0; i < count; i++)
    if (getpgid(processes[i].id) == group && child_process_is_any_guardian(processes[i].id))
      sigqueue(processes[i].id, signal, mark);
}

void child_process_tell_guardian_in_turn(pid_t group, int signal) {
  pthread_mutex_lock(&turn);
  child_process_tell_guardian(group, signal);
  pthread_mutex_unlock(&turn);
}

/// How often processes with empty environments are looked at again, in case they are amid an exec: for 100 ms at least.
static const int most_doubtful_passes = 100;

/// Some time before now, in the unit in which /proc tells when a process was started.
static unsigned long long ticks_before_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_BOOTTIME, &now);
  long ticks = sysconf(_SC_CLK_TCK);
  return (unsigned long long)now.tv_sec * ticks + now.tv_nsec / (1000000000 / ticks) - ticks / 10;
}

static pid_t kill_in_passes(pid_t tool, unsigned long long begin, int *has_found) {
  struct signalling signalling = {.signal = SIGKILL};
  struct timespec start, now, moment = {0, 1000000};
  clock_gettime(CLOCK_MONOTONIC, &start);
  latest_ended = (struct process){0};
  // A process may start another just before it is killed, or ends by itself, so that it takes several passes, the last
  // two of them without a find. As long as the tool is there, it is the parent of whatever was missed.
  for (int clean = 0, doubtful = 0; clean < 2;) {
    const struct process former_latest = latest_ended;
    signalling.last = signalling.is_sent = 0;
    // Short-lived ones may come faster than they are looked at.
    if (tool == getpid()) reap_orphans(child_process_command());
    if (tool) kill_family(tool, &signalling);
    enum finding missed = for_each_left(tool, begin, send, &signalling);
    if (tool) for_each_marked(send, &signalling);
    if (has_found && signalling.is_sent) *has_found = 1;
    // The environments of some processes are empty for good.
    if (missed == empty && !signalling.is_sent && ++doubtful > most_doubtful_passes) break;
    int is_new = tool && (latest_ended.id != former_latest.id || latest_ended.start != former_latest.start);
    int is_found = signalling.is_sent || (signalling.last && signalling.last != signalling.missed);
    clean = is_found || is_new || (missed != not_found && !tool) ? 0 : clean + 1;
    clock_gettime(CLOCK_MONOTONIC, &now);
    // One pass without a find is no proof, however long it took.
    if (now.tv_sec - start.tv_sec > 1 && !clean) {
      signalling.missed = signalling.last ? signalling.last : latest_ended.id;
      break;
    }
    // Killed processes need a moment to end.
    if (!clean) nanosleep(&moment, NULL);
  }
  return signalling.missed;
}

static unsigned long long begin_of_kill;

static void kill_marked(void) { kill_in_passes(0, begin_of_kill, NULL); }

pid_t child_process_kill_rest(pid_t tool, int *has_found) {
  child_process_forget_stuck();
  begin_of_kill = ticks_before_now();
  if (tool) return kill_in_passes(tool, begin_of_kill, has_found);
  struct timespec moment = {0, 1000000};
  // What has been killed may make room for a process.
  for (int i = 0; i < 20; i++) {
    if (child_process_run_apart(kill_marked) == 0) return 0;
    nanosleep(&moment, NULL);
  }
  child_process_read_anyway();
  kill_marked();
  return 0;
}

void child_process_kill_tree(pid_t child) {
  struct signalling signalling = {.signal = SIGKILL, .child = child};
  list_processes();
  struct process *command = find(child);
  // If it has ended, its children have other parents.
  if (!command || !child_process_is_command(child) || !look_up(command)) return;
  for (int i = 0; i < count; i++) processes[i].counts = (char)look_up(&processes[i]);
  for (int i = 0; i < count; i++) processes[i].counts = processes[i].counts && descends_from_command(&processes[i]);
  for (int i = 0; i < count; i++)
    if (processes[i].counts) send(processes[i].id, &signalling);
}
#else
void child_process_keep_former_children(void) {}

int child_process_is_any_guardian(pid_t process) { return 0; }

void child_process_reap_orphans(pid_t child) {}

int child_process_has_rest(pid_t child) {
#ifdef __APPLE__
  static pid_t ids[4096];
  int size = proc_listpids(PROC_PGRP_ONLY, (uint32_t)child_process_group(), ids, sizeof ids);
  for (int i = 0; i < size / (int)sizeof *ids; i++)
    if (ids[i] > 0 && ids[i] != child && !child_process_is_guardian(ids[i])) return 1;
#endif
  return 0;
}

int child_process_group_has_ended(pid_t group) { return kill(-group, 0) != 0 && errno == ESRCH; }

int child_process_group_is_left(pid_t group) { return child_process_group_has_ended(group); }

int child_process_group_is_commands(pid_t group) { return 1; }

void child_process_tell_guardian(pid_t group, int signal) {}

void child_process_tell_guardian_in_turn(pid_t group, int signal) {}

void child_process_kill_tree(pid_t child) {}

unsigned long long child_process_start_of(pid_t process) { return 0; }

static pid_t signal_descendants(pid_t child, int signal) { return 0; }

static int signal_job(pid_t child, int signal, int (*signal_command)(pid_t child, int signal)) {
  return signal_command ? signal_command(child, signal) : 0;
}

pid_t child_process_kill_rest(pid_t tool, int *has_found) { return 0; }
#endif

static pid_t first_group(void) { return child_process_stays_in_job() ? child_process_tool_group() : child_process_group(); }

int child_process_has_left(pid_t child) {
  pid_t group = child > 0 ? getpgid(child) : -1;
  return group > 0 && group != first_group();
}

/// A command that leads a group has only this one, as far as others know: for kill(2).
static pid_t with_group(pid_t child) { return getpgid(child) == child ? -child : child; }

void child_process_follow(pid_t child, int signal) {
  if (child_process_has_left(child)) kill(with_group(child), signal);
}

int child_process_signal_command(pid_t child, int signal) {
  if (!child_process_keep(child)) return -1;
  if (signal == SIGKILL) {
    begin_kill(child);
    child_process_guardian_succeed();
  }
  int result = kill(-child_process_group(), signal), error = errno;
  if (getpgid(child) != child_process_group()) {
    // As a shell stops and continues a job.
    int is_for_job = signal == SIGTSTP || signal == SIGCONT;
    result = kill(is_for_job ? with_group(child) : child, signal);
    error = errno;
  }
  child_process_let_go();
  errno = error;
  return result;
}

void child_process_signal_others(pid_t child, int signal) {
  if (child_process_stays_in_job()) signal_job(child, signal, NULL);
}

int child_process_signal(pid_t child, int signal) {
  if (!child_process_stays_in_job()) return child_process_signal_command(child, signal);
  return signal_job(child, signal, child_process_signal_command);
}

pid_t child_process_signal_all(pid_t child, int signal) {
  pid_t missed = child_process_signal_command(child, signal) != 0 && errno == EPERM ? child : 0;
  pid_t other = signal_descendants(child, signal);
  return other ? other : missed;
}

pid_t child_process_kill_left(void) {
  begin_kill(0);
  child_process_guardian_succeed();
  kill(-child_process_group(), SIGKILL);
#ifdef __linux__
  pthread_mutex_lock(&turn);
#endif
  pid_t missed = child_process_kill_rest(getpid(), NULL);
#ifdef __linux__
  // By now, all that have ended by it are children of this process.
  reap_orphans(child_process_command());
  pthread_mutex_unlock(&turn);
#endif
  return missed;
}

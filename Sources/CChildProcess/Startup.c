#include "CChildProcess.h"
#include "Internal.h"

#include <errno.h>
#include <fcntl.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

static char *const *own_arguments;
static size_t own_count;
static char was_ignored[NSIG];
static sigset_t own_mask;
static int own_nice;
static struct rlimit own_processor_time;

/// Fills the places of closed standard streams. Otherwise a socket could get such a number, and output would go to the
/// server. Writing to them is an error as before, and for the command they are closed.
static void reserve_standard_streams(void) {
  for (int stream = 0; stream < 3; stream++)
    if (fcntl(stream, F_GETFD) < 0) open("/dev/null", (stream == 0 ? O_WRONLY : O_RDONLY) | O_CLOEXEC);
}

#ifdef __linux__
/// Ends this process as if there were no handler.
static void end_by(int number) {
  raise(number);
  // The signal does not end the first process of a container.
  _exit(128 + number);
}

/// The same, but not when this process has reached its limit of processor time, which is for the command.
static void end_unless_by_limit(int number, siginfo_t *info, void *unused) {
  (void)unused;
  if (info->si_code == SI_KERNEL) return;
  signal(number, SIG_DFL);
  end_by(number);
}
#endif

/// The C libraries of Linux and macOS pass the arguments to constructors. Swift reads /proc, which may be missing,
/// and changes bytes that are not UTF-8.
static void keep(int count, char **arguments, char **environment) {
  static int is_kept;
  (void)environment;
  if (is_kept) return;
  is_kept = 1;
#ifdef __GLIBC__
  // Otherwise each thread would reserve 64 MiB of addresses for its allocations. If `ulimit -v` allows few, none
  // would be left for the stacks of the next threads.
  mallopt(M_ARENA_MAX, 1);
#endif
  reserve_standard_streams();
  if (count > 0) {
    own_arguments = arguments;
    own_count = (size_t)count;
  }
  for (int number = 1; number < NSIG; number++) {
    struct sigaction action;
    was_ignored[number] = sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
  }
  sigprocmask(SIG_SETMASK, NULL, &own_mask);
  own_nice = getpriority(PRIO_PROCESS, 0);
  getrlimit(RLIMIT_CPU, &own_processor_time);
#ifdef __linux__
  // Swift's runtime sets a handler for crashes where it finds none. That one loses a signal that was sent: it
  // tries to report where, and goes on. In the first process of a container, signals without a handler are lost as
  // well.
  struct sigaction end = {.sa_handler = end_by, .sa_flags = SA_RESETHAND | SA_NODEFER};
  const int ending[] = {SIGQUIT, SIGINT, SIGTERM, SIGHUP};
  for (int i = 0; i < (getpid() == 1 ? 4 : 1); i++)
    if (!was_ignored[ending[i]]) sigaction(ending[i], &end, NULL);
  struct sigaction limit = {.sa_sigaction = end_unless_by_limit, .sa_flags = SA_SIGINFO | SA_NODEFER | SA_RESTART};
  if (!was_ignored[SIGXCPU]) sigaction(SIGXCPU, &limit, NULL);
#else
  if (!was_ignored[SIGQUIT]) signal(SIGQUIT, SIG_DFL);
#endif
}

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
// They have to exist before the code that they check.
#define IS_CHECKED 1
#endif
#endif

#if defined(__GLIBC__) && !defined(IS_CHECKED)
// Runs before the runtime, which is a separate library or comes before this file.
__attribute__((section(".preinit_array"), used)) static void (*const keep_first)(int, char **, char **) = keep;
#endif

__attribute__((constructor)) static void keep_at_last(int count, char **arguments, char **environment) {
  keep(count, arguments, environment);
}

char *const *child_process_own_arguments(void) { return own_arguments; }

int child_process_was_ignored(int signal) { return signal > 0 && signal < NSIG && was_ignored[signal]; }

const sigset_t *child_process_own_mask(void) { return &own_mask; }

int child_process_own_nice(void) { return own_nice; }

void child_process_restore_limit(void) {
  struct rlimit limit;
  // Linux raises it by a second each time that it is reached.
  if (getrlimit(RLIMIT_CPU, &limit) != 0 || limit.rlim_max != own_processor_time.rlim_max) return;
  if (limit.rlim_cur > own_processor_time.rlim_cur) setrlimit(RLIMIT_CPU, &own_processor_time);
}

/// The stack that a thread may need for itself, in bytes; a multiple of a page.
static const size_t stack_margin = 1 << 19;

/// A thread to be started.
struct start {
  void *context;
  void *(*body)(void *context);
};

static void *run_urgently(void *argument) {
  struct start start = *(struct start *)argument;
  free(argument);
#ifdef __linux__
  // For this thread alone; only root may.
  setpriority(PRIO_PROCESS, 0, own_nice - 10);
#endif
  return start.body(start.context);
}

int child_process_start_thread(void *context, void *(*body)(void *context)) {
  struct start *start = malloc(sizeof *start);
  if (!start) return -1;
  *start = (struct start){context, body};
  pthread_t thread;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  // For a script without #!, execvp(3) copies all arguments onto the stack of the thread that forks. The usual size
  // leaves room for that, except with `ulimit -s unlimited`: then it is small, and the arguments may be many.
  size_t usual, needed = (own_count * sizeof(char *) / stack_margin + 2) * stack_margin;
  if (pthread_attr_getstacksize(&attributes, &usual) == 0 && usual < needed)
    pthread_attr_setstacksize(&attributes, needed);
  sigset_t all, former;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &former);
  int error = pthread_create(&thread, &attributes, run_urgently, start);
  pthread_sigmask(SIG_SETMASK, &former, NULL);
  pthread_attr_destroy(&attributes);
  if (!error) return 0;
  free(start);
  errno = error;
  return -1;
}

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static void *pass_gate(void *unused) {
  pthread_mutex_lock(&gate);
  pthread_mutex_unlock(&gate);
  return unused;
}

int child_process_can_create_threads(int count) {
  pthread_t threads[64];
  int created = 0;
  if (count > 64) count = 64;
  // All of them exist at the same time.
  pthread_mutex_lock(&gate);
  while (created < count && pthread_create(&threads[created], NULL, pass_gate, NULL) == 0) created++;
  pthread_mutex_unlock(&gate);
  for (int i = 0; i < created; i++) pthread_join(threads[i], NULL);
  return created == count;
}

int child_process_can_open(int count) {
  int opened[64], last = 0;
  if (count > 64) count = 64;
  // Not copies of what the caller has opened: to close one drops the record locks of this process on that file.
  if (pipe(opened) == 0) last = 2;
  for (int i = 0; i < last; i++) fcntl(opened[i], F_SETFD, FD_CLOEXEC);
  while (last > 0 && last < count && (opened[last] = fcntl(opened[0], F_DUPFD_CLOEXEC, 0)) >= 0) last++;
  for (int i = 0; i < last; i++) close(opened[i]);
  return last >= count;
}

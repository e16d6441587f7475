#include "CChildProcess.h"
#include "Internal.h"

#include <fcntl.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

static char *const *own_arguments;
static char was_ignored[NSIG];
static sigset_t own_mask;
static int own_nice;

/// Takes the places of standard streams that are closed, so that no socket gets there and what is written goes to the
/// server. To write is an error as before, and for the command they are closed.
static void reserve_standard_streams(void) {
  for (int stream = 0; stream < 3; stream++)
    if (fcntl(stream, F_GETFD) < 0) open("/dev/null", (stream == 0 ? O_WRONLY : O_RDONLY) | O_CLOEXEC);
}

#ifdef __linux__
/// Ends this process as if there was no handler.
static void end_by(int number) {
  raise(number);
  // The first process of a container is not ended by that.
  _exit(128 + number);
}
#endif

/// The C libraries of Linux and macOS give the arguments to constructors. Swift reads /proc, which may not be there, and
/// takes bytes that are not UTF-8 for others.
static void keep(int count, char **arguments, char **environment) {
  static int is_kept;
  (void)environment;
  if (is_kept) return;
  is_kept = 1;
#ifdef __GLIBC__
  // Each thread would reserve 64 MiB of addresses for what it allocates, and leave none for the stacks of the next ones
  // where `ulimit -v` allows few.
  mallopt(M_ARENA_MAX, 1);
#endif
  reserve_standard_streams();
  if (count > 0) own_arguments = arguments;
  for (int number = 1; number < NSIG; number++) {
    struct sigaction action;
    was_ignored[number] = sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
  }
  sigprocmask(SIG_SETMASK, NULL, &own_mask);
  own_nice = getpriority(PRIO_PROCESS, 0);
#ifdef __linux__
  // Swift's runtime sets a handler for crashes where it finds none, and that one loses the signal: it tries to say where
  // it was sent, and goes on. What the first process of a container has no handler for is lost as well.
  struct sigaction end = {.sa_handler = end_by, .sa_flags = SA_RESETHAND | SA_NODEFER};
  const int ending[] = {SIGQUIT, SIGINT, SIGTERM, SIGHUP};
  for (int i = 0; i < (getpid() == 1 ? 4 : 1); i++)
    if (!was_ignored[ending[i]]) sigaction(ending[i], &end, NULL);
#else
  if (!was_ignored[SIGQUIT]) signal(SIGQUIT, SIG_DFL);
#endif
}

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
// They have to be there before code that they check.
#define IS_CHECKED 1
#endif
#endif

#if defined(__GLIBC__) && !defined(IS_CHECKED)
// Before the runtime, which is a library of its own or comes before this file, can do anything.
__attribute__((section(".preinit_array"), used)) static void (*const keep_first)(int, char **, char **) = keep;
#endif

__attribute__((constructor)) static void keep_at_last(int count, char **arguments, char **environment) {
  keep(count, arguments, environment);
}

char *const *child_process_own_arguments(void) { return own_arguments; }

int child_process_was_ignored(int signal) { return signal > 0 && signal < NSIG && was_ignored[signal]; }

const sigset_t *child_process_own_mask(void) { return &own_mask; }

int child_process_own_nice(void) { return own_nice; }

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
  // All of them at the same time.
  pthread_mutex_lock(&gate);
  while (created < count && pthread_create(&threads[created], NULL, pass_gate, NULL) == 0) created++;
  pthread_mutex_unlock(&gate);
  for (int i = 0; i < created; i++) pthread_join(threads[i], NULL);
  return created == count;
}

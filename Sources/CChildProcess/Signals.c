// A handler notes signals, and a separate thread reports them. Dispatch sources would not do: they are set up some
// time after they were created, on threads that may not exist. Besides, each real-time signal would take a
// descriptor.

#include "CChildProcess.h"
#include "Internal.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

/// A signal that was received.
struct receipt {
  /// Its number, plus NSIG times its origin; 0 for none.
  int code;
  /// How many were received before.
  unsigned number;
  /// How often this process was to stop itself, had done so, and had received SIGCONT.
  unsigned stops, halts, continues;
  pid_t sender;
};

/// The ends of a pipe for receipts.
static int reading = -1, writing = -1;
/// How many origins there are.
enum { origins = child_process_from_guardian + 1 };
/// How many signals found no room in the pipe, by their origins.
static _Atomic unsigned missed[origins * NSIG];
/// Of a lower one, the system may make one of several as well.
enum { first_counted = 32 };
static sigset_t received;
/// Whether a thread receives them.
static int is_receiving;
static pthread_mutex_t beginning = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t has_begun = PTHREAD_COND_INITIALIZER;
/// How often this process was to stop itself, and that number when it last received SIGTSTP; how often it has done so.
static _Atomic unsigned stops, last_asked = ~0u, halts;
/// How often this process has received SIGCONT, that number when it last received SIGTSTP, and how many were reported.
static _Atomic unsigned continues, last_asked_after, reported_continues;
/// How many signals were received; counted where the command's process can see it.
static _Atomic unsigned own_receipts, *receipts = &own_receipts;
/// What is being reported.
static struct receipt current;
static void (*receiver)(int signal, enum child_process_origin origin);

static enum child_process_origin find_origin(const siginfo_t *info) {
#ifdef SI_KERNEL
  if (info->si_code == SI_KERNEL) return child_process_from_terminal;
  // From outside of a container.
  if (info->si_pid <= 0) return child_process_from_elsewhere;
#else
  if (info->si_pid <= 0) return child_process_from_terminal;
#endif
  if (info->si_signo == SIGHUP && child_process_is_guardian(info->si_pid)) return child_process_from_guardian;
  return getpgid(info->si_pid) == getpgrp() ? child_process_from_job : child_process_from_elsewhere;
}

int child_process_is_to_stop(void) { return atomic_load(&last_asked) == atomic_load(&stops); }

void child_process_note_stop(int is_done) {
  atomic_fetch_add(&stops, 1);
  if (is_done) atomic_fetch_add(&halts, 1);
}

unsigned child_process_continues(void) { return atomic_load(&continues); }

unsigned child_process_continues_at_stop(void) { return atomic_load(&last_asked_after); }

unsigned child_process_continues_at_receipt(void) { return current.continues; }

unsigned child_process_reported_continues(void) { return atomic_load(&reported_continues); }

/// Whether a signal says that this process has reached a limit of its own: the command has its own use of the same.
static int is_about_limit(const siginfo_t *info) {
#ifdef SI_KERNEL
  if (info->si_signo == SIGXCPU) return info->si_code == SI_KERNEL;
#endif
  // The writer of a file signals itself.
  return info->si_signo == SIGXFSZ && info->si_pid == getpid();
}

static void note(int number, siginfo_t *info, void *unused) {
  (void)unused;
  if (is_about_limit(info)) return;
  int error = errno;
  if (number == SIGCONT) atomic_fetch_add(&continues, 1);
  if (number == SIGTSTP) atomic_store(&last_asked_after, atomic_load(&continues));
  enum child_process_origin origin = find_origin(info);
  // Here and not by the thread, for which it may come before or after a stop.
  int is_to_stop = number == SIGTSTP && origin != child_process_from_job && !child_process_was_ignored(SIGTSTP);
  if (is_to_stop) atomic_store(&last_asked, atomic_load(&stops));
  struct receipt receipt = {origin * NSIG + number, atomic_fetch_add(receipts, 1), atomic_load(&stops), atomic_load(&halts),
                            atomic_load(&continues), info->si_pid};
  struct receipt nothing = {0};
  if (write(writing, &receipt, sizeof receipt) != sizeof receipt) {
    atomic_fetch_add(&missed[receipt.code], 1);
    // Even if there is room by now, the thread may have looked already.
    (void)!write(writing, &nothing, sizeof nothing);
  }
  errno = error;
}

pid_t child_process_sender(void) { return current.sender; }

unsigned child_process_receipt(void) { return current.number; }

unsigned child_process_receipts(void) { return atomic_load(receipts); }

int child_process_has_stopped(void) { return current.stops != atomic_load(&stops); }

/// Whether a signal is over, since this process has stopped meanwhile.
static int is_past(struct receipt receipt, int number) {
  if (number == SIGTSTP) return child_process_has_stopped();
  // What has continued this process before it stopped is over as well.
  return number == SIGCONT && receipt.halts != atomic_load(&halts);
}

static void report(struct receipt receipt) {
  int number = receipt.code % NSIG;
  current = receipt;
  if (!is_past(receipt, number)) receiver(number, receipt.code / NSIG);
  // A thread that was slow to note a signal may have counted fewer.
  if ((int)(receipt.continues - atomic_load(&reported_continues)) > 0)
    atomic_store(&reported_continues, receipt.continues);
}

static void *tell(void *unused) {
  // All other threads may block them.
  pthread_sigmask(SIG_UNBLOCK, &received, NULL);
  for (;;) {
    struct receipt list[64];
    // A pipe takes all of a receipt at once, or nothing of it.
    ssize_t count = read(reading, list, sizeof list);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return unused;
    for (size_t i = 0; i < (size_t)count / sizeof *list; i++)
      if (list[i].code) report(list[i]);
    for (int code = 1; code < origins * NSIG; code++) {
      unsigned times = atomic_exchange(&missed[code], 0);
      if (code % NSIG < first_counted && times > 1) times = 1;
      for (; times > 0; times--)
        report((struct receipt){code, child_process_receipts(), atomic_load(&stops), atomic_load(&halts),
                                atomic_load(&continues), -1});
    }
  }
}

int child_process_receive_signals(
  const int *numbers, int count, void (*receive)(int signal, enum child_process_origin origin)
) {
  int ends[2];
  if (pipe(ends) != 0) return -1;
  for (int i = 0; i < 2; i++) fcntl(ends[i], F_SETFD, FD_CLOEXEC);
  // A handler never waits.
  fcntl(ends[1], F_SETFL, O_NONBLOCK);
  reading = ends[0];
  writing = ends[1];
  receiver = receive;
  if (child_process_shared_receipts()) receipts = child_process_shared_receipts();
  sigemptyset(&received);
  for (int i = 0; i < count; i++) sigaddset(&received, numbers[i]);

  struct sigaction action = {.sa_sigaction = note, .sa_flags = SA_RESTART | SA_SIGINFO};
  sigfillset(&action.sa_mask);
  for (int i = 0; i < count; i++) sigaction(numbers[i], &action, NULL);
  // Afterwards, since it unblocks signals of which some may be pending: the parent may have blocked them.
  if (child_process_start_thread(NULL, tell) != 0) return -1;
  pthread_mutex_lock(&beginning);
  is_receiving = 1;
  pthread_cond_signal(&has_begun);
  pthread_mutex_unlock(&beginning);
  return 0;
}

void child_process_rest(void) {
  pthread_mutex_lock(&beginning);
  while (!is_receiving) pthread_cond_wait(&has_begun, &beginning);
  pthread_mutex_unlock(&beginning);
  // Otherwise the system would prefer this thread, which may have to wait for its turn while the other takes what it has
  // been sent for old.
  pthread_sigmask(SIG_BLOCK, &received, NULL);
  for (;;) pause();
}

int child_process_first_real_time_signal(void) {
#ifdef SIGRTMIN
  return SIGRTMIN;
#else
  return 0;
#endif
}

int child_process_last_real_time_signal(void) {
#ifdef SIGRTMAX
  return SIGRTMAX;
#else
  return 0;
#endif
}

// A handler notes signals, and a separate thread reports them. Dispatch sources would not do: they are set up some
// time after they were created, on threads that may not exist. Besides, each real-time signal would take a
// descriptor.

#include "CChildProcess.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

/// The ends of a pipe, for the numbers of signals.
static int reading = -1, writing = -1;
/// Signals for which the pipe had no room.
static _Atomic int missed[NSIG];
static sigset_t received;
static void (*receiver)(int signal);

static void note(int number) {
  int error = errno;
  unsigned char byte = (unsigned char)number, nothing = 0;
  if (write(writing, &byte, 1) != 1) {
    atomic_store(&missed[number], 1);
    // Even if there is room by now, the thread may have looked already.
    (void)!write(writing, &nothing, 1);
  }
  errno = error;
}

static void *tell(void *unused) {
  // All other threads may block them.
  pthread_sigmask(SIG_UNBLOCK, &received, NULL);
  for (;;) {
    unsigned char numbers[64];
    ssize_t count = read(reading, numbers, sizeof numbers);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return unused;
    for (ssize_t i = 0; i < count; i++)
      if (numbers[i]) receiver(numbers[i]);
    for (int number = 1; number < NSIG; number++)
      if (atomic_exchange(&missed[number], 0)) receiver(number);
  }
}

int child_process_receive_signals(const int *numbers, int count, void (*receive)(int signal)) {
  int ends[2];
  if (pipe(ends) != 0) return -1;
  for (int i = 0; i < 2; i++) fcntl(ends[i], F_SETFD, FD_CLOEXEC);
  // A handler never waits.
  fcntl(ends[1], F_SETFL, O_NONBLOCK);
  reading = ends[0];
  writing = ends[1];
  receiver = receive;
  sigemptyset(&received);
  for (int i = 0; i < count; i++) sigaddset(&received, numbers[i]);

  if (child_process_start_thread(NULL, tell) != 0) return -1;
  struct sigaction action = {.sa_handler = note, .sa_flags = SA_RESTART};
  sigfillset(&action.sa_mask);
  for (int i = 0; i < count; i++) sigaction(numbers[i], &action, NULL);
  return 0;
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

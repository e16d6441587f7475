#include "CChildProcess.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#ifdef __linux__
#include <sys/prctl.h>
#endif

int child_process_end_with_parent(pid_t parent) {
#ifdef __linux__
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return -1;
#endif
  // It may have ended before the signal was asked for.
  if (getppid() != parent) {
    errno = ESRCH;
    return -1;
  }
  return 0;
}

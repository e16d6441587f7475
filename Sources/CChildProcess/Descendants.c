#include "CChildProcess.h"
#include "Internal.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#ifdef __linux__
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

enum { most_processes = 4096 };

/// Returns the parent of a process, and its state; 0 if it is gone.
static pid_t parent_of(pid_t process, char *state) {
  char path[64], line[512];
  snprintf(path, sizeof path, "/proc/%d/stat", (int)process);
  FILE *file = fopen(path, "re");
  if (!file) return 0;
  size_t length = fread(line, 1, sizeof line - 1, file);
  fclose(file);
  line[length] = 0;
  // The name in parentheses may contain anything, even parentheses.
  char *end = NULL;
  for (char *c = line; *c; c++)
    if (*c == ')') end = c;
  int parent = 0;
  return end && sscanf(end + 1, " %c %d", state, &parent) == 2 ? parent : 0;
}

/// Whether a process descends from this one, through processes other than the guardian.
static int descends(pid_t process) {
  char state;
  for (int depth = 0; depth < 256 && process > 1; depth++) {
    if (child_process_is_guardian(process)) return 0;
    pid_t parent = parent_of(process, &state);
    if (parent == getpid()) return 1;
    process = parent;
  }
  return 0;
}

static pid_t signal_descendants(pid_t child, int signal) {
  pid_t missed = 0;
  DIR *folder = opendir("/proc");
  if (!folder) return 0;
  for (struct dirent *entry; (entry = readdir(folder));) {
    pid_t process = (pid_t)atoi(entry->d_name);
    char state = 0;
    if (process <= 1 || process == getpid() || child_process_is_guardian(process) || !parent_of(process, &state) ||
        state == 'Z')
      continue;
    // The command's group has received the signal, where allowed; a second one would be too much for some
    // handlers.
    int is_told = process == child || getpgid(process) == child_process_group();
    if (!is_told && !descends(process)) continue;
    if (kill(process, is_told ? 0 : signal) != 0 && errno == EPERM) missed = process;
  }
  closedir(folder);
  return missed;
}
#else
static pid_t signal_descendants(pid_t child, int signal) { return 0; }
#endif

int child_process_signal(pid_t child, int signal) {
  if (signal == SIGKILL) child_process_guardian_expend();
  int result = kill(-child_process_group(), signal);
  // The command may have left the group.
  if (getpgid(child) != child_process_group()) result = kill(child, signal);
  return result;
}

pid_t child_process_signal_all(pid_t child, int signal) {
  pid_t missed = child_process_signal(child, signal) != 0 && errno == EPERM ? child : 0;
  pid_t other = signal_descendants(child, signal);
  return other ? other : missed;
}

#include "ledger.h"

#include <stdio.h>
#include <time.h>

// The first line of the file says how many entries follow. The lock is necessary because readers trust this line,
// and because a writer may have read it a moment ago.
int ledger_count(const char *path) {
  FILE *file = fopen(path, "r");
  if (!file) return 0;
  int count = -1;
  if (fscanf(file, "%d", &count) != 1) count = -1;
  fclose(file);
  return count;
}

static int append(const char *path, const char *entry) {
  const int count = ledger_count(path);
  if (count < 0) return -1;
  const struct timespec pause = {.tv_nsec = 10 * 1000 * 1000};
  nanosleep(&pause, NULL);
  FILE *file = fopen(path, "r+");
  if (!file) file = fopen(path, "w");
  if (!file) return -1;
  fprintf(file, "%d\n", count + 1);
  fseek(file, 0, SEEK_END);
  fprintf(file, "%s\n", entry);
  return fclose(file);
}

int ledger_add(const char *path, const char *entry, int count, ledger_may_go_on may_go_on, void *context) {
  for (int added = 0; added < count; added++) {
    if (!may_go_on(context)) return added;
    if (append(path, entry)) return -1;
  }
  return count;
}

#ifndef LEDGER_H
#define LEDGER_H

/// Whether the ledger may be written to once more; called between two entries, on the same thread.
typedef int (*ledger_may_go_on)(void *context);

/// Adds entries to the ledger in a file, one after the other, and rewrites it for each: nobody else may do the same
/// meanwhile. Blocks the thread for 10 ms for each entry.
///
/// Returns how many entries were added, or -1 with errno set.
int ledger_add(const char *path, const char *entry, int count, ledger_may_go_on may_go_on, void *context);

/// The number of entries in a file, or -1 with errno set.
int ledger_count(const char *path);

#endif

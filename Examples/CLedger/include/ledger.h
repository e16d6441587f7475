#ifndef LEDGER_H
#define LEDGER_H

/// Tells whether another entry may be written; called between two entries, on the same thread.
typedef int (*ledger_may_go_on)(void *context);

/// Adds entries to the ledger in a file, one after another. It rewrites the file for each, so no other caller may do
/// the same meanwhile. Blocks the thread for 10 ms for each entry.
///
/// Returns the number of entries added, or -1 with errno set.
int ledger_add(const char *path, const char *entry, int count, ledger_may_go_on may_go_on, void *context);

/// The number of entries in a file, or -1 with errno set.
int ledger_count(const char *path);

#endif

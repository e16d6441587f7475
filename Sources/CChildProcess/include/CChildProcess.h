#ifndef C_CHILD_PROCESS_H
#define C_CHILD_PROCESS_H

#include <sys/types.h>

/// Lets the kernel kill this process when the thread that made it ends; does nothing on other systems than
/// Linux.
///
/// Returns 0, or -1 with `errno` when the parent, which had this id, is gone already.
int child_process_end_with_parent(pid_t parent);

#endif

#ifndef C_COUNTING_H
#define C_COUNTING_H

#include <stdbool.h>

/// Whether this system can count.
bool counting_is_supported(void);

/// Starts to count in all threads.
void counting_begin(void);

/// Stops counting.
void counting_end(void);

/// How many pieces of memory were allocated meanwhile; growing one counts, too.
long counting_allocations(void);

/// How many calls retained or released references meanwhile; several at once count as one.
long counting_references(void);

#endif

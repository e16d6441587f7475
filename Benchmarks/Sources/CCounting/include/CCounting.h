#ifndef C_COUNTING_H
#define C_COUNTING_H

#include <stdbool.h>

/// Whether this system can count.
bool counting_is_supported(void);

/// Counts from now on, in all threads.
void counting_begin(void);

/// Counts no longer.
void counting_end(void);

/// How many pieces of memory were allocated meanwhile, also by growing one.
long counting_allocations(void);

/// How many references were retained and released meanwhile; several at once count as one.
long counting_references(void);

#endif

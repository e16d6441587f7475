#include "CCounting.h"

#ifdef __linux__

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

static atomic_bool isCounting;
static atomic_long allocations, references;

static void count(atomic_long *counter) {
  if (atomic_load_explicit(&isCounting, memory_order_relaxed))
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

// glibc lets a program replace these functions with its own.

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

void *malloc(size_t size) {
  count(&allocations);
  return __libc_malloc(size);
}

void *calloc(size_t number, size_t size) {
  count(&allocations);
  return __libc_calloc(number, size);
}

void *realloc(void *memory, size_t size) {
  count(&allocations);
  return __libc_realloc(memory, size);
}

int posix_memalign(void **memory, size_t alignment, size_t size) {
  count(&allocations);
  *memory = __libc_memalign(alignment, size);
  return *memory ? 0 : 12;
}

void *aligned_alloc(size_t alignment, size_t size) {
  count(&allocations);
  return __libc_memalign(alignment, size);
}

// Functions of Swift's runtime that the program's own code calls; calls within the runtime are not counted.

#define COUNTED(type, name, parameters, arguments)           \
  type name parameters {                                     \
    static type(*_Atomic its) parameters;                    \
    type(*function) parameters = its;                        \
    if (!function) its = function = dlsym(RTLD_NEXT, #name); \
    count(&references);                                      \
    return function arguments;                               \
  }

COUNTED(void *, swift_retain, (void *object), (object))
COUNTED(void *, swift_retain_n, (void *object, uint32_t number), (object, number))
COUNTED(void, swift_release, (void *object), (object))
COUNTED(void, swift_release_n, (void *object, uint32_t number), (object, number))
COUNTED(void *, swift_bridgeObjectRetain, (void *object), (object))
COUNTED(void, swift_bridgeObjectRelease, (void *object), (object))

bool counting_is_supported(void) { return true; }

void counting_begin(void) { atomic_store(&isCounting, true); }

void counting_end(void) { atomic_store(&isCounting, false); }

long counting_allocations(void) { return atomic_load(&allocations); }

long counting_references(void) { return atomic_load(&references); }

#else

bool counting_is_supported(void) { return false; }
void counting_begin(void) {}
void counting_end(void) {}
long counting_allocations(void) { return 0; }
long counting_references(void) { return 0; }

#endif

#pragma once

#if defined(__has_include)
#if !__has_include(<hiredis/hiredis.h>)
#error "hiredis is missing: install it by `apt-get install libhiredis-dev` or `brew install hiredis`"
#endif
#endif

#include <hiredis/hiredis.h>

/* The memory that a bounded reader needs for as long as it lives. */
typedef struct {
  redisReplyObjectFunctions bounded;
  redisReplyObjectFunctions original;
  int most_elements;
} arl_reader_functions;

#if HIREDIS_MAJOR < 1
static inline void *arl_create_bounded_array(const redisReadTask *task, int elements) {
  const arl_reader_functions *functions = task->privdata;
  if (elements > functions->most_elements) return NULL; /* hiredis turns this into an error */
  return functions->original.createArray(task, elements);
}
#endif

/* Bounds the length of arrays: a reply of 13 bytes that announces 2^31 elements keeps redisFree
   busy for seconds. hiredis 1.x has a field for it, 0.x only a function to replace. Neither the field
   nor the type of the function exists in both, so Swift cannot do this. */
static inline void arl_reader_bound_arrays(redisReader *reader, arl_reader_functions *functions,
                                           int most_elements) {
#if HIREDIS_MAJOR >= 1
  (void)functions;
  reader->maxelements = most_elements;
#else
  functions->original = *reader->fn;
  functions->bounded = *reader->fn;
  functions->bounded.createArray = arl_create_bounded_array;
  functions->most_elements = most_elements;
  reader->fn = &functions->bounded;
  reader->privdata = functions;
#endif
}

#pragma once

#include <stdbool.h>

/* Whether the program is built for the thread sanitizer; only C can tell. */
extern const bool arl_is_thread_sanitized;

/* Tells the sanitizer that a mutex at an address has been locked, and is about to be unlocked. */
void arl_note_locked(const void *mutex);
void arl_note_unlocking(const void *mutex);

#pragma once

#ifdef __linux__

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

/* A descriptor that can be read whenever the socket has bytes or has ended, or -1 with errno. Swift
   does not see epoll. */
static inline int arl_epoll_watching(int socket) {
  int watch = epoll_create1(EPOLL_CLOEXEC);
  if (watch < 0) return -1;
  struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP};
  if (epoll_ctl(watch, EPOLL_CTL_ADD, socket, &event) == 0) return watch;
  int reason = errno;
  close(watch);
  errno = reason;
  return -1;
}

#endif

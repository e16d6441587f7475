#pragma once

/* What Swift does not see of Linux; empty elsewhere. */
#ifdef __linux__

enum arl_epoll_readiness { ARL_EPOLL_READABLE, ARL_EPOLL_WRITABLE };

/* A descriptor that can be read whenever the socket is ready so, has ended or has failed, or -1 with errno. */
int arl_epoll_watching(int socket, enum arl_epoll_readiness readiness);

#endif

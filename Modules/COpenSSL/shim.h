#pragma once

#if defined(__has_include)
#if !__has_include(<openssl/ssl.h>)
#error "OpenSSL is missing: install it by `apt-get install libssl-dev` or `brew install openssl@3`"
#endif
#endif

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdint.h>
#include <sys/stat.h>

/* Macros that Swift cannot import. */

/* Without the handler for exit(3), which would free what connections of other threads use. */
static inline int arl_tls_initialize(void) {
  return OPENSSL_init_ssl(OPENSSL_INIT_NO_ATEXIT | OPENSSL_INIT_LOAD_SSL_STRINGS, NULL);
}

/* OpenSSL's own function would ask at the terminal, and wait there for ever. */
static inline int arl_tls_refuse_passphrase(char *buffer, int size, int is_writing, void *data) {
  (void)buffer, (void)size, (void)is_writing, (void)data;
  return 0;
}

/* Sets what all sessions have in common; returns 1 on success. */
static inline int arl_tls_harden(SSL_CTX *context) {
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
  SSL_CTX_set_default_passwd_cb(context, arl_tls_refuse_passphrase);
  return SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1;
}

static inline int arl_tls_set_server_name(SSL *session, const char *name) {
  return SSL_set_tlsext_host_name(session, name) == 1;
}

/* The peer's certificate, which the caller has to free; NULL if there is none. OpenSSL 3 has renamed the function. */
static inline X509 *arl_tls_peer_certificate(const SSL *session) {
#if OPENSSL_VERSION_NUMBER >= 0x30000000L
  return SSL_get1_peer_certificate(session);
#else
  return SSL_get_peer_certificate(session);
#endif
}

/* Prints a name on one line, by RFC 2253; returns 1 on success. */
static inline int arl_tls_print_name(BIO *output, const X509_NAME *name) {
  return X509_NAME_print_ex(output, name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) >= 0;
}

static inline int arl_tls_reason(unsigned long error) { return ERR_GET_REASON(error); }

/* What tells one version of a file from the next; returns 1 if there is a file. In C, since several Clang modules
   declare `timespec`, and the compiler decides anew in each build from which of them Swift has its fields. */
static inline int arl_tls_file_version(const char *path, int64_t *inode, int64_t *size, int64_t *seconds,
                                       int64_t *nanoseconds) {
  struct stat status;
  if (stat(path, &status) != 0) {
    return 0;
  }
#if defined(__APPLE__)
  struct timespec time = status.st_mtimespec;
#else
  struct timespec time = status.st_mtim;
#endif
  *inode = (int64_t)status.st_ino, *size = (int64_t)status.st_size;
  *seconds = time.tv_sec, *nanoseconds = time.tv_nsec;
  return 1;
}

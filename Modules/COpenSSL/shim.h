#pragma once

#if defined(__has_include)
#if !__has_include(<openssl/ssl.h>)
#error "OpenSSL is missing: install it by `apt-get install libssl-dev` or `brew install openssl@3`"
#endif
#endif

#include <openssl/bio.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

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

/* Opens a file to read, without ever waiting as for the writer of a pipe; returns NULL with `errno`, which is zero if it
   is not a regular file. OpenSSL's own functions, which take a path, would wait. */
static inline BIO *arl_tls_open(const char *path) {
  struct stat status;
  int number = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
  if (number < 0) {
    return NULL;
  }
  int is_regular = fstat(number, &status) == 0 && S_ISREG(status.st_mode);
  FILE *file = is_regular ? fdopen(number, "r") : NULL;
  int error = is_regular ? errno : 0;
  if (file == NULL) {
    close(number);
    errno = error;
    return NULL;
  }
  BIO *bio = BIO_new_fp(file, BIO_CLOSE);
  if (bio == NULL) {
    fclose(file);
    errno = ENOMEM;
  }
  return bio;
}

/* Whether the last error says that a file has no further part. */
static inline int arl_tls_is_at_end(void) {
  unsigned long error = ERR_peek_last_error();
  return ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
}

/* These do what the functions of OpenSSL do that take a path; they return 1 on success. */

static inline int arl_tls_load_authorities(SSL_CTX *context, BIO *file) {
  STACK_OF(X509_INFO) *parts = PEM_X509_INFO_read_bio(file, NULL, arl_tls_refuse_passphrase, NULL);
  X509_STORE *store = SSL_CTX_get_cert_store(context);
  int count = 0, result = parts != NULL;
  for (int i = 0; result && i < sk_X509_INFO_num(parts); i++) {
    const X509_INFO *part = sk_X509_INFO_value(parts, i);
    if (part->x509 != NULL) {
      result = X509_STORE_add_cert(store, part->x509) == 1;
      count++;
    }
    if (result && part->crl != NULL) {
      result = X509_STORE_add_crl(store, part->crl) == 1;
      count++;
    }
  }
  sk_X509_INFO_pop_free(parts, X509_INFO_free);
  if (result && count == 0) {
#if OPENSSL_VERSION_NUMBER >= 0x30000000L
    ERR_raise(ERR_LIB_X509, X509_R_NO_CERTIFICATE_OR_CRL_FOUND);
#else
    ERR_put_error(ERR_LIB_X509, 0, X509_R_NO_CERTIFICATE_OR_CRL_FOUND, __FILE__, __LINE__);
#endif
  }
  return result && count > 0;
}

static inline int arl_tls_use_chain(SSL_CTX *context, BIO *file) {
  X509 *certificate = PEM_read_bio_X509_AUX(file, NULL, arl_tls_refuse_passphrase, NULL);
  int result = certificate != NULL && SSL_CTX_use_certificate(context, certificate) == 1;
  X509_free(certificate);
  while (result && (certificate = PEM_read_bio_X509(file, NULL, arl_tls_refuse_passphrase, NULL)) != NULL) {
    if (SSL_CTX_add0_chain_cert(context, certificate) != 1) {
      X509_free(certificate);
      return 0;
    }
  }
  if (result && (result = arl_tls_is_at_end())) {
    ERR_clear_error();
  }
  return result;
}

static inline int arl_tls_use_private_key(SSL_CTX *context, BIO *file) {
  EVP_PKEY *key = PEM_read_bio_PrivateKey(file, NULL, arl_tls_refuse_passphrase, NULL);
  int result = key != NULL && SSL_CTX_use_PrivateKey(context, key) == 1;
  EVP_PKEY_free(key);
  return result;
}

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

// TLS over a socket that does not block: what the server needs of OpenSSL, without its macros.
//
// A session reads and writes through a BIO of its own, because OpenSSL's raises SIGPIPE when the peer has gone. It is
// used by one thread at a time; a context is shared. After a call that failed the thread's error queue holds the reason
// until valk_tls_take_error; it is empty before every other call.
#ifndef CVALKTLS_H
#define CVALKTLS_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    /// The peer has ended its side, in order or not.
    VALK_TLS_ENDED = 0,
    /// Nothing can be done before the socket can be read, or written.
    VALK_TLS_WANTS_READ = -1,
    VALK_TLS_WANTS_WRITE = -2,
    /// The session is broken.
    VALK_TLS_FAILED = -3,
};

enum {
    VALK_TLS_1_0 = 1,
    VALK_TLS_1_1 = 2,
    VALK_TLS_1_2 = 4,
    VALK_TLS_1_3 = 8,
};

/// A context for servers with the modes that sessions rely on; NULL without memory. `versions` are those allowed.
SSL_CTX *valk_tls_context(int32_t versions);

/// Sessions may be taken up again; `capacity` of them are kept, for so long. Without it no session is.
void valk_tls_cache_sessions(SSL_CTX *context, int32_t capacity, int32_t seconds);
void valk_tls_cache_no_sessions(SSL_CTX *context);

void valk_tls_prefer_own_ciphers(SSL_CTX *context);

/// Asks clients for certificates, and refuses those without one if `required`.
void valk_tls_ask_clients(SSL_CTX *context, bool required);

/// What opens an encrypted key; it must stay in place while keys are read. NULL for none.
void valk_tls_set_password(SSL_CTX *context, const char *password);

/// Parameters for Diffie-Hellman from a PEM file, or NULL for OpenSSL's own. False when they cannot be used.
bool valk_tls_set_parameters(SSL_CTX *context, const char *path);

/// A server's session on a connected socket; NULL without memory. The socket stays the caller's.
SSL *valk_tls_session(SSL_CTX *context, int32_t descriptor);

/// Reads up to `room` bytes (at least 1), shaking hands first where that is not done: their number, or why there are
/// none. `more` says whether the session holds bytes that the socket will not announce.
long valk_tls_read(SSL *session, void *to, size_t room, bool *more);

/// Writes up to `count` bytes (at least 1): how many were taken, or why none. What was not taken must come again,
/// in the same order.
long valk_tls_write(SSL *session, const void *from, size_t count);

/// Ends the session; `orderly` tells the peer if that can be done at once, which a broken session cannot.
void valk_tls_close(SSL *session, bool orderly);

/// Takes the reason of the last failure from the thread's queue, as text with a NUL; empty when there is none.
void valk_tls_take_error(char *text, size_t room);

#endif

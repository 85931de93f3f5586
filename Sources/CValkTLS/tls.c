// OpenSSL's sessions over sockets that do not block: see the header. Steps of a read: what the session holds first,
// then one record after the other until the caller's room is full or nothing is left over.

#include "CValkTLS.h"

#include <errno.h>
#include <limits.h>
#include <openssl/bio.h>
#include <openssl/decoder.h>
#include <openssl/err.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

// MARK: The socket

static int socket_of(BIO *bio) { return (int)(intptr_t)BIO_get_data(bio); }

static int bio_read(BIO *bio, char *to, int count) {
    BIO_clear_retry_flags(bio);
    ssize_t n;
    do n = recv(socket_of(bio), to, (size_t)count, 0);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN) BIO_set_retry_read(bio);
    return (int)n;
}

/// Another record follows at once: the kernel may put both into one segment, and wakes the peer for both.
static __thread bool more_follows;

static int bio_write(BIO *bio, const char *from, int count) {
    BIO_clear_retry_flags(bio);
    ssize_t n;
    do n = send(socket_of(bio), from, (size_t)count, MSG_NOSIGNAL | (more_follows ? MSG_MORE : 0));
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN) BIO_set_retry_write(bio);
    return (int)n;
}

static long bio_control(BIO *bio, int command, long number, void *pointer) {
    (void)bio, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *socket_method;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_method(void) {
    BIO_METHOD *made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket");
    if (!made) return;
    BIO_meth_set_read(made, bio_read);
    BIO_meth_set_write(made, bio_write);
    BIO_meth_set_ctrl(made, bio_control);
    socket_method = made;
}

// MARK: Contexts

SSL_CTX *valk_tls_context(int32_t versions) {
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (!context) return NULL;
    uint64_t options = SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_SINGLE_DH_USE;
    if (!(versions & VALK_TLS_1_0)) options |= SSL_OP_NO_TLSv1;
    if (!(versions & VALK_TLS_1_1)) options |= SSL_OP_NO_TLSv1_1;
    if (!(versions & VALK_TLS_1_2)) options |= SSL_OP_NO_TLSv1_2;
    if (!(versions & VALK_TLS_1_3)) options |= SSL_OP_NO_TLSv1_3;
    SSL_CTX_set_options(context, options);
    // Replies move when more of them come; records are written one by one; idle sessions hold no buffers.
    SSL_CTX_set_mode(
        context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    // One read of the socket for a record instead of two: header, then body.
    SSL_CTX_set_read_ahead(context, 1);
    return context;
}

void valk_tls_cache_sessions(SSL_CTX *context, int32_t capacity, int32_t seconds) {
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_SERVER);
    SSL_CTX_sess_set_cache_size(context, capacity);
    SSL_CTX_set_timeout(context, seconds);
    SSL_CTX_set_session_id_context(context, (const unsigned char *)"valk", 4);
}

void valk_tls_cache_no_sessions(SSL_CTX *context) {
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(context, 0);
    SSL_CTX_set_session_id_context(context, (const unsigned char *)"valk", 4);
}

void valk_tls_prefer_own_ciphers(SSL_CTX *context) {
    SSL_CTX_set_options(context, SSL_OP_CIPHER_SERVER_PREFERENCE);
}

void valk_tls_ask_clients(SSL_CTX *context, bool required) {
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | (required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), NULL);
}

static int give_password(char *to, int room, int writes, void *password) {
    (void)writes;
    if (!password) return -1;
    size_t length = strlen(password);
    if (length > (size_t)room) return -1;
    memcpy(to, password, length);
    return (int)length;
}

void valk_tls_set_password(SSL_CTX *context, const char *password) {
    // Without one OpenSSL would ask at the terminal.
    SSL_CTX_set_default_passwd_cb(context, give_password);
    SSL_CTX_set_default_passwd_cb_userdata(context, (void *)password);
}

bool valk_tls_set_parameters(SSL_CTX *context, const char *path) {
    if (!path) return SSL_CTX_set_dh_auto(context, 1) == 1;
    FILE *file = fopen(path, "re");
    if (!file) return false;
    EVP_PKEY *key = NULL;
    OSSL_DECODER_CTX *decoder = OSSL_DECODER_CTX_new_for_pkey(
        &key, "PEM", NULL, "DH", OSSL_KEYMGMT_SELECT_DOMAIN_PARAMETERS, NULL, NULL);
    bool good = decoder && OSSL_DECODER_from_fp(decoder, file) && SSL_CTX_set0_tmp_dh_pkey(context, key) == 1;
    // A context that has taken the key owns it.
    if (!good) EVP_PKEY_free(key);
    OSSL_DECODER_CTX_free(decoder);
    fclose(file);
    return good;
}

// MARK: Sessions

SSL *valk_tls_session(SSL_CTX *context, int32_t descriptor) {
    pthread_once(&once, make_method);
    SSL *session = SSL_new(context);
    BIO *bio = socket_method ? BIO_new(socket_method) : NULL;
    if (!session || !bio) {
        SSL_free(session);
        BIO_free(bio);
        ERR_clear_error();
        return NULL;
    }
    BIO_set_data(bio, (void *)(intptr_t)descriptor);
    BIO_set_init(bio, 1);
    SSL_set_bio(session, bio, bio);
    SSL_set_accept_state(session);
    return session;
}

static long outcome(SSL *session, int result) {
    switch (SSL_get_error(session, result)) {
    case SSL_ERROR_WANT_READ: return VALK_TLS_WANTS_READ;
    case SSL_ERROR_WANT_WRITE: return VALK_TLS_WANTS_WRITE;
    case SSL_ERROR_ZERO_RETURN: return VALK_TLS_ENDED;
    default: return VALK_TLS_FAILED;
    }
}

long valk_tls_read(SSL *session, void *to, size_t room, bool *more) {
    size_t total = 0;
    *more = false;
    while (total < room) {
        size_t wanted = room - total;
        int n = SSL_read(session, (char *)to + total, wanted > INT_MAX ? INT_MAX : (int)wanted);
        if (n <= 0) {
            long why = outcome(session, n);
            // What was read comes first; the next call will find the end, or the failure, again.
            if (total == 0) return why;
            if (why == VALK_TLS_ENDED || why == VALK_TLS_FAILED) *more = true;
            if (why == VALK_TLS_FAILED) ERR_clear_error();
            return (long)total;
        }
        total += (size_t)n;
        // Nothing is left over: the socket will say when there is more.
        if (!SSL_has_pending(session)) return (long)total;
    }
    *more = true;
    return (long)total;
}

long valk_tls_write(SSL *session, const void *from, size_t count) {
    size_t total = 0;
    while (total < count) {
        size_t left = count - total;
        more_follows = left > SSL3_RT_MAX_PLAIN_LENGTH;
        int n = SSL_write(session, (const char *)from + total, left > INT_MAX ? INT_MAX : (int)left);
        if (n <= 0) {
            long why = outcome(session, n);
            more_follows = false;
            if (total == 0) return why;
            if (why == VALK_TLS_FAILED) ERR_clear_error();
            return (long)total;
        }
        total += (size_t)n;
    }
    return (long)total;
}

void valk_tls_close(SSL *session, bool orderly) {
    if (orderly && SSL_is_init_finished(session)) SSL_shutdown(session);
    SSL_free(session);
    ERR_clear_error();
}

void valk_tls_take_error(char *text, size_t room) {
    unsigned long code = ERR_peek_last_error();
    if (room > 0) text[0] = 0;
    if (code != 0) ERR_error_string_n(code, text, room);
    ERR_clear_error();
}

// The floor of the benchmark: a libevent server with one loop that answers +OK to every complete request and stores
// nothing. What it costs is the price of the kernel, the loopback device and the client; a real server's own work is
// what lies above it.
//
//   bench-floor PORT        listens on 127.0.0.1, ends with SIGTERM
//
// Requests are RESP arrays of bulk strings ("*2\r\n$3\r\nGET\r\n$1\r\nk\r\n") or a line of text. All replies of one
// readable event leave in one write. A peer that does not read its replies is closed: this is no server for people.
#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { inputBytesMin = 64 * 1024, inputBytesMax = 64 * 1024 * 1024, replyBytes = 5 };

struct connection {
    struct event *event;
    int fd;
    char *input;
    size_t filled, capacity;
};

static char *replies;
static size_t repliesCapacity;

static void closeConnection(struct connection *connection) {
    event_free(connection->event);
    close(connection->fd);
    free(connection->input);
    free(connection);
}

// Reads the number after the type byte at `at`. Returns the offset behind its line, 0 if the line is not all there.
static size_t readNumber(const char *bytes, size_t at, size_t end, long *number) {
    long value = 0;
    int negative = 0;
    size_t i = at + 1;
    if (i < end && bytes[i] == '-') {
        negative = 1;
        i++;
    }
    while (i < end && bytes[i] >= '0' && bytes[i] <= '9') value = value * 10 + (bytes[i++] - '0');
    if (i + 1 >= end) return 0;
    *number = negative ? -value : value;
    return i + 2;
}

// Returns the offset behind the request that begins at `start`, 0 if it is not complete.
static size_t requestEnd(const char *bytes, size_t start, size_t end) {
    if (bytes[start] != '*') {
        const char *newline = memchr(bytes + start, '\n', end - start);
        return newline ? (size_t)(newline - bytes) + 1 : 0;
    }
    long count = 0, length = 0;
    size_t at = readNumber(bytes, start, end, &count);
    for (long i = 0; at && i < count; i++) {
        if (at >= end) return 0;
        at = readNumber(bytes, at, end, &length);
        if (!at) return 0;
        at += (size_t)length + 2;
        if (at > end) return 0;
    }
    return at;
}

static void readable(evutil_socket_t fd, short what, void *context) {
    (void)what;
    struct connection *connection = context;
    if (connection->capacity - connection->filled < inputBytesMin / 4) {
        if (connection->capacity >= inputBytesMax) return closeConnection(connection);
        connection->capacity *= 2;
        connection->input = realloc(connection->input, connection->capacity);
    }
    ssize_t got = read(fd, connection->input + connection->filled, connection->capacity - connection->filled);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) return closeConnection(connection);
    connection->filled += (size_t)got;

    size_t at = 0, count = 0;
    while (at < connection->filled) {
        size_t next = requestEnd(connection->input, at, connection->filled);
        if (!next) break;
        at = next;
        count++;
    }
    if (at) memmove(connection->input, connection->input + at, connection->filled - at);
    connection->filled -= at;

    while (count * replyBytes > repliesCapacity) {
        size_t grown = repliesCapacity * 2;
        replies = realloc(replies, grown);
        memcpy(replies + repliesCapacity, replies, repliesCapacity);
        repliesCapacity = grown;
    }
    size_t sent = 0, total = count * replyBytes;
    while (sent < total) {
        ssize_t wrote = write(fd, replies + sent, total - sent);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote <= 0) return closeConnection(connection);
        sent += (size_t)wrote;
    }
}

static void acceptable(evutil_socket_t listener, short what, void *context) {
    (void)what;
    int fd = accept(listener, NULL, NULL);
    if (fd < 0) return;
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    evutil_make_socket_nonblocking(fd);
    struct connection *connection = calloc(1, sizeof *connection);
    connection->fd = fd;
    connection->capacity = inputBytesMin;
    connection->input = malloc(connection->capacity);
    connection->event = event_new(context, fd, EV_READ | EV_PERSIST, readable, connection);
    event_add(connection->event, NULL);
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: bench-floor PORT\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    repliesCapacity = 1024 * replyBytes;
    replies = malloc(repliesCapacity);
    for (size_t i = 0; i < repliesCapacity; i += replyBytes) memcpy(replies + i, "+OK\r\n", replyBytes);

    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[1]))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 511)) {
        perror("bench-floor");
        return 1;
    }
    evutil_make_socket_nonblocking(listener);
    struct event_base *base = event_base_new();
    struct event *accepting = event_new(base, listener, EV_READ | EV_PERSIST, acceptable, base);
    event_add(accepting, NULL);
    return event_base_dispatch(base) < 0;
}

// A load generator for one fixed block of requests: a transaction, a script, a PUBLISH with its listeners; and for many
// connections of which few are busy at a time.
//
//   bench-turns --port P --block FILE --reply BYTES --count N [--connections 50] [--busy 50] [--pipeline 1]
//               [--subscribers 0] [--message BYTES] [--seed S] [--keys 1000000] [--tls 0]
//
// FILE holds the requests as they go over the wire; every "__rand_int__" in it becomes twelve random digits below
// `keys`. The replies to a block are BYTES long. At any time `busy` of the connections wait for the replies to
// `pipeline` blocks; when they have come, another connection, chosen at random among the idle ones, has its turn. Each
// subscriber listens to the channel "news" and must get `count` messages of the given length. With --tls 1 the
// connections of requests speak TLS, and believe every certificate. One thread, epoll: what a socket does not take is
// written when it does, and replies are read meanwhile. Prints one line of JSON; the latency is that of a turn.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "latency.h"

enum { bufferBytes = 1 << 20 };

struct connection {
    int fd, isSubscriber, awaitsRoom;
    SSL *session;
    char *turn;
    size_t sent;
    uint64_t sentAt, awaited;
};

static uint64_t randomState, keys;
static int queue;
static SSL_CTX *context;
static char *turn, *buffer;
static size_t blockBytes, turnBytes;
static const char placeholder[] = "__rand_int__";

static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t nextRandom(void) {
    randomState ^= randomState << 13;
    randomState ^= randomState >> 7;
    randomState ^= randomState << 17;
    return randomState;
}

static void fail(const char *what) {
    fprintf(stderr, "bench-turns: %s: %s\n", what, errno ? strerror(errno) : "");
    exit(1);
}

// As read(2) and write(2); -1 with EAGAIN where the socket has to be waited for.
static ssize_t outcome(struct connection *c, int n) {
    if (n > 0) return n;
    int why = SSL_get_error(c->session, n);
    errno = why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? EAGAIN : EIO;
    return why == SSL_ERROR_ZERO_RETURN ? 0 : -1;
}

static ssize_t receive(struct connection *c) {
    if (!c->session) return read(c->fd, buffer, bufferBytes);
    return outcome(c, SSL_read(c->session, buffer, bufferBytes));
}

static ssize_t give(struct connection *c, const char *bytes, size_t count) {
    if (!c->session) return write(c->fd, bytes, count);
    return outcome(c, SSL_write(c->session, bytes, (int)count));
}

static void watch(struct connection *c, int awaitsRoom) {
    if (c->awaitsRoom == awaitsRoom) return;
    c->awaitsRoom = awaitsRoom;
    struct epoll_event event = {.events = EPOLLIN | (awaitsRoom ? EPOLLOUT : 0), .data.ptr = c};
    epoll_ctl(queue, EPOLL_CTL_MOD, c->fd, &event);
}

// Sends what is left of the turn as far as the socket takes it.
static void goOn(struct connection *c) {
    while (c->sent < turnBytes) {
        ssize_t n = give(c, c->turn + c->sent, turnBytes - c->sent);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) return watch(c, 1);
        if (n <= 0) fail("write");
        c->sent += (size_t)n;
    }
    watch(c, 0);
}

static void takeTurn(struct connection *c, uint64_t replyBytes) {
    static size_t *places, placeCount, known;
    if (!known) {
        known = 1;
        places = malloc(turnBytes / 12 * sizeof *places + sizeof *places);
        for (size_t i = 0; i + 12 <= turnBytes; i++)
            if (!memcmp(turn + i, placeholder, 12)) places[placeCount++] = i;
    }
    if (!c->turn) {
        c->turn = malloc(turnBytes);
        memcpy(c->turn, turn, turnBytes);
    }
    for (size_t i = 0; i < placeCount; i++) {
        char digits[21];
        snprintf(digits, sizeof digits, "%012llu", (unsigned long long)(nextRandom() % keys));
        memcpy(c->turn + places[i], digits, 12);
    }
    c->awaited = replyBytes;
    c->sent = 0;
    c->sentAt = now();
    goOn(c);
}

static struct connection *open_(int port, SSL_CTX *over) {
    struct connection *c = calloc(1, sizeof *c);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&address, sizeof address)) fail("connect");
    int one = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (over) {
        c->session = SSL_new(over);
        if (!c->session || !SSL_set_fd(c->session, c->fd) || SSL_connect(c->session) != 1) fail("no TLS session");
    }
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(queue, EPOLL_CTL_ADD, c->fd, &event);
    return c;
}

static uint64_t numberOption(int argc, char **argv, const char *name, uint64_t otherwise) {
    for (int i = 1; i + 1 < argc; i += 2)
        if (!strcmp(argv[i], name)) return strtoull(argv[i + 1], NULL, 10);
    return otherwise;
}

static void readBlock(const char *path, uint64_t pipeline) {
    FILE *file = path ? fopen(path, "rb") : NULL;
    if (!file) fail("--block");
    char *block = malloc(bufferBytes);
    blockBytes = fread(block, 1, bufferBytes, file);
    fclose(file);
    turnBytes = blockBytes * pipeline;
    turn = malloc(turnBytes);
    for (uint64_t i = 0; i < pipeline; i++) memcpy(turn + i * blockBytes, block, blockBytes);
    free(block);
}

int main(int argc, char **argv) {
    int port = (int)numberOption(argc, argv, "--port", 0);
    uint64_t connections = numberOption(argc, argv, "--connections", 50), busy = numberOption(argc, argv, "--busy", 50);
    uint64_t pipeline = numberOption(argc, argv, "--pipeline", 1), count = numberOption(argc, argv, "--count", 1000);
    uint64_t replyBytes = numberOption(argc, argv, "--reply", 0) * pipeline;
    uint64_t subscribers = numberOption(argc, argv, "--subscribers", 0);
    uint64_t messages = numberOption(argc, argv, "--message", 0) * count, heard = 0;
    randomState = numberOption(argc, argv, "--seed", 1) * 0x9e3779b97f4a7c15u | 1;
    keys = numberOption(argc, argv, "--keys", 1000000);
    const char *path = NULL;
    for (int i = 1; i + 1 < argc; i += 2)
        if (!strcmp(argv[i], "--block")) path = argv[i + 1];
    if (!port || !replyBytes || !busy || busy > connections || count % pipeline) {
        fprintf(stderr, "bench-turns: a port, --reply, busy <= connections, whole pipelines are needed\n");
        return 2;
    }
    if (numberOption(argc, argv, "--tls", 0)) {
        context = SSL_CTX_new(TLS_client_method());
        if (!context) fail("TLS");
        SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE);
        SSL_CTX_set_read_ahead(context, 1);
    }
    readBlock(path, pipeline);
    buffer = malloc(bufferBytes);
    struct rlimit limit = {.rlim_cur = connections + subscribers + 100, .rlim_max = connections + subscribers + 100};
    struct rlimit have;
    getrlimit(RLIMIT_NOFILE, &have);
    if (have.rlim_cur < limit.rlim_cur && setrlimit(RLIMIT_NOFILE, &limit)) fail("open files");

    queue = epoll_create1(0);
    struct connection **idle = calloc(connections, sizeof *idle);
    uint64_t idleCount = connections, turns = count / pipeline, begun = 0, ended = 0;
    for (uint64_t i = 0; i < connections; i++) idle[i] = open_(port, context);
    static const char subscribe[] = "*2\r\n$9\r\nSUBSCRIBE\r\n$4\r\nnews\r\n";
    // "*3 $9 subscribe $4 news :1", with its line ends.
    const uint64_t subscribed = 4 + 4 + 11 + 4 + 6 + 4;
    for (uint64_t i = 0; i < subscribers; i++) {
        struct connection *c = open_(port, NULL);
        c->isSubscriber = 1;
        if (write(c->fd, subscribe, sizeof subscribe - 1) != sizeof subscribe - 1) fail("SUBSCRIBE");
    }
    struct epoll_event events[1024];
    uint64_t startedAt = 0, wanted = subscribers * subscribed;
    while (ended < turns || heard < wanted) {
        if (!startedAt && heard >= wanted) {
            heard -= wanted;
            wanted = subscribers * messages;
            startedAt = now();
        }
        while (startedAt && begun < turns && begun - ended < busy) {
            uint64_t which = nextRandom() % idleCount;
            struct connection *c = idle[which];
            idle[which] = idle[--idleCount];
            begun++;
            takeTurn(c, replyBytes);
        }
        int n = epoll_wait(queue, events, 1024, 30000);
        if (n == 0) {
            fprintf(stderr, "bench-turns: nothing came for 30 seconds; %llu of %llu turns, %llu of %llu bytes heard\n",
                    (unsigned long long)ended, (unsigned long long)turns, (unsigned long long)heard,
                    (unsigned long long)wanted);
            return 1;
        }
        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;
            if (events[i].events & EPOLLOUT) goOn(c);
            if (!(events[i].events & ~(uint32_t)EPOLLOUT)) continue;
            // A session may hold more than the socket tells of.
            do {
                ssize_t got = receive(c);
                if (got < 0 && (errno == EAGAIN || errno == EINTR)) break;
                if (got <= 0) fail("the server closed a connection");
                if (c->isSubscriber) {
                    heard += (uint64_t)got;
                    break;
                }
                if (buffer[0] == '-' || (uint64_t)got > c->awaited) {
                    errno = 0;
                    buffer[got < 200 ? got : 200] = 0;
                    fail(buffer);
                }
                c->awaited -= (uint64_t)got;
                if (c->awaited) continue;
                record(now() - c->sentAt);
                ended++;
                idle[idleCount++] = c;
            } while (c->session && SSL_has_pending(c->session));
        }
    }
    double seconds = (double)(now() - startedAt) / 1e9;
    printf("{\"requests\": %llu, \"seconds\": %.3f, \"rate\": %.0f, \"p50\": %.3f, \"p99\": %.3f, \"p999\": %.3f, "
           "\"max\": %.3f}\n",
           (unsigned long long)count, seconds, (double)count / seconds, percentile(.5), percentile(.99),
           percentile(.999), (double)latencyMax / 1e6);
    return 0;
}

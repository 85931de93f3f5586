// A load generator for one fixed block of requests: a transaction, a script, a PUBLISH with its listeners; and for many
// connections of which few are busy at a time.
//
//   bench-turns --port P --block FILE --reply BYTES --count N [--connections 50] [--busy 50] [--pipeline 1]
//               [--subscribers 0] [--message BYTES] [--seed S]
//
// FILE holds the requests as they go over the wire; every "__rand_int__" in it becomes twelve random digits below a
// million. The replies to a block are BYTES long. At any time `busy` of the connections wait for the replies to
// `pipeline` blocks; when they have come, another connection, chosen at random among the idle ones, has its turn. Each
// subscriber listens to the channel "news" and must get `count` messages of the given length. One thread, epoll.
// Prints one line of JSON; the latency is that of a turn.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
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
    int fd, isSubscriber;
    uint64_t sentAt, awaited;
};

static uint64_t randomState;
static char *block, *turn, *buffer;
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

static void writeAll(int fd, const char *bytes, size_t count) {
    while (count) {
        ssize_t n = write(fd, bytes, count);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) continue;
        if (n <= 0) fail("write");
        bytes += n;
        count -= (size_t)n;
    }
}

static void takeTurn(struct connection *c, uint64_t replyBytes) {
    static size_t *places, placeCount, known;
    if (!known) {
        known = 1;
        places = malloc(turnBytes / 12 * sizeof *places + sizeof *places);
        for (size_t i = 0; i + 12 <= turnBytes; i++)
            if (!memcmp(turn + i, placeholder, 12)) places[placeCount++] = i;
    }
    for (size_t i = 0; i < placeCount; i++) {
        char digits[13];
        snprintf(digits, sizeof digits, "%012llu", (unsigned long long)(nextRandom() % 1000000));
        memcpy(turn + places[i], digits, 12);
    }
    c->awaited = replyBytes;
    c->sentAt = now();
    writeAll(c->fd, turn, turnBytes);
}

static struct connection *open_(int queue, int port) {
    struct connection *c = calloc(1, sizeof *c);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&address, sizeof address)) fail("connect");
    int one = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
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
    block = malloc(bufferBytes);
    blockBytes = fread(block, 1, bufferBytes, file);
    fclose(file);
    turnBytes = blockBytes * pipeline;
    turn = malloc(turnBytes);
    for (uint64_t i = 0; i < pipeline; i++) memcpy(turn + i * blockBytes, block, blockBytes);
}

int main(int argc, char **argv) {
    int port = (int)numberOption(argc, argv, "--port", 0);
    uint64_t connections = numberOption(argc, argv, "--connections", 50), busy = numberOption(argc, argv, "--busy", 50);
    uint64_t pipeline = numberOption(argc, argv, "--pipeline", 1), count = numberOption(argc, argv, "--count", 1000);
    uint64_t replyBytes = numberOption(argc, argv, "--reply", 0) * pipeline;
    uint64_t subscribers = numberOption(argc, argv, "--subscribers", 0);
    uint64_t messages = numberOption(argc, argv, "--message", 0) * count, heard = 0;
    randomState = numberOption(argc, argv, "--seed", 1) * 0x9e3779b97f4a7c15u | 1;
    const char *path = NULL;
    for (int i = 1; i + 1 < argc; i += 2)
        if (!strcmp(argv[i], "--block")) path = argv[i + 1];
    if (!port || !replyBytes || !busy || busy > connections || count % pipeline) {
        fprintf(stderr, "bench-turns: a port, --reply, busy <= connections, whole pipelines are needed\n");
        return 2;
    }
    readBlock(path, pipeline);
    buffer = malloc(bufferBytes);
    struct rlimit limit = {.rlim_cur = connections + subscribers + 100, .rlim_max = connections + subscribers + 100};
    struct rlimit have;
    getrlimit(RLIMIT_NOFILE, &have);
    if (have.rlim_cur < limit.rlim_cur && setrlimit(RLIMIT_NOFILE, &limit)) fail("open files");

    int queue = epoll_create1(0);
    struct connection **idle = calloc(connections, sizeof *idle);
    uint64_t idleCount = connections, turns = count / pipeline, begun = 0, ended = 0;
    for (uint64_t i = 0; i < connections; i++) idle[i] = open_(queue, port);
    static const char subscribe[] = "*2\r\n$9\r\nSUBSCRIBE\r\n$4\r\nnews\r\n";
    // "*3 $9 subscribe $4 news :1", with its line ends.
    const uint64_t subscribed = 4 + 4 + 11 + 4 + 6 + 4;
    for (uint64_t i = 0; i < subscribers; i++) {
        struct connection *c = open_(queue, port);
        c->isSubscriber = 1;
        writeAll(c->fd, subscribe, sizeof subscribe - 1);
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
            ssize_t got = read(c->fd, buffer, bufferBytes);
            if (got < 0 && (errno == EAGAIN || errno == EINTR)) continue;
            if (got <= 0) fail("the server closed a connection");
            if (c->isSubscriber) {
                heard += (uint64_t)got;
                continue;
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
        }
    }
    double seconds = (double)(now() - startedAt) / 1e9;
    printf("{\"requests\": %llu, \"seconds\": %.3f, \"rate\": %.0f, \"p50\": %.3f, \"p99\": %.3f, \"p999\": %.3f, "
           "\"max\": %.3f}\n",
           (unsigned long long)count, seconds, (double)count / seconds, percentile(.5), percentile(.99),
           percentile(.999), (double)latencyMax / 1e6);
    return 0;
}

// A load generator for what redis-benchmark cannot do: every key of a range exactly once, in random order, with values
// that do not compress, and reads that check what comes back.
//
//   bench-load --port P --mode set|get [--connections 50] [--pipeline 16] [--keys N] [--count N] [--size 1024]
//              [--seed S] [--generation G] [--first F] [--seconds T]
//
//   set  writes the first `count` keys of a permutation of F ..< F + keys, chosen by the seed
//   get  reads them and compares each value with what `set` of the same generation wrote
//
// With --seconds the count does not matter: it goes round the keys, in another order each time, until the time is over.
// Key i is "key:%012u" (16 bytes, the names redis-benchmark uses); its value follows from (i, generation) alone, so two
// runs need share nothing. One thread, epoll. Each connection keeps one pipeline under way and sends the next one when
// its last reply has come; the latency is that of a whole pipeline. Prints one line of JSON.
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

enum { connectionCountMax = 1024, pipelineMax = 1024, keyBytes = 16, secondCountMax = 4096 };

struct connection {
    int fd, awaited, expectedCount;
    uint64_t sentAt;
    char *output, *input;
    size_t outputFilled, outputSent, inputFilled, inputCapacity;
    uint64_t expected[pipelineMax];
    int firstExpected;
};

static struct {
    int port, connections, pipeline, isGet;
    uint64_t keys, count, size, seed, generation, first, seconds;
} options = {.connections = 50, .pipeline = 16, .keys = 1000000, .size = 1024, .seed = 1, .generation = 1};

static uint64_t perSecond[secondCountMax], issued, finished, wrong, missing, errors;
static uint64_t startedAt;
static char firstError[128];
static char *expectedValue;

static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t mix(uint64_t x) {
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9u;
    x ^= x >> 27;
    x *= 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

// The i-th member of a permutation of 0 ..< keys: four Feistel rounds over the next even power of two, walked until the
// result is in range (at most four steps on average).
static uint64_t permuted(uint64_t i) {
    int half = 1;
    while ((1ull << (2 * half)) < options.keys) half++;
    uint64_t mask = (1ull << half) - 1;
    do {
        uint64_t left = i >> half, right = i & mask;
        for (int round = 0; round < 4; round++) {
            uint64_t next = left ^ (mix(right + options.seed * 0x9e3779b97f4a7c15u + (uint64_t)round) & mask);
            left = right;
            right = next;
        }
        i = left << half | right;
    } while (i >= options.keys);
    return i;
}

static void makeValue(char *out, uint64_t key) {
    uint64_t state = mix(key * 0x9e3779b97f4a7c15u + options.generation) | 1;
    size_t i = 0;
    for (; i + 8 <= options.size; i += 8) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        memcpy(out + i, &state, 8);
    }
    for (; i < options.size; i++) out[i] = (char)(state >> (8 * (i % 8)));
}

static void appendHeader(struct connection *c, uint64_t key) {
    c->outputFilled += (size_t)sprintf(
        c->output + c->outputFilled, options.isGet ? "*2\r\n$3\r\nGET\r\n$16\r\nkey:%012llu\r\n"
                                                   : "*3\r\n$3\r\nSET\r\n$16\r\nkey:%012llu\r\n",
        (unsigned long long)key);
}

static void send_(struct connection *c) {
    while (c->outputSent < c->outputFilled) {
        ssize_t n = write(c->fd, c->output + c->outputSent, c->outputFilled - c->outputSent);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) return;
        if (n <= 0) {
            perror("bench-load: write");
            exit(1);
        }
        c->outputSent += (size_t)n;
    }
}

static uint64_t nextKey(void) {
    uint64_t round = issued / options.keys, within = issued % options.keys;
    issued++;
    options.seed += round;
    uint64_t key = options.first + permuted(within);
    options.seed -= round;
    return key;
}

static void nextPipeline(struct connection *c) {
    if (options.seconds && now() - startedAt >= options.seconds * 1000000000u) options.count = issued;
    c->outputFilled = c->outputSent = 0;
    c->firstExpected = c->expectedCount = 0;
    while (c->expectedCount < options.pipeline && issued < options.count) {
        uint64_t key = nextKey();
        c->expected[c->expectedCount++] = key;
        appendHeader(c, key);
        if (options.isGet) continue;
        c->outputFilled += (size_t)sprintf(c->output + c->outputFilled, "$%llu\r\n", (unsigned long long)options.size);
        makeValue(c->output + c->outputFilled, key);
        c->outputFilled += options.size;
        memcpy(c->output + c->outputFilled, "\r\n", 2);
        c->outputFilled += 2;
    }
    c->awaited = c->expectedCount;
    c->sentAt = now();
    send_(c);
}

static void noteError(const char *line, size_t length) {
    if (!errors++) snprintf(firstError, sizeof firstError, "%.*s", (int)(length < 100 ? length : 100), line);
}

// Takes complete replies off the input; returns how many bytes they were.
static size_t takeReplies(struct connection *c) {
    size_t at = 0;
    while (c->awaited > 0) {
        char *start = c->input + at, *newline = memchr(start, '\n', c->inputFilled - at);
        if (!newline) break;
        size_t line = (size_t)(newline - start) + 1;
        if (*start == '$') {
            long length = atol(start + 1);
            if (length >= 0) {
                if (c->inputFilled - at < line + (size_t)length + 2) break;
                makeValue(expectedValue, c->expected[c->firstExpected]);
                if ((uint64_t)length != options.size || memcmp(newline + 1, expectedValue, options.size)) wrong++;
                line += (size_t)length + 2;
            } else {
                missing++;
            }
        } else if (*start == '-' || *start == '_') {
            if (*start == '_') missing++;
            else noteError(start + 1, line - 3);
        }
        at += line;
        c->firstExpected++;
        c->awaited--;
        finished++;
    }
    return at;
}

static void receive(struct connection *c) {
    for (;;) {
        if (c->inputCapacity - c->inputFilled < 16384) {
            c->inputCapacity *= 2;
            c->input = realloc(c->input, c->inputCapacity);
        }
        ssize_t n = read(c->fd, c->input + c->inputFilled, c->inputCapacity - c->inputFilled);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) break;
        if (n <= 0) {
            fprintf(stderr, "bench-load: the server closed a connection\n");
            exit(1);
        }
        c->inputFilled += (size_t)n;
        break;
    }
    uint64_t before = finished;
    size_t taken = takeReplies(c);
    memmove(c->input, c->input + taken, c->inputFilled - taken);
    c->inputFilled -= taken;
    uint64_t time = now(), second = (time - startedAt) / 1000000000u;
    if (second < secondCountMax) perSecond[second] += finished - before;
    if (c->awaited == 0 && c->expectedCount) {
        record(time - c->sentAt);
        c->expectedCount = 0;
        if (issued < options.count) nextPipeline(c);
    }
}

static uint64_t numberOption(int argc, char **argv, const char *name, uint64_t otherwise) {
    for (int i = 1; i + 1 < argc; i += 2)
        if (!strcmp(argv[i], name)) return strtoull(argv[i + 1], NULL, 10);
    return otherwise;
}

static struct connection *open_(int queue) {
    struct connection *c = calloc(1, sizeof *c);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)options.port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(c->fd, (struct sockaddr *)&address, sizeof address)) {
        perror("bench-load: connect");
        exit(1);
    }
    int one = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    c->inputCapacity = 65536;
    c->input = malloc(c->inputCapacity);
    c->output = malloc((size_t)options.pipeline * (options.size + 128));
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(queue, EPOLL_CTL_ADD, c->fd, &event);
    return c;
}

static void report(void) {
    double seconds = (double)(now() - startedAt) / 1e9;
    uint64_t worst = 0, best = 0;
    uint64_t whole = (uint64_t)seconds < secondCountMax ? (uint64_t)seconds : secondCountMax;
    for (uint64_t i = 0; i < whole; i++) {
        if (i == 0 || perSecond[i] < worst) worst = perSecond[i];
        if (perSecond[i] > best) best = perSecond[i];
    }
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf(
        "{\"requests\": %llu, \"seconds\": %.3f, \"rate\": %.0f, \"p50\": %.3f, \"p99\": %.3f, \"p999\": %.3f, "
        "\"max\": %.3f, \"worst_second\": %llu, \"best_second\": %llu, \"wrong\": %llu, \"missing\": %llu, "
        "\"errors\": %llu, \"first_error\": \"",
        (unsigned long long)finished, seconds, (double)finished / seconds, percentile(.5), percentile(.99),
        percentile(.999), (double)latencyMax / 1e6, (unsigned long long)worst, (unsigned long long)best,
        (unsigned long long)wrong, (unsigned long long)missing, (unsigned long long)errors);
    for (char *p = firstError; *p; p++) putchar(*p == '"' || *p == '\\' || *p < ' ' ? '\'' : *p);
    printf("\"}\n");
}

int main(int argc, char **argv) {
    options.port = (int)numberOption(argc, argv, "--port", 0);
    options.connections = (int)numberOption(argc, argv, "--connections", 50);
    options.pipeline = (int)numberOption(argc, argv, "--pipeline", 16);
    options.keys = numberOption(argc, argv, "--keys", options.keys);
    options.count = numberOption(argc, argv, "--count", options.keys);
    options.size = numberOption(argc, argv, "--size", options.size);
    options.seed = numberOption(argc, argv, "--seed", options.seed);
    options.generation = numberOption(argc, argv, "--generation", options.generation);
    options.first = numberOption(argc, argv, "--first", 0);
    options.seconds = numberOption(argc, argv, "--seconds", 0);
    for (int i = 1; i + 1 < argc; i += 2)
        if (!strcmp(argv[i], "--mode")) options.isGet = !strcmp(argv[i + 1], "get");
    if (options.port == 0 || options.connections < 1 || options.connections > connectionCountMax ||
        options.pipeline < 1 || options.pipeline > pipelineMax || options.keys == 0) {
        fprintf(stderr, "bench-load: a port, 1 to 1024 connections, a pipeline of 1 to 1024 and keys are needed\n");
        return 2;
    }
    if (options.seconds) options.count = UINT64_MAX;
    else if (options.count > options.keys) options.count = options.keys;
    expectedValue = malloc(options.size + 8);
    int queue = epoll_create1(0);
    static struct connection *connections[connectionCountMax];
    for (int i = 0; i < options.connections; i++) connections[i] = open_(queue);
    startedAt = now();
    for (int i = 0; i < options.connections && issued < options.count; i++) nextPipeline(connections[i]);
    struct epoll_event events[256];
    int unsent = 0;
    while (finished < options.count) {
        int n = epoll_wait(queue, events, 256, unsent ? 1 : 30000);
        if (n == 0 && !unsent) {
            fprintf(stderr, "bench-load: no reply for 30 seconds\n");
            return 1;
        }
        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;
            receive(c);
        }
        // A pipeline that the socket did not take at once goes on when the server has read some of it.
        unsent = 0;
        for (int i = 0; i < options.connections; i++) {
            struct connection *c = connections[i];
            if (c->outputSent < c->outputFilled) send_(c);
            unsent |= c->outputSent < c->outputFilled;
        }
    }
    report();
    return 0;
}

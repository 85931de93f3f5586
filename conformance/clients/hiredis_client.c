// hiredis in C: blocking, pipelined, over a Unix socket, and asynchronously over libevent.
//
// Called with a port and a Unix socket path; prints a line for each check and "done" at the end.
#include <event2/event.h>
#include <hiredis/adapters/libevent.h>
#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

static void check(const char *name, int condition, const char *detail)
{
    if (condition)
        printf("ok %s\n", name);
    else
        printf("FAIL %s: %s\n", name, detail ? detail : "");
    fflush(stdout);
}

static void text(redisContext *c, const char *name, int type, const char *expected, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    redisReply *reply = redisvCommand(c, format, arguments);
    va_end(arguments);
    int same = reply && reply->type == type && (!expected || !strcmp(reply->str, expected));
    check(name, same, reply ? reply->str : c->errstr);
    freeReplyObject(reply);
}

static void integer(redisContext *c, const char *name, long long expected, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    redisReply *reply = redisvCommand(c, format, arguments);
    va_end(arguments);
    char seen[32];
    snprintf(seen, sizeof seen, "%lld", reply ? reply->integer : -999);
    check(name, reply && reply->type == REDIS_REPLY_INTEGER && reply->integer == expected, seen);
    freeReplyObject(reply);
}

static void blocking(redisContext *c)
{
    text(c, "PING", REDIS_REPLY_STATUS, "PONG", "PING");
    text(c, "SET", REDIS_REPLY_STATUS, "OK", "SET %s %s", "a key", "a value");
    text(c, "GET", REDIS_REPLY_STRING, "a value", "GET %s", "a key");
    text(c, "missing key", REDIS_REPLY_NIL, NULL, "GET nothing");
    integer(c, "INCRBY", 42, "INCRBY number %d", 42);
    text(c, "error", REDIS_REPLY_ERROR, "ERR value is not an integer or out of range", "INCR %s", "a key");
    integer(c, "DEL", 1, "DEL %s nothing", "a key");

    size_t size = 1 << 20;
    char *binary = malloc(size);
    for (size_t i = 0; i < size; i++) binary[i] = (char)(i * 31 + (i >> 8));
    text(c, "SET of 1 MiB of bytes", REDIS_REPLY_STATUS, "OK", "SET binary %b", binary, size);
    redisReply *reply = redisCommand(c, "GET binary");
    check("GET of 1 MiB of bytes",
          reply && reply->type == REDIS_REPLY_STRING && (size_t)reply->len == size && !memcmp(reply->str, binary, size),
          "differs");
    freeReplyObject(reply);
    free(binary);

    enum { depth = 20000 };
    for (int i = 0; i < depth; i++) redisAppendCommand(c, "SET pipe:%d value:%d", i, i);
    for (int i = 0; i < depth; i++) redisAppendCommand(c, "GET pipe:%d", i);
    int right = 0;
    for (int i = 0; i < 2 * depth; i++) {
        if (redisGetReply(c, (void **)&reply) != REDIS_OK) break;
        char expected[32];
        snprintf(expected, sizeof expected, "value:%d", i - depth);
        right += i < depth ? reply->type == REDIS_REPLY_STATUS : !strcmp(reply->str, expected);
        freeReplyObject(reply);
    }
    check("pipeline of 40,000", right == 2 * depth, c->errstr);

    text(c, "MULTI", REDIS_REPLY_STATUS, "OK", "MULTI");
    text(c, "queued SET", REDIS_REPLY_STATUS, "QUEUED", "SET t 1");
    text(c, "queued INCR", REDIS_REPLY_STATUS, "QUEUED", "INCR t");
    text(c, "queued GET", REDIS_REPLY_STATUS, "QUEUED", "GET nothing");
    reply = redisCommand(c, "EXEC");
    check("EXEC", reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == 3
              && reply->element[1]->integer == 2 && reply->element[2]->type == REDIS_REPLY_NIL, c->errstr);
    freeReplyObject(reply);

    reply = redisCommand(c, "MGET pipe:1 nothing pipe:2");
    check("MGET", reply && reply->elements == 3 && !strcmp(reply->element[0]->str, "value:1")
              && reply->element[1]->type == REDIS_REPLY_NIL && !strcmp(reply->element[2]->str, "value:2"), c->errstr);
    freeReplyObject(reply);

    reply = redisCommand(c, "SCAN 0 COUNT 10");
    check("SCAN", reply && reply->elements == 2 && reply->element[0]->type == REDIS_REPLY_STRING
              && reply->element[1]->elements >= 1, c->errstr);
    freeReplyObject(reply);

    const char *first = "*2\r\n$4\r\nPI", *second = "NG\r\n$3\r\nhey\r\n";
    int written = 0;
    redisAppendFormattedCommand(c, first, strlen(first));
    while (!written && redisBufferWrite(c, &written) == REDIS_OK) {}
    redisAppendFormattedCommand(c, second, strlen(second));
    redisGetReply(c, (void **)&reply);
    check("request split in the middle of a word", reply && !strcmp(reply->str, "hey"), c->errstr);
    freeReplyObject(reply);

    text(c, "QUIT", REDIS_REPLY_STATUS, "OK", "QUIT");
    check("closed after QUIT", redisCommand(c, "PING") == NULL && c->err, "answered");
}

// Asynchronous: many counters at once from several connections on one event base.

enum { connections = 20, increments = 500 };
static int answered, wrong, connected, disconnected;

static void on_connect(const redisAsyncContext *c, int status)
{
    (void)c;
    connected += status == REDIS_OK;
}

static void on_disconnect(const redisAsyncContext *c, int status)
{
    (void)c;
    disconnected += status == REDIS_OK;
}

static void on_increment(redisAsyncContext *c, void *data, void *privdata)
{
    redisReply *reply = data;
    long expected = (long)privdata;
    answered++;
    wrong += !reply || reply->type != REDIS_REPLY_INTEGER || reply->integer != expected;
    if (expected == increments) redisAsyncDisconnect(c);
}

static void asynchronous(int port)
{
    struct event_base *base = event_base_new();
    for (int i = 0; i < connections; i++) {
        redisAsyncContext *c = redisAsyncConnect("127.0.0.1", port);
        redisLibeventAttach(c, base);
        redisAsyncSetConnectCallback(c, on_connect);
        redisAsyncSetDisconnectCallback(c, on_disconnect);
        for (long n = 1; n <= increments; n++) redisAsyncCommand(c, on_increment, (void *)n, "INCR async:%d", i);
    }
    event_base_dispatch(base);
    event_base_free(base);
    check("asynchronous: all connected and left", connected == connections && disconnected == connections, NULL);
    check("asynchronous: every reply right and in order", answered == connections * increments && !wrong, NULL);
}

int main(int argc, char **argv)
{
    if (argc != 3) return 2;
    int port = atoi(argv[1]);
    redisContext *c = redisConnect("127.0.0.1", port);
    check("connect", c && !c->err, c ? c->errstr : "");
    blocking(c);
    redisFree(c);

    c = redisConnectUnix(argv[2]);
    check("connect to the Unix socket", c && !c->err, c ? c->errstr : "");
    text(c, "Unix socket", REDIS_REPLY_STRING, "42", "GET number");
    redisFree(c);

    asynchronous(port);
    puts("done");
    return 0;
}

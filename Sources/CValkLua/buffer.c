// A growing run of bytes for replies. Its memory is not Lua's: a failing allocation must not raise an error in the
// middle of a reply.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "internal.h"

void buffer_append(Buffer *buffer, const void *bytes, size_t count) {
    if (buffer->capacity - buffer->count < count) {
        size_t wanted = buffer->capacity ? buffer->capacity * 2 : 1024;
        while (wanted - buffer->count < count) wanted *= 2;
        char *grown = realloc(buffer->bytes, wanted);
        if (!grown) {
            buffer->failed = true;
            return;
        }
        buffer->bytes = grown;
        buffer->capacity = wanted;
    }
    memcpy(buffer->bytes + buffer->count, bytes, count);
    buffer->count += count;
}

void buffer_text(Buffer *buffer, const char *text) { buffer_append(buffer, text, strlen(text)); }

void buffer_header(Buffer *buffer, char type, long long value) {
    char text[32];
    int n = snprintf(text, sizeof text, "%c%lld\r\n", type, value);
    buffer_append(buffer, text, (size_t)n);
}

void buffer_line(Buffer *buffer, char type, const char *bytes, size_t count) {
    buffer_append(buffer, &type, 1);
    size_t at = buffer->count;
    buffer_append(buffer, bytes, count);
    for (; at < buffer->count; at++) {
        if (buffer->bytes[at] == '\r' || buffer->bytes[at] == '\n') buffer->bytes[at] = ' ';
    }
    buffer_append(buffer, "\r\n", 2);
}

// The library `struct` of scripts: binary strings from formats and back, byte for byte as in Redis.
//
//   b B  char          h H  short       l L  long        i I  int, or as many bytes as a number says, at most 32
//   T    size_t        f d  floats      s    string up to and with a NUL
//   c    as many bytes as a number says; c0: all of the string, or as many as the number before it said
//   x    a byte of padding              > <  byte order  !    alignment, a power of 2            ' '  nothing
#include <ctype.h>
#include <limits.h>
#include <string.h>
#include "internal.h"

enum { INTEGER_BYTES_MAX = 32, ALIGNMENT_MAX = 8 };

typedef struct {
    bool big;
    int alignment;
} Layout;

static int read_number(lua_State *L, const char **format, int missing) {
    if (!isdigit((unsigned char)**format)) return missing;
    int value = 0;
    do {
        int digit = *(*format)++ - '0';
        if (value > (INT_MAX - digit) / 10) return luaL_error(L, "integral size overflow");
        value = value * 10 + digit;
    } while (isdigit((unsigned char)**format));
    return value;
}

/// Bytes of the option that was just read; 0 where they cannot be told.
static size_t option_size(lua_State *L, char option, const char **format) {
    switch (option) {
    case 'B':
    case 'b':
    case 'x': return 1;
    case 'H':
    case 'h': return sizeof(short);
    case 'L':
    case 'l': return sizeof(long);
    case 'T': return sizeof(size_t);
    case 'f': return sizeof(float);
    case 'd': return sizeof(double);
    case 'c': return (size_t)read_number(L, format, 1);
    case 'i':
    case 'I': {
        int size = read_number(L, format, sizeof(int));
        if (size > INTEGER_BYTES_MAX) {
            luaL_error(L, "integral size %d is larger than limit of %d", size, INTEGER_BYTES_MAX);
        }
        return (size_t)size;
    }
    default: return 0;
    }
}

static void control(lua_State *L, char option, const char **format, Layout *layout) {
    switch (option) {
    case ' ': return;
    case '>': layout->big = true; return;
    case '<': layout->big = false; return;
    case '!': {
        int alignment = read_number(L, format, ALIGNMENT_MAX);
        if (alignment == 0 || (alignment & (alignment - 1)) != 0) {
            luaL_error(L, "alignment %d is not a power of 2", alignment);
        }
        layout->alignment = alignment;
        return;
    }
    default: {
        const char *text = lua_pushfstring(L, "invalid format option '%c'", option);
        luaL_argerror(L, 1, text);
    }
    }
}

static size_t padding(size_t length, const Layout *layout, char option, size_t size) {
    if (size == 0 || option == 'c') return 0;
    if (size > (size_t)layout->alignment) size = (size_t)layout->alignment;
    if (size <= 1) return 0;
    return (size - (length & (size - 1))) & (size - 1);
}

static void reverse(char *bytes, size_t count) {
    for (size_t i = 0; i < count / 2; i++) {
        char c = bytes[i];
        bytes[i] = bytes[count - 1 - i];
        bytes[count - 1 - i] = c;
    }
}

static void pack_integer(lua_State *L, luaL_Buffer *out, int at, const Layout *layout, size_t size) {
    lua_Number number = luaL_checknumber(L, at);
    unsigned long value = number < 0 ? (unsigned long)(long)number : (unsigned long)number;
    char bytes[INTEGER_BYTES_MAX];
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (char)(value & 0xFF);
        value >>= 8;
    }
    if (layout->big) reverse(bytes, size);
    luaL_addlstring(out, bytes, size);
}

static void pack_float(luaL_Buffer *out, const void *value, size_t size, const Layout *layout) {
    char bytes[8];
    memcpy(bytes, value, size);
    if (layout->big) reverse(bytes, size);
    luaL_addlstring(out, bytes, size);
}

static int struct_pack(lua_State *L) {
    const char *format = luaL_checkstring(L, 1);
    Layout layout = {false, 1};
    int at = 2;
    size_t total = 0;
    luaL_Buffer out;
    // The buffer's pieces come on top of all arguments.
    lua_pushnil(L);
    luaL_buffinit(L, &out);
    while (*format) {
        char option = *format++;
        size_t size = option_size(L, option, &format);
        size_t gap = padding(total, &layout, option, size);
        total += gap;
        while (gap-- > 0) luaL_addchar(&out, '\0');
        switch (option) {
        case 'b':
        case 'B':
        case 'h':
        case 'H':
        case 'l':
        case 'L':
        case 'T':
        case 'i':
        case 'I': pack_integer(L, &out, at++, &layout, size); break;
        case 'x': luaL_addchar(&out, '\0'); break;
        case 'f': {
            float value = (float)luaL_checknumber(L, at++);
            pack_float(&out, &value, sizeof value, &layout);
            break;
        }
        case 'd': {
            double value = luaL_checknumber(L, at++);
            pack_float(&out, &value, sizeof value, &layout);
            break;
        }
        case 'c':
        case 's': {
            size_t length;
            const char *bytes = luaL_checklstring(L, at++, &length);
            if (size == 0) size = length;
            luaL_argcheck(L, length >= size, at, "string too short");
            luaL_addlstring(&out, bytes, size);
            if (option == 's') {
                luaL_addchar(&out, '\0');
                size++;
            }
            break;
        }
        default: control(L, option, &format, &layout);
        }
        total += size;
    }
    luaL_pushresult(&out);
    return 1;
}

static lua_Number unpack_integer(const char *at, const Layout *layout, bool is_signed, size_t size) {
    unsigned long value = 0;
    for (size_t i = 0; i < size; i++) {
        value = value << 8 | (unsigned char)at[layout->big ? i : size - 1 - i];
    }
    if (!is_signed) return (lua_Number)value;
    if (size > 0 && size < sizeof value) {
        unsigned long sign = 1ul << (size * 8 - 1);
        if (value & sign) value |= ~(sign - 1);
    }
    return (lua_Number)(long)value;
}

static int struct_unpack(lua_State *L) {
    const char *format = luaL_checkstring(L, 1);
    size_t length;
    const char *data = luaL_checklstring(L, 2, &length);
    size_t at = (size_t)luaL_optinteger(L, 3, 1);
    luaL_argcheck(L, at > 0, 3, "offset must be 1 or greater");
    at--;
    Layout layout = {false, 1};
    int count = 0;
    while (*format) {
        char option = *format++;
        size_t size = option_size(L, option, &format);
        at += padding(at, &layout, option, size);
        luaL_argcheck(L, size <= length && at <= length - size, 2, "data string too short");
        luaL_checkstack(L, 2, "too many results");
        switch (option) {
        case 'b':
        case 'B':
        case 'h':
        case 'H':
        case 'l':
        case 'L':
        case 'T':
        case 'i':
        case 'I':
            lua_pushnumber(L, unpack_integer(data + at, &layout, islower((unsigned char)option) != 0, size));
            count++;
            break;
        case 'x': break;
        case 'f': {
            char bytes[sizeof(float)];
            float value;
            memcpy(bytes, data + at, sizeof bytes);
            if (layout.big) reverse(bytes, sizeof bytes);
            memcpy(&value, bytes, sizeof value);
            lua_pushnumber(L, value);
            count++;
            break;
        }
        case 'd': {
            char bytes[sizeof(double)];
            double value;
            memcpy(bytes, data + at, sizeof bytes);
            if (layout.big) reverse(bytes, sizeof bytes);
            memcpy(&value, bytes, sizeof value);
            lua_pushnumber(L, value);
            count++;
            break;
        }
        case 'c':
            if (size == 0) {
                if (count == 0 || !lua_isnumber(L, -1)) return luaL_error(L, "format 'c0' needs a previous size");
                size = (size_t)lua_tonumber(L, -1);
                lua_pop(L, 1);
                count--;
                luaL_argcheck(L, size <= length && at <= length - size, 2, "data string too short");
            }
            lua_pushlstring(L, data + at, size);
            count++;
            break;
        case 's': {
            const char *end = memchr(data + at, '\0', length - at);
            if (!end) return luaL_error(L, "unfinished string in data");
            size = (size_t)(end - (data + at)) + 1;
            lua_pushlstring(L, data + at, size - 1);
            count++;
            break;
        }
        default: control(L, option, &format, &layout);
        }
        at += size;
    }
    lua_pushinteger(L, (lua_Integer)at + 1);
    return count + 1;
}

static int struct_size(lua_State *L) {
    const char *format = luaL_checkstring(L, 1);
    Layout layout = {false, 1};
    size_t at = 0;
    while (*format) {
        char option = *format++;
        size_t size = option_size(L, option, &format);
        at += padding(at, &layout, option, size);
        if (option == 's') {
            luaL_argerror(L, 1, "option 's' has no fixed size");
        } else if (option == 'c' && size == 0) {
            luaL_argerror(L, 1, "option 'c0' has no fixed size");
        }
        if (!isalnum((unsigned char)option)) control(L, option, &format, &layout);
        at += size;
    }
    lua_pushinteger(L, (lua_Integer)at);
    return 1;
}

int luaopen_struct(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"pack", struct_pack}, {"unpack", struct_unpack}, {"size", struct_size}, {NULL, NULL}};
    lua_newtable(L);
    for (const luaL_Reg *f = functions; f->name; f++) {
        lua_pushcfunction(L, f->func);
        lua_setfield(L, -2, f->name);
    }
    return 1;
}

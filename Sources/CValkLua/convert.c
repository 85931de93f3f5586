// Replies become Lua values, and Lua values become replies, as Redis has it.
//
//   RESP                 Lua                              Lua                              RESP
//   :n                   number                           number                           :n, cut to an integer
//   $ bulk               string                           string                           $ bulk
//   * array              table                            table, up to the first nil       * array
//   + status             {ok=…}                           {ok=…}                           + status
//   - error              {err=…}                          {err=…}                          - error
//   null                 false; nil after setresp(3)      false; nil                       null
//   #t #f                true, false                      true                             :1; #t after setresp(3)
//   , double             {double=n}                       {double=n}                       , double, or bulk
//   % map                {map={k=v}}                      {map=…}                          % map, or array
//   ~ set                {set={k=true}}                   {set=…}                          ~ set, or array
//   ( big number         {big_number=…}                   {big_number=…}                   ( big number, or bulk
//   = verbatim           {verbatim_string={format,string}}                                 = verbatim, or bulk
//
// What a client of RESP2 cannot be told it is told as the server always does.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "internal.h"

// MARK: Replies to values

/// The number after a type byte; `*at` moves behind the line end.
static long long line_number(const char **at) {
    const char *p = *at;
    bool negative = *p == '-';
    if (negative) p++;
    unsigned long long value = 0;
    while (*p != '\r') value = value * 10 + (unsigned long long)(*p++ - '0');
    *at = p + 2;
    return negative ? (long long)(0 - value) : (long long)value;
}

static void set_string(lua_State *L, const char *name, const char *bytes, size_t length) {
    lua_pushlstring(L, bytes, length);
    lua_setfield(L, -2, name);
}

static void push_line_field(lua_State *L, const char *name, const char *at, const char *end) {
    lua_createtable(L, 0, 1);
    set_string(L, name, at, (size_t)(end - at));
}

const char *valk_lua_push_reply(lua_State *L, const char *at, int32_t resp) {
    luaL_checkstack(L, 8, "reply is nested too deeply");
    char type = *at++;
    switch (type) {
    case '$': {
        long long count = line_number(&at);
        if (count < 0) {
            lua_pushboolean(L, 0);
            return at;
        }
        lua_pushlstring(L, at, (size_t)count);
        return at + count + 2;
    }
    case ':': lua_pushnumber(L, (lua_Number)line_number(&at)); return at;
    case '+': {
        const char *end = strchr(at, '\r');
        push_line_field(L, "ok", at, end);
        return end + 2;
    }
    case '-': {
        const char *end = strchr(at, '\r');
        push_line_field(L, "err", at, end);
        // The command that failed has counted its error.
        lua_pushboolean(L, 1);
        lua_setfield(L, -2, "ignore_error_stats_update");
        return end + 2;
    }
    case '*':
    case '>': {
        long long count = line_number(&at);
        if (count < 0) {
            lua_pushboolean(L, 0);
            return at;
        }
        lua_createtable(L, count < 1 << 20 ? (int)count : 1 << 20, 0);
        for (long long i = 1; i <= count; i++) {
            at = valk_lua_push_reply(L, at, resp);
            lua_rawseti(L, -2, (int)i);
        }
        return at;
    }
    case '%':
    case '~': {
        long long count = line_number(&at);
        lua_createtable(L, 0, 1);
        lua_newtable(L);
        for (long long i = 0; i < count; i++) {
            at = valk_lua_push_reply(L, at, resp);
            if (type == '%') {
                at = valk_lua_push_reply(L, at, resp);
            } else {
                lua_pushboolean(L, 1);
            }
            if (lua_isnil(L, -2)) {
                lua_pop(L, 2);  // Lua has no such key.
            } else {
                lua_rawset(L, -3);
            }
        }
        lua_setfield(L, -2, type == '%' ? "map" : "set");
        return at;
    }
    case '_': lua_pushnil(L); return at + 2;
    case '#': lua_pushboolean(L, *at == 't'); return at + 3;
    case ',': {
        char *end;
        double value = strtod(at, &end);
        lua_createtable(L, 0, 1);
        lua_pushnumber(L, value);
        lua_setfield(L, -2, "double");
        return strchr(at, '\r') + 2;
    }
    case '(': {
        const char *end = strchr(at, '\r');
        push_line_field(L, "big_number", at, end);
        return end + 2;
    }
    case '=': {
        long long count = line_number(&at);
        lua_createtable(L, 0, 1);
        lua_createtable(L, 0, 2);
        set_string(L, "format", at, 3);
        set_string(L, "string", at + 4, (size_t)count - 4);
        lua_setfield(L, -2, "verbatim_string");
        return at + count + 2;
    }
    case '|': {
        // What is said about the reply that follows is not for scripts.
        long long count = line_number(&at);
        for (long long i = 0; i < count * 2; i++) {
            at = valk_lua_push_reply(L, at, resp);
            lua_pop(L, 1);
        }
        return valk_lua_push_reply(L, at, resp);
    }
    default: luaL_error(L, "reply of unknown type"); return at;
    }
}

// MARK: Values to replies

static void append_null(Buffer *out, int32_t resp) { buffer_text(out, resp >= 3 ? "_\r\n" : "$-1\r\n"); }

static void append_bulk(Buffer *out, const char *bytes, size_t count) {
    buffer_header(out, '$', (long long)count);
    buffer_append(out, bytes, count);
    buffer_append(out, "\r\n", 2);
}

static void append_double(Buffer *out, double value, int32_t resp) {
    char text[64];
    if (isinf(value)) {
        strcpy(text, value > 0 ? "inf" : "-inf");
    } else if (isnan(value)) {
        strcpy(text, "nan");
    } else {
        snprintf(text, sizeof text, "%.17g", value);
    }
    if (resp >= 3) {
        buffer_line(out, ',', text, strlen(text));
    } else {
        append_bulk(out, text, strlen(text));
    }
}

/// Pushes the raw field of the table on top and says whether it is of this type; otherwise nothing is pushed.
static bool push_field(lua_State *L, const char *name, int type) {
    lua_pushstring(L, name);
    lua_rawget(L, -2);
    if (lua_type(L, -1) == type) return true;
    lua_pop(L, 1);
    return false;
}

static long long to_integer(lua_Number number) {
    // As the processor converts what does not fit.
    if (!(number > -9.3e18 && number < 9.223372036854775807e18)) return INT64_MIN;
    return (long long)number;
}

static void append_map(ValkLua *h, lua_State *L, int32_t client_resp, bool *failed, bool is_set) {
    long long count = 0;
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) count++;
    if (client_resp >= 3) {
        buffer_header(&h->reply, is_set ? '~' : '%', count);
    } else {
        buffer_header(&h->reply, '*', is_set ? count : count * 2);
    }
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        lua_pushvalue(L, -2);
        valk_lua_pop_reply(h, L, client_resp, failed);
        if (is_set) {
            lua_pop(L, 1);
        } else {
            valk_lua_pop_reply(h, L, client_resp, failed);
        }
    }
}

/// Tables with a field that says what they are. Returns whether this was one; the table stays on top.
static bool append_marked(ValkLua *h, lua_State *L, int32_t client_resp, bool *failed) {
    Buffer *out = &h->reply;
    size_t length;
    if (push_field(L, "err", LUA_TSTRING)) {
        const char *text = lua_tolstring(L, -1, &length);
        buffer_line(out, '-', text, length);
        lua_pop(L, 1);
        if (push_field(L, "ignore_error_stats_update", LUA_TBOOLEAN)) {
            lua_pop(L, 1);
        } else {
            *failed = true;
        }
        return true;
    }
    if (push_field(L, "ok", LUA_TSTRING)) {
        const char *text = lua_tolstring(L, -1, &length);
        buffer_line(out, '+', text, length);
        lua_pop(L, 1);
        return true;
    }
    if (push_field(L, "double", LUA_TNUMBER)) {
        append_double(out, lua_tonumber(L, -1), client_resp);
        lua_pop(L, 1);
        return true;
    }
    if (push_field(L, "map", LUA_TTABLE)) {
        append_map(h, L, client_resp, failed, false);
        lua_pop(L, 1);
        return true;
    }
    if (push_field(L, "set", LUA_TTABLE)) {
        append_map(h, L, client_resp, failed, true);
        lua_pop(L, 1);
        return true;
    }
    if (push_field(L, "big_number", LUA_TSTRING)) {
        const char *text = lua_tolstring(L, -1, &length);
        if (client_resp >= 3) {
            buffer_line(out, '(', text, length);
        } else {
            // The same on a line of its own: with spaces for line ends.
            buffer_header(out, '$', (long long)length);
            size_t at = out->count;
            buffer_append(out, text, length);
            for (; at < out->count; at++) {
                if (out->bytes[at] == '\r' || out->bytes[at] == '\n') out->bytes[at] = ' ';
            }
            buffer_append(out, "\r\n", 2);
        }
        lua_pop(L, 1);
        return true;
    }
    if (push_field(L, "verbatim_string", LUA_TTABLE)) {
        if (push_field(L, "format", LUA_TSTRING)) {
            char format[3] = {' ', ' ', ' '};
            const char *given = lua_tolstring(L, -1, &length);
            memcpy(format, given, length < 3 ? length : 3);
            lua_pop(L, 1);
            if (push_field(L, "string", LUA_TSTRING)) {
                const char *text = lua_tolstring(L, -1, &length);
                if (client_resp >= 3) {
                    buffer_header(out, '=', (long long)length + 4);
                    buffer_append(out, format, 3);
                    buffer_append(out, ":", 1);
                    buffer_append(out, text, length);
                    buffer_append(out, "\r\n", 2);
                } else {
                    append_bulk(out, text, length);
                }
                lua_pop(L, 2);
                return true;
            }
        }
        lua_pop(L, 1);
    }
    return false;
}

void valk_lua_pop_reply(ValkLua *h, lua_State *L, int32_t client_resp, bool *failed) {
    Buffer *out = &h->reply;
    if (!lua_checkstack(L, 8)) {
        buffer_text(out, "-ERR reached lua stack limit\r\n");
        *failed = true;
        lua_pop(L, 1);
        return;
    }
    size_t length;
    switch (lua_type(L, -1)) {
    case LUA_TSTRING: {
        const char *bytes = lua_tolstring(L, -1, &length);
        append_bulk(out, bytes, length);
        break;
    }
    case LUA_TNUMBER: buffer_header(out, ':', to_integer(lua_tonumber(L, -1))); break;
    case LUA_TBOOLEAN:
        if (h->resp < 3) {
            if (lua_toboolean(L, -1)) {
                buffer_text(out, ":1\r\n");
            } else {
                append_null(out, client_resp);
            }
        } else if (client_resp >= 3) {
            buffer_text(out, lua_toboolean(L, -1) ? "#t\r\n" : "#f\r\n");
        } else {
            buffer_text(out, lua_toboolean(L, -1) ? ":1\r\n" : ":0\r\n");
        }
        break;
    case LUA_TTABLE: {
        if (append_marked(h, L, client_resp, failed)) break;
        int count = 0;
        while (true) {
            lua_rawgeti(L, -1, count + 1);
            bool ends = lua_isnil(L, -1);
            lua_pop(L, 1);
            if (ends) break;
            count++;
        }
        buffer_header(out, '*', count);
        for (int i = 1; i <= count; i++) {
            lua_rawgeti(L, -1, i);
            valk_lua_pop_reply(h, L, client_resp, failed);
        }
        break;
    }
    default: append_null(out, client_resp);
    }
    lua_pop(L, 1);
}

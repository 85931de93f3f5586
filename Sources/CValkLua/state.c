// One interpreter: how it is made, how scripts are compiled and run, and how they end.
//
// The bottom of the main stack holds what a run needs (the function that runs scripts, the error handler, the names of
// an error's fields, the globals), so that nothing has to be allocated outside of a protected call: there a failed
// allocation would end the process.
//
// A script ends in one of three ways. It returns, and what it returned becomes the reply. It fails: the error becomes
// the reply, with the name of the script and the line. Or it is undone: an error that nothing in Lua can catch takes
// it off the stack, and there is no reply. Killing works as undoing does, but answers.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "internal.h"

/// Instructions between two ticks. At a few nanoseconds each some tens of microseconds.
enum { INSTRUCTIONS_PER_TICK = 10000, KEPT_BYTES = 1 << 20 };

static char unwinding_mark;

// MARK: Memory

static void *allocate(void *context, void *block, size_t old_size, size_t new_size) {
    ValkLua *h = context;
    if (new_size == 0) {
        free(block);
        h->memory -= old_size;
        return NULL;
    }
    void *grown = realloc(block, new_size);
    if (grown) h->memory += new_size - old_size;
    return grown;
}

ValkLua *valk_lua_host(lua_State *L) {
    void *context;
    lua_getallocf(L, &context);
    return context;
}

// MARK: Ends

int valk_lua_unwind(lua_State *L) {
    valk_lua_host(L)->unwinding = true;
    lua_pushlightuserdata(L, &unwinding_mark);
    return lua_error(L);
}

void valk_lua_go_on_unwinding(lua_State *L) {
    ValkLua *h = valk_lua_host(L);
    if (h->unwinding) valk_lua_unwind(L);
    // The error on top is the one of the kill, or whatever was caught in its stead.
    if (h->killed) lua_error(L);
}

/// Ends the script with an error that it cannot catch.
static void end_with(lua_State *L, const char *text) {
    valk_lua_host(L)->killed = true;
    valk_lua_push_error(L, text, strlen(text));
    lua_error(L);
}

static void tick(lua_State *L, lua_Debug *record) {
    (void)record;
    ValkLua *h = valk_lua_host(L);
    if (!h->callbacks.tick) return;
    if (h->unwinding) valk_lua_unwind(L);
    switch (h->callbacks.tick(h->callbacks.context)) {
    case VALK_LUA_UNDO: valk_lua_unwind(L); break;
    case VALK_LUA_KILL: end_with(L, "Script killed by user with SCRIPT KILL..."); break;
    case VALK_LUA_TIME_OUT: end_with(L, "FUNCTION LOAD timeout"); break;
    default: break;
    }
}

/// Makes a table of any error and notes where it came from.
static int handle_error(lua_State *L) {
    ValkLua *h = valk_lua_host(L);
    if (h->unwinding) return 1;
    lua_Debug record;
    memset(&record, 0, sizeof record);
    bool is_known = lua_getstack(L, 1, &record) && lua_getinfo(L, "Sl", &record);
    if (is_known && strcmp(record.what, "C") == 0) {
        is_known = lua_getstack(L, 2, &record) && lua_getinfo(L, "Sl", &record);
    }
    if (!lua_istable(L, 1)) {
        lua_newtable(L);
        lua_pushliteral(L, "ERR ");
        switch (lua_type(L, 1)) {
        case LUA_TSTRING:
        case LUA_TNUMBER: lua_pushvalue(L, 1); break;
        case LUA_TBOOLEAN: lua_pushstring(L, lua_toboolean(L, 1) ? "true" : "false"); break;
        case LUA_TNIL: lua_pushliteral(L, "nil"); break;
        default: lua_pushfstring(L, "%s: %p", luaL_typename(L, 1), lua_topointer(L, 1));
        }
        lua_concat(L, 2);
        lua_setfield(L, -2, "err");
    }
    if (is_known) {
        lua_pushstring(L, "source");
        lua_pushstring(L, record.source);
        lua_rawset(L, -3);
        lua_pushstring(L, "line");
        lua_pushinteger(L, record.currentline);
        lua_rawset(L, -3);
    }
    return 1;
}

// MARK: Running

/// What a run is given; lies on the stack of `valk_lua_run`.
typedef struct {
    ValkLua *host;
    int32_t reference;
    const ValkLuaBytes *keys, *arguments;
    long key_count, argument_count;
    int32_t resp;
    bool failed;
} Run;

static void push_list(lua_State *L, const ValkLuaBytes *list, long count) {
    lua_createtable(L, (int)count, 0);
    for (long i = 0; i < count; i++) {
        lua_pushlstring(L, list[i].base, (size_t)list[i].count);
        lua_rawseti(L, -2, (int)(i + 1));
    }
}

/// In a protected call; its one argument is the run.
static int run(lua_State *L) {
    Run *r = lua_touserdata(L, 1);
    ValkLua *h = r->host;
    lua_rawgeti(L, LUA_REGISTRYINDEX, r->reference);
    if (h->functions) {
        push_list(L, r->keys, r->key_count);
        push_list(L, r->arguments, r->argument_count);
        lua_call(L, 2, 1);
    } else {
        lua_pushlightuserdata(L, h);
        lua_rawget(L, LUA_REGISTRYINDEX);
        push_list(L, r->keys, r->key_count);
        lua_setfield(L, -2, "KEYS");
        push_list(L, r->arguments, r->argument_count);
        lua_setfield(L, -2, "ARGV");
        lua_pop(L, 1);
        lua_call(L, 0, 1);
    }
    valk_lua_pop_reply(h, L, r->resp, &r->failed);
    return 0;
}

static const char *error_field(lua_State *L, int name_slot, size_t *length) {
    lua_pushvalue(L, name_slot);
    lua_rawget(L, -2);
    const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, length) : NULL;
    // The table keeps the string.
    lua_pop(L, 1);
    return text;
}

/// Makes a reply of the error on top; allocates nothing of Lua's.
static void append_error(ValkLua *h, lua_State *L, const char *name, bool *failed) {
    Buffer *out = &h->reply;
    out->count = 0;
    char text[512];
    if (!lua_istable(L, -1)) {
        const char *message = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "execution failure";
        snprintf(text, sizeof text, "ERR Error running script %s, %.100s", name, message);
        buffer_line(out, '-', text, strlen(text));
        *failed = true;
        return;
    }
    size_t length = 0, source_length = 0;
    const char *message = error_field(L, SLOT_ERR, &length);
    if (!message) {
        message = "ERR unknown error";
        length = strlen(message);
    }
    while (length > 0 && (message[length - 1] == '\r' || message[length - 1] == '\n')) length--;
    buffer_line(out, '-', message, length);
    const char *source = error_field(L, SLOT_SOURCE, &source_length);
    lua_pushvalue(L, SLOT_LINE);
    lua_rawget(L, -2);
    if (source && lua_type(L, -1) == LUA_TNUMBER) {
        out->count -= 2;
        int line = (int)lua_tonumber(L, -1);
        snprintf(text, sizeof text, " script: %.128s, on %.256s:%d.\r\n", name, source, line);
        buffer_text(out, text);
    }
    lua_pop(L, 1);
    lua_pushvalue(L, SLOT_COUNTED);
    lua_rawget(L, -2);
    *failed = lua_isnil(L, -1);
    lua_pop(L, 1);
}

/// Empties a buffer, and gives it back if it had to hold much.
static void trim(Buffer *buffer) {
    buffer->count = 0;
    buffer->failed = false;
    if (buffer->capacity <= KEPT_BYTES) return;
    free(buffer->bytes);
    *buffer = (Buffer){0};
}

ValkLuaOutcome valk_lua_run(ValkLua *h, int32_t reference, const char *name, const ValkLuaBytes *keys,
                            long key_count, const ValkLuaBytes *arguments, long argument_count, int32_t resp) {
    lua_State *L = h->state;
    Run r = {.host = h, .reference = reference, .keys = keys, .arguments = arguments, .key_count = key_count,
             .argument_count = argument_count, .resp = resp};
    h->unwinding = false;
    h->killed = false;
    h->resp = 2;
    trim(&h->reply);
    trim(&h->packed);
    lua_pushvalue(L, SLOT_RUN);
    lua_pushlightuserdata(L, &r);
    int status = lua_pcall(L, 1, 0, SLOT_HANDLER);
    if (status != 0 && !h->unwinding) append_error(h, L, name, &r.failed);
    lua_settop(L, SLOT_LAST);
    ValkLuaOutcome outcome = {.undone = h->unwinding, .failed = r.failed};
    h->unwinding = false;
    h->killed = false;
    if (h->reply.failed) {
        static const char text[] = "-ERR not enough memory for the reply of the script\r\n";
        outcome.failed = true;
        outcome.reply = (ValkLuaBytes){text, sizeof text - 1};
        return outcome;
    }
    outcome.reply = (ValkLuaBytes){h->reply.bytes ? h->reply.bytes : "", (long)h->reply.count};
    return outcome;
}

// MARK: Compiling

typedef struct {
    ValkLuaBytes source;
    int32_t reference;
} Compilation;

/// In a protected call; its one argument is the compilation.
static int compile(lua_State *L) {
    Compilation *c = lua_touserdata(L, 1);
    const char *text = c->source.base;
    if (c->source.count > 0 && text[0] == LUA_SIGNATURE[0]) luaL_error(L, "attempt to load a binary chunk");
    lua_pushliteral(L, "@user_script");  // The compiler does not keep it from being collected.
    if (luaL_loadbuffer(L, text, (size_t)c->source.count, "@user_script") != 0) lua_error(L);
    c->reference = luaL_ref(L, LUA_REGISTRYINDEX);
    return 0;
}

/// The text of the error on top, kept in the reply's buffer.
static ValkLuaBytes keep_complaint(ValkLua *h, lua_State *L) {
    size_t length = 0;
    const char *text = NULL;
    if (lua_type(L, -1) == LUA_TSTRING) text = lua_tolstring(L, -1, &length);
    if (lua_istable(L, -1)) text = error_field(L, SLOT_ERR, &length);
    h->reply.count = 0;
    if (text) {
        buffer_append(&h->reply, text, length);
    } else {
        buffer_text(&h->reply, "unknown error");
    }
    return (ValkLuaBytes){h->reply.bytes ? h->reply.bytes : "", (long)h->reply.count};
}

int32_t valk_lua_compile(ValkLua *h, ValkLuaBytes source, ValkLuaBytes *complaint) {
    lua_State *L = h->state;
    Compilation c = {.source = source, .reference = -1};
    if (lua_cpcall(L, compile, &c) != 0) *complaint = keep_complaint(h, L);
    lua_settop(L, SLOT_LAST);
    return c.reference;
}

void valk_lua_forget(ValkLua *h, int32_t reference) { luaL_unref(h->state, LUA_REGISTRYINDEX, reference); }

// MARK: Libraries

/// In a protected call; its one argument is the compilation.
static int load_library(lua_State *L) {
    Compilation *c = lua_touserdata(L, 1);
    const char *text = c->source.base;
    valk_lua_narrow(L, true);
    lua_pushcfunction(L, handle_error);
    lua_pushliteral(L, "@user_function");
    if (c->source.count > 0 && text[0] == LUA_SIGNATURE[0]) {
        lua_pushliteral(L, "Error compiling function: attempt to load a binary chunk");
        return lua_error(L);
    }
    if (luaL_loadbuffer(L, text, (size_t)c->source.count, "@user_function") != 0) {
        lua_pushfstring(L, "Error compiling function: %s", lua_tostring(L, -1));
        return lua_error(L);
    }
    if (lua_pcall(L, 0, 0, 2) == 0) return 0;
    if (valk_lua_host(L)->unwinding) return lua_error(L);
    if (lua_istable(L, -1)) {
        lua_pushliteral(L, "err");
        lua_rawget(L, -2);
    }
    const char *message = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "unknown error";
    lua_pushfstring(L, "Error registering functions: %s", message);
    return lua_error(L);
}

static int widen(lua_State *L) {
    valk_lua_narrow(L, false);
    return 0;
}

int32_t valk_lua_load(ValkLua *h, ValkLuaBytes source, ValkLuaBytes *complaint) {
    lua_State *L = h->state;
    Compilation c = {.source = source, .reference = -1};
    h->unwinding = false;
    h->killed = false;
    h->loading = true;
    int status = lua_cpcall(L, load_library, &c);
    h->loading = false;
    int32_t result = h->unwinding ? VALK_LUA_UNDONE : status != 0 ? VALK_LUA_BROKEN : VALK_LUA_LOADED;
    h->unwinding = false;
    h->killed = false;
    if (result == VALK_LUA_BROKEN) *complaint = keep_complaint(h, L);
    lua_settop(L, SLOT_LAST);
    if (lua_cpcall(L, widen, NULL) != 0) {
        if (result != VALK_LUA_BROKEN) *complaint = keep_complaint(h, L);
        lua_settop(L, SLOT_LAST);
        return VALK_LUA_BROKEN;
    }
    return result;
}

// MARK: Making

typedef struct {
    ValkLua *host;
    bool deprecated;
    const char *version;
} Making;

static void open_library(lua_State *L, lua_CFunction open, const char *name) {
    lua_pushcfunction(L, open);
    lua_pushstring(L, name);
    lua_call(L, 1, 1);
    if (lua_istable(L, -1) && *name) {
        lua_pushvalue(L, -1);
        lua_setfield(L, LUA_GLOBALSINDEX, name);
    }
    lua_pop(L, 1);
}

/// In a protected call; its one argument is the making.
static int make(lua_State *L) {
    Making *m = lua_touserdata(L, 1);
    ValkLua *h = m->host;
    open_library(L, luaopen_base, "");
    open_library(L, luaopen_table, LUA_TABLIBNAME);
    open_library(L, luaopen_string, LUA_STRLIBNAME);
    open_library(L, luaopen_math, LUA_MATHLIBNAME);
    open_library(L, luaopen_cjson, "cjson");
    open_library(L, luaopen_struct, "struct");
    open_library(L, luaopen_cmsgpack, "cmsgpack");
    open_library(L, luaopen_bit, "bit");
    valk_lua_open_redis(L, h->functions, m->version);
    // Where a run puts KEYS and ARGV: the real table behind the globals.
    lua_pushlightuserdata(L, h);
    lua_pushvalue(L, LUA_GLOBALSINDEX);
    lua_rawset(L, LUA_REGISTRYINDEX);
    valk_lua_seal(L, m->deprecated, h->functions ? m->version : NULL);
    lua_sethook(L, tick, LUA_MASKCOUNT, INSTRUCTIONS_PER_TICK);
    return 0;
}

/// In a protected call: fills the slots. Raises or leaves them all on the stack of its caller, who asked for that many.
static int make_slots(lua_State *L) {
    lua_settop(L, 0);
    lua_pushcfunction(L, run);
    lua_pushcfunction(L, handle_error);
    lua_pushliteral(L, "err");
    lua_pushliteral(L, "source");
    lua_pushliteral(L, "line");
    lua_pushliteral(L, "ignore_error_stats_update");
    return SLOT_LAST;
}

static int panic(lua_State *L) {
    (void)L;
    fputs("Lua raised an error outside of a protected call\n", stderr);
    abort();
}

ValkLua *valk_lua_new(ValkLuaCallbacks callbacks, bool functions, bool deprecated, const char *version) {
    ValkLua *h = calloc(1, sizeof *h);
    if (!h) return NULL;
    h->callbacks = callbacks;
    h->functions = functions;
    h->resp = 2;
    h->random = 0x1234ABCD330E;  // Where drand48(3) begins.
    h->state = lua_newstate(allocate, h);
    if (!h->state) {
        free(h);
        return NULL;
    }
    lua_atpanic(h->state, panic);
    Making m = {.host = h, .deprecated = deprecated, .version = version};
    bool made = lua_checkstack(h->state, 64) && lua_cpcall(h->state, make, &m) == 0;
    if (made) {
        lua_settop(h->state, 0);
        // Pushing a C function without upvalues may allocate: so it happens once, here, where nothing else is held.
        lua_pushcfunction(h->state, make_slots);
        made = lua_pcall(h->state, 0, SLOT_LAST, 0) == 0;
    }
    if (!made) {
        valk_lua_free(h);
        return NULL;
    }
    return h;
}

void valk_lua_free(ValkLua *h) {
    // What closing finds to finalise must not be what a collection under way has freed.
    lua_gc(h->state, LUA_GCCOLLECT, 0);
    lua_close(h->state);
    free(h->reply.bytes);
    free(h->packed.bytes);
    free(h->arguments);
    free(h);
}

size_t valk_lua_memory(const ValkLua *h) { return h->memory; }

void valk_lua_collect(ValkLua *h, bool all) { lua_gc(h->state, all ? LUA_GCCOLLECT : LUA_GCSTEP, all ? 0 : 50); }

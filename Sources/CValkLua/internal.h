// What the parts of the host share.
#ifndef VALK_LUA_INTERNAL_H
#define VALK_LUA_INTERNAL_H

#include <lua.h>
#include <lauxlib.h>
#include <lualib.h>
#include "CValkLua.h"

/// A run of bytes that grows. `failed` when there was no memory; what is in it then is not all.
typedef struct {
    char *bytes;
    size_t count, capacity;
    bool failed;
} Buffer;

/// Slots at the bottom of the main stack. They hold what must be at hand where nothing may be allocated.
enum { SLOT_RUN = 1, SLOT_HANDLER, SLOT_ERR, SLOT_SOURCE, SLOT_LINE, SLOT_COUNTED, SLOT_LAST = SLOT_COUNTED };

struct ValkLua {
    lua_State *state;
    ValkLuaCallbacks callbacks;
    bool functions;
    /// A script is on its way out and must not be able to stop that.
    bool unwinding;
    /// The script was killed: it ends with an error and must not be able to catch it.
    bool killed;
    /// A library is being loaded.
    bool loading;
    /// RESP version that the script asked for.
    int32_t resp;
    size_t memory;
    Buffer reply;
    /// What cmsgpack.pack is packing.
    Buffer packed;
    ValkLuaBytes *arguments;
    long argument_capacity;
    /// State of math.random.
    uint64_t random;
};

/// The host of an interpreter, from any of its coroutines.
ValkLua *valk_lua_host(lua_State *L);

/// Raises the error that a script cannot catch.
int valk_lua_unwind(lua_State *L);
/// To be called by whatever catches errors: goes on with unwinding if that is under way.
void valk_lua_go_on_unwinding(lua_State *L);

// buffer.c
void buffer_append(Buffer *buffer, const void *bytes, size_t count);
void buffer_text(Buffer *buffer, const char *text);
void buffer_header(Buffer *buffer, char type, long long value);
/// A line: the bytes with line ends made spaces, then the line end.
void buffer_line(Buffer *buffer, char type, const char *bytes, size_t count);

// convert.c
/// Pushes one value of RESP and returns where the next begins.
const char *valk_lua_push_reply(lua_State *L, const char *at, int32_t resp);
/// Pops the value on top and appends it as a reply. `failed` is set when that is an error nobody has counted.
void valk_lua_pop_reply(ValkLua *h, lua_State *L, int32_t client_resp, bool *failed);

// redis_api.c
void valk_lua_open_redis(lua_State *L, bool functions, const char *version);
/// Pushes the `redis` that libraries have while they are loaded.
void valk_lua_push_loading_redis(lua_State *L, const char *version);
int valk_lua_push_error(lua_State *L, const char *text, size_t length);

// sandbox.c
/// `version`: of the `redis` that libraries have while they are loaded; NULL for scripts.
void valk_lua_seal(lua_State *L, bool deprecated, const char *version);
int valk_lua_open_random(lua_State *L);
/// Makes libraries see only what they may while they are loaded, or everything again.
void valk_lua_narrow(lua_State *L, bool narrow);
/// Begins the numbers of math.random anew.
void valk_lua_seed(ValkLua *h, int32_t seed);
/// Replaces the value on top by a table that reads as it does and that cannot be changed.
void valk_lua_protect(lua_State *L);

// library.c
int valk_lua_register_function(lua_State *L);

int luaopen_cmsgpack(lua_State *L);
int luaopen_struct(lua_State *L);
int luaopen_cjson(lua_State *L);
int luaopen_bit(lua_State *L);

#endif

// A host for Lua 5.1 scripts that speak to a server as Redis's scripts do.
//
// Lua raises errors by longjmp, which must never cross a Swift frame. So everything that touches the Lua API is on this
// side: a caller of the functions below always gets a status back, and the callbacks it gives never see Lua. A callback
// returns a status and the shim raises the error after it has returned.
//
// A `ValkLua` is one interpreter. It is used by one thread at a time and knows nothing of others. Symbols carry the
// prefix `valk_lua_`.
#ifndef CVALKLUA_H
#define CVALKLUA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ValkLua ValkLua;

/// Bytes that somebody else keeps alive: laid out as Swift's ByteView. `base` is never NULL.
typedef struct {
    const void *base;
    long count;
} ValkLuaBytes;

/// What became of a command that a script called.
enum {
    /// `reply` is its reply in RESP (of version `resp`).
    VALK_LUA_REPLY = 0,
    /// The command was not run; `reply` is why: "ERR text", or "-CODE text".
    VALK_LUA_REFUSED = 1,
    /// The script must end here without a trace: it is undone and runs again. It cannot catch that.
    VALK_LUA_ABORT = 2,
};

/// What a running script is told at every tick.
enum { VALK_LUA_GO_ON = 0, VALK_LUA_UNDO = 1, VALK_LUA_KILL = 2, VALK_LUA_TIME_OUT = 3 };

typedef struct {
    /// Given to each callback first.
    void *context;
    /// Runs a command. The reply must stay where it is until the next call.
    int32_t (*call)(void *context, const ValkLuaBytes *arguments, long count, int32_t resp, ValkLuaBytes *reply);
    void (*log)(void *context, int32_t level, ValkLuaBytes text);
    /// Whether the caller may run this: 1 yes, 0 no, -1 no such command.
    int32_t (*permits)(void *context, const ValkLuaBytes *arguments, long count);
    /// Called after every so many instructions.
    int32_t (*tick)(void *context);
    /// A library registers a function; `reference` is its place, -1 when it cannot be had. Returns whether it may;
    /// `complaint` says why not.
    bool (*enlist)(void *context, ValkLuaBytes name, ValkLuaBytes description, uint32_t flags, int32_t reference,
                   ValkLuaBytes *complaint);
} ValkLuaCallbacks;

/// Flags of functions and of scripts with a first line of "#!lua flags=…".
enum {
    VALK_LUA_NO_WRITES = 1 << 0,
    VALK_LUA_ALLOW_OOM = 1 << 1,
    VALK_LUA_ALLOW_STALE = 1 << 2,
    VALK_LUA_NO_CLUSTER = 1 << 3,
    VALK_LUA_ALLOW_CROSS_SLOT = 1 << 4,
};
/// The flag with this name, 0 when there is none.
uint32_t valk_lua_flag(const char *name, size_t length);

typedef struct {
    /// The script was undone (`VALK_LUA_ABORT`, `VALK_LUA_UNDO`): there is no reply.
    bool undone;
    /// The reply is an error that no command has counted yet.
    bool failed;
    /// In RESP. Valid until the next call.
    ValkLuaBytes reply;
} ValkLuaOutcome;

/// `functions`: for libraries (FUNCTION), not for scripts. `deprecated`: with the few things of Lua that Redis has
/// taken away. `version`: as in "7.0.15". NULL when there is not enough memory.
ValkLua *valk_lua_new(ValkLuaCallbacks callbacks, bool functions, bool deprecated, const char *version);
void valk_lua_free(ValkLua *lua);

/// Bytes that the interpreter holds.
size_t valk_lua_memory(const ValkLua *lua);

/// Collects garbage, a little or all of it.
void valk_lua_collect(ValkLua *lua, bool all);

/// Makes a function of a script. Returns its reference, or -1 and in `complaint` why not (valid until the next call).
int32_t valk_lua_compile(ValkLua *lua, ValkLuaBytes source, ValkLuaBytes *complaint);

/// Forgets a function.
void valk_lua_forget(ValkLua *lua, int32_t reference);

/// Runs a script. `name` stands in its errors. `resp`: the version that the client speaks.
ValkLuaOutcome valk_lua_run(ValkLua *lua, int32_t reference, const char *name, const ValkLuaBytes *keys,
                            long key_count, const ValkLuaBytes *arguments, long argument_count, int32_t resp);

/// What became of a library.
enum { VALK_LUA_LOADED = 0, VALK_LUA_BROKEN = 1, VALK_LUA_UNDONE = 2 };

/// Runs the text of a library, so that its functions enlist; those that did stay enlisted whatever comes of it. When it
/// is broken `complaint` says why.
int32_t valk_lua_load(ValkLua *lua, ValkLuaBytes source, ValkLuaBytes *complaint);

/// The 40 lower-case hexadecimal digits of the SHA-1 of `bytes`.
void valk_lua_sha1(ValkLuaBytes bytes, char digits[40]);

#endif

// redis.register_function: what a library of FUNCTION LOAD calls while it is being loaded.
#include <string.h>
#include <strings.h>
#include "internal.h"

uint32_t valk_lua_flag(const char *name, size_t length) {
    static const struct {
        const char *name;
        uint32_t flag;
    } flags[] = {
        {"no-writes", VALK_LUA_NO_WRITES},
        {"allow-oom", VALK_LUA_ALLOW_OOM},
        {"allow-stale", VALK_LUA_ALLOW_STALE},
        {"no-cluster", VALK_LUA_NO_CLUSTER},
        {"allow-cross-slot-keys", VALK_LUA_ALLOW_CROSS_SLOT},
    };
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        if (strlen(flags[i].name) == length && memcmp(flags[i].name, name, length) == 0) return flags[i].flag;
    }
    return 0;
}

static int fail(lua_State *L, const char *text) {
    valk_lua_push_error(L, text, strlen(text));
    return lua_error(L);
}

/// What a call of redis.register_function says.
typedef struct {
    int name, description, callback;
    uint32_t flags;
} Registration;

static uint32_t collect_flags(lua_State *L, int at) {
    uint32_t flags = 0;
    for (int i = 1;; i++) {
        lua_rawgeti(L, at, i);
        if (lua_isnil(L, -1)) break;
        size_t length;
        uint32_t flag = 0;
        if (lua_isstring(L, -1)) {
            const char *name = lua_tolstring(L, -1, &length);
            flag = valk_lua_flag(name, length);
        }
        if (flag == 0) fail(L, "unknown flag given");
        flags |= flag;
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return flags;
}

/// The table at 1 names its arguments. What it holds is put above it, for as long as the call runs.
static void read_named(lua_State *L, Registration *r) {
    lua_settop(L, 4);  // 2 the name, 3 the description, 4 the function.
    lua_pushnil(L);
    while (lua_next(L, 1)) {
        if (!lua_isstring(L, -2)) fail(L, "named argument key given to redis.register_function is not a string");
        // Making text of a number would confuse the walk.
        const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
        if (strcasecmp(key, "function_name") == 0) {
            if (!lua_isstring(L, -1)) {
                fail(L, "function_name argument given to redis.register_function must be a string");
            }
            lua_replace(L, 2);
            r->name = 2;
        } else if (strcasecmp(key, "description") == 0) {
            if (!lua_isstring(L, -1)) {
                fail(L, "description argument given to redis.register_function must be a string");
            }
            lua_replace(L, 3);
            r->description = 3;
        } else if (strcasecmp(key, "callback") == 0) {
            if (!lua_isfunction(L, -1)) {
                fail(L, "callback argument given to redis.register_function must be a function");
            }
            lua_replace(L, 4);
            r->callback = 4;
        } else if (strcasecmp(key, "flags") == 0) {
            if (!lua_istable(L, -1)) {
                fail(L, "flags argument to redis.register_function must be a table representing function flags");
            }
            r->flags = collect_flags(L, lua_gettop(L));
            lua_pop(L, 1);
        } else {
            fail(L, "unknown argument given to redis.register_function");
        }
    }
    if (!r->name) fail(L, "redis.register_function must get a function name argument");
    if (!r->callback) fail(L, "redis.register_function must get a callback argument");
}

static void read_positional(lua_State *L, Registration *r) {
    if (!lua_isstring(L, 1)) fail(L, "first argument to redis.register_function must be a string");
    if (!lua_isfunction(L, 2)) fail(L, "second argument to redis.register_function must be a function");
    r->name = 1;
    r->callback = 2;
}

static bool is_name(const char *bytes, size_t length) {
    for (size_t i = 0; i < length; i++) {
        char c = bytes[i];
        bool is_fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
        if (!is_fine) return false;
    }
    return length > 0;
}

int valk_lua_register_function(lua_State *L) {
    ValkLua *h = valk_lua_host(L);
    if (!h->loading) return fail(L, "redis.register_function can only be called on FUNCTION LOAD command");
    Registration r = {0};
    int count = lua_gettop(L);
    if (count != 1 && count != 2) return fail(L, "wrong number of arguments to redis.register_function");
    if (count == 1) {
        if (!lua_istable(L, 1)) {
            return fail(L, "calling redis.register_function with a single argument is only applicable to Lua table "
                           "(representing named arguments).");
        }
        read_named(L, &r);
    } else {
        read_positional(L, &r);
    }
    size_t length;
    const char *bytes = lua_tolstring(L, r.name, &length);
    ValkLuaBytes name = {bytes, (long)length}, description = {"", -1}, complaint = {"", 0};
    if (!is_name(bytes, length)) {
        return fail(L, "Library names can only contain letters, numbers, or underscores(_) and must be at least one "
                       "character long");
    }
    if (r.description) {
        description.base = lua_tolstring(L, r.description, &length);
        description.count = (long)length;
    }
    lua_pushvalue(L, r.callback);
    int reference = luaL_ref(L, LUA_REGISTRYINDEX);
    if (h->callbacks.enlist(h->callbacks.context, name, description, r.flags, reference, &complaint)) return 0;
    luaL_unref(L, LUA_REGISTRYINDEX, reference);
    valk_lua_push_error(L, complaint.base, (size_t)complaint.count);
    return lua_error(L);
}

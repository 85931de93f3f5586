// redis.register_function: what a library of FUNCTION LOAD calls while it is being loaded.
#include <string.h>
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

int valk_lua_register_function(lua_State *L) { return fail(L, "redis.register_function is not there yet"); }

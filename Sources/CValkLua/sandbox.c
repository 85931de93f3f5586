// What scripts may do to the interpreter: nothing that the next script could see.
//
// Redis marks tables as read-only inside its own Lua. Here the same is seen from stand-ins: each table that scripts
// share (the globals, the libraries) is replaced by an empty one whose metatable looks into the real one and refuses
// assignments. The functions that go around metatables (rawset, rawget, next, pairs, getmetatable, setmetatable, those
// of `table`) are replaced by ones that know stand-ins, so that a script cannot tell them from read-only tables.
//
// Whatever catches errors (pcall, xpcall, coroutine.resume, load) is replaced, too: a script that is being undone or
// killed must not go on.
#include <math.h>
#include <string.h>
#include "internal.h"

static const char read_only[] = "Attempt to modify a readonly table";

/// Raw key of a stand-in's metatable.
static char stand_in_mark;
/// Registry key of what getmetatable says of the globals and of strings.
static char globals_meta_key, strings_meta_key;
/// Registry key of what the globals are seen through.
static char views_key;

// MARK: Stand-ins

/// Whether the value at `at` is a stand-in.
static bool is_stand_in(lua_State *L, int at) {
    if (lua_type(L, at) != LUA_TTABLE || !lua_getmetatable(L, at)) return false;
    lua_pushlightuserdata(L, &stand_in_mark);
    lua_rawget(L, -2);
    bool is = !lua_isnil(L, -1);
    lua_pop(L, 2);
    return is;
}

/// Replaces the stand-in on top by the table it stands for.
static void look_behind(lua_State *L) {
    lua_getmetatable(L, -1);
    lua_pushlightuserdata(L, &stand_in_mark);
    lua_rawget(L, -2);
    lua_replace(L, -3);
    lua_pop(L, 1);
}

/// As a metamethod it says where; called by name it does not.
static int refuse_assignment(lua_State *L) { return luaL_error(L, "%s", read_only); }

static int refuse_change(lua_State *L) {
    lua_pushstring(L, read_only);
    return lua_error(L);
}

void valk_lua_protect(lua_State *L) {
    lua_newtable(L);
    lua_createtable(L, 0, 4);
    lua_pushvalue(L, -3);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, refuse_assignment);
    lua_setfield(L, -2, "__newindex");
    lua_pushlightuserdata(L, &stand_in_mark);
    lua_pushvalue(L, -4);
    lua_rawset(L, -3);
    lua_setmetatable(L, -2);
    lua_replace(L, -2);
}

// MARK: Functions that go around metatables

static int safe_rawset(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checkany(L, 2);
    luaL_checkany(L, 3);
    if (is_stand_in(L, 1)) return refuse_change(L);
    lua_settop(L, 3);
    lua_rawset(L, 1);
    return 1;
}

static int safe_rawget(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checkany(L, 2);
    lua_settop(L, 2);
    if (is_stand_in(L, 1)) {
        lua_pushvalue(L, 1);
        look_behind(L);
        lua_replace(L, 1);
    }
    lua_rawget(L, 1);
    return 1;
}

static int safe_next(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 2);
    if (is_stand_in(L, 1)) {
        lua_pushvalue(L, 1);
        look_behind(L);
        lua_replace(L, 1);
    }
    if (lua_next(L, 1)) return 2;
    lua_pushnil(L);
    return 1;
}

/// Upvalues: the plain `next` and the one that knows stand-ins.
static int safe_pairs(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_pushvalue(L, lua_upvalueindex(is_stand_in(L, 1) ? 2 : 1));
    lua_pushvalue(L, 1);
    lua_pushnil(L);
    return 3;
}

static int safe_getmetatable(lua_State *L) {
    luaL_checkany(L, 1);
    if (lua_type(L, 1) == LUA_TSTRING) {
        lua_pushlightuserdata(L, &strings_meta_key);
        lua_rawget(L, LUA_REGISTRYINDEX);
        return 1;
    }
    if (is_stand_in(L, 1)) {
        lua_pushvalue(L, LUA_GLOBALSINDEX);
        if (lua_rawequal(L, 1, -1)) {
            lua_pushlightuserdata(L, &globals_meta_key);
            lua_rawget(L, LUA_REGISTRYINDEX);
        } else {
            lua_pushnil(L);
        }
        return 1;
    }
    if (!lua_getmetatable(L, 1)) {
        lua_pushnil(L);
        return 1;
    }
    luaL_getmetafield(L, 1, "__metatable");
    return 1;
}

/// Upvalue: the function that this one guards. The first argument must not be a stand-in.
static int guarded(lua_State *L) {
    if (is_stand_in(L, 1)) return refuse_change(L);
    return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

// MARK: Functions that catch errors

/// As Redis has it: of an error that is a table only the text is returned.
static int safe_pcall(lua_State *L) {
    luaL_checkany(L, 1);
    int status = lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0);
    if (status == 0) {
        lua_pushboolean(L, 1);
        lua_insert(L, 1);
        return lua_gettop(L);
    }
    valk_lua_go_on_unwinding(L);
    if (lua_istable(L, -1)) {
        lua_getfield(L, -1, "err");
        if (lua_isstring(L, -1)) {
            lua_replace(L, -2);
        } else {
            lua_pop(L, 1);
        }
    }
    lua_pushboolean(L, 0);
    lua_insert(L, -2);
    return 2;
}

/// Upvalue: the script's handler.
static int guarded_handler(lua_State *L) {
    ValkLua *h = valk_lua_host(L);
    if (h->unwinding || h->killed) return 1;
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, 1);
    return 1;
}

static int safe_xpcall(lua_State *L) {
    luaL_checkany(L, 2);
    lua_settop(L, 2);
    lua_pushcclosure(L, guarded_handler, 1);
    lua_insert(L, 1);
    int status = lua_pcall(L, 0, LUA_MULTRET, 1);
    if (status != 0) valk_lua_go_on_unwinding(L);
    lua_pushboolean(L, status == 0);
    lua_replace(L, 1);
    return lua_gettop(L);
}

/// Upvalue: a function that catches errors by itself.
static int watched(lua_State *L) {
    int count = lua_tocfunction(L, lua_upvalueindex(1))(L);
    valk_lua_go_on_unwinding(L);
    return count;
}

// MARK: Loading: text only

static int finish_load(lua_State *L, int status) {
    valk_lua_go_on_unwinding(L);
    if (status == 0) return 1;
    lua_pushnil(L);
    lua_insert(L, -2);
    return 2;
}

static int refuse_binary(lua_State *L) {
    lua_pushnil(L);
    lua_pushstring(L, "attempt to load a binary chunk");
    return 2;
}

static int safe_loadstring(lua_State *L) {
    size_t length;
    const char *text = luaL_checklstring(L, 1, &length);
    const char *name = luaL_optstring(L, 2, text);
    lua_pushstring(L, name);  // The compiler does not keep the name from being collected.
    if (length > 0 && text[0] == LUA_SIGNATURE[0]) return refuse_binary(L);
    return finish_load(L, luaL_loadbuffer(L, text, length, name));
}

/// All pieces first: only then is it known that they are text.
static int safe_load(lua_State *L) {
    const char *name = luaL_optstring(L, 2, "=(load)");
    luaL_checktype(L, 1, LUA_TFUNCTION);
    luaL_Buffer text;
    lua_settop(L, 2);
    luaL_buffinit(L, &text);
    while (true) {
        // The buffer keeps its pieces on the stack; the new one comes on top of them.
        lua_pushvalue(L, 1);
        lua_call(L, 0, 1);
        if (lua_isnil(L, -1)) {
            lua_pop(L, 1);
            break;
        }
        if (!lua_isstring(L, -1)) return luaL_error(L, "reader function must return a string");
        if (lua_objlen(L, -1) == 0) {
            lua_pop(L, 1);
            break;
        }
        luaL_addvalue(&text);
    }
    luaL_pushresult(&text);
    lua_pushstring(L, name);
    size_t length;
    const char *bytes = lua_tolstring(L, -2, &length);
    if (length > 0 && bytes[0] == LUA_SIGNATURE[0]) return refuse_binary(L);
    return finish_load(L, luaL_loadbuffer(L, bytes, length, name));
}

// MARK: Functions that trust their arguments too much

/// As Lua's, but for ranges whose length does not fit an int.
static int safe_unpack(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    int first = luaL_optint(L, 2, 1);
    int last = lua_isnoneornil(L, 3) ? (int)lua_objlen(L, 1) : luaL_checkint(L, 3);
    if (first > last) return 0;
    long count = (long)last - first + 1;
    if (count >= 1 << 30 || !lua_checkstack(L, (int)count)) return luaL_error(L, "too many results to unpack");
    for (long i = first; i <= last; i++) lua_rawgeti(L, 1, (int)i);
    return (int)count;
}

/// Upvalue: bit.tohex, which has no end with one number of digits.
static int safe_tohex(lua_State *L) {
    if (lua_type(L, 2) == LUA_TNUMBER && fabs(fmod(nearbyint(lua_tonumber(L, 2)), 4294967296.0)) == 2147483648.0) {
        lua_pushinteger(L, -8);
        lua_replace(L, 2);
    }
    return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

// MARK: Random numbers that are the same in every run

static const double random_limit = 2147483647.0;

void valk_lua_seed(ValkLua *h, int32_t seed) { h->random = (uint64_t)(uint32_t)seed << 16 | 0x330E; }

/// The generator of drand48(3), 31 bits a call.
static uint32_t next_random(ValkLua *h) {
    h->random = (h->random * 0x5DEECE66Dull + 0xB) & 0xFFFFFFFFFFFFull;
    return (uint32_t)(h->random >> 17);
}

static int math_random(lua_State *L) {
    lua_Number r = (lua_Number)(next_random(valk_lua_host(L)) % 2147483647u) / random_limit;
    switch (lua_gettop(L)) {
    case 0: lua_pushnumber(L, r); break;
    case 1: {
        int upper = luaL_checkint(L, 1);
        luaL_argcheck(L, 1 <= upper, 1, "interval is empty");
        lua_pushnumber(L, floor(r * upper) + 1);
        break;
    }
    case 2: {
        int lower = luaL_checkint(L, 1);
        int upper = luaL_checkint(L, 2);
        luaL_argcheck(L, lower <= upper, 2, "interval is empty");
        lua_pushnumber(L, floor(r * ((double)upper - lower + 1)) + lower);
        break;
    }
    default: return luaL_error(L, "wrong number of arguments");
    }
    return 1;
}

static int math_randomseed(lua_State *L) {
    valk_lua_seed(valk_lua_host(L), luaL_checkint(L, 1));
    return 0;
}

// MARK: Globals

static int refuse_missing_global(lua_State *L) {
    const char *name = lua_tostring(L, 2);
    return luaL_error(L, "Script attempted to access nonexistent global variable '%s'", name ? name : "?");
}

static void replace_function(lua_State *L, const char *name, lua_CFunction function) {
    lua_pushcfunction(L, function);
    lua_setfield(L, LUA_GLOBALSINDEX, name);
}

/// The field `name` of the table on top becomes `wrapper` around what it was.
static void wrap_field(lua_State *L, const char *name, lua_CFunction wrapper) {
    lua_getfield(L, -1, name);
    lua_pushcclosure(L, wrapper, 1);
    lua_setfield(L, -2, name);
}

static void wrap_fields(lua_State *L, const char *table, const char *const *names, lua_CFunction wrapper) {
    lua_getfield(L, LUA_GLOBALSINDEX, table);
    for (; *names; names++) wrap_field(L, *names, wrapper);
    lua_pop(L, 1);
}

static void remove_global(lua_State *L, const char *name) {
    lua_pushnil(L);
    lua_setfield(L, LUA_GLOBALSINDEX, name);
}

static void protect_global(lua_State *L, const char *name) {
    lua_getfield(L, LUA_GLOBALSINDEX, name);
    valk_lua_protect(L);
    lua_setfield(L, LUA_GLOBALSINDEX, name);
}

/// What getmetatable says of something shared: a table that cannot be changed, with this `__index`, which is on top.
static void set_shown_metatable(lua_State *L, void *key) {
    lua_createtable(L, 0, 1);
    lua_insert(L, -2);
    lua_setfield(L, -2, "__index");
    valk_lua_protect(L);
    lua_pushlightuserdata(L, key);
    lua_insert(L, -2);
    lua_rawset(L, LUA_REGISTRYINDEX);
}

/// Gives the table on top a metatable that refuses what is missing.
static void refuse_missing(lua_State *L) {
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, refuse_missing_global);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
}

/// Keeps what is needed to narrow the globals: their stand-in's metatable, which is on top, what it reads from, and
/// what it is to read from while a library is loaded.
static void keep_views(lua_State *L, const char *version) {
    lua_pushlightuserdata(L, &views_key);
    lua_createtable(L, 3, 0);
    lua_pushvalue(L, -3);
    lua_rawseti(L, -2, 1);
    lua_getfield(L, -3, "__index");
    lua_rawseti(L, -2, 2);
    lua_newtable(L);
    valk_lua_push_loading_redis(L, version);
    refuse_missing(L);
    valk_lua_protect(L);
    lua_setfield(L, -2, "redis");
    refuse_missing(L);
    lua_rawseti(L, -2, 3);
    lua_rawset(L, LUA_REGISTRYINDEX);
}

void valk_lua_narrow(lua_State *L, bool narrow) {
    lua_pushlightuserdata(L, &views_key);
    lua_rawget(L, LUA_REGISTRYINDEX);
    lua_rawgeti(L, -1, 1);
    lua_rawgeti(L, -2, narrow ? 3 : 2);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 2);
}

void valk_lua_seal(lua_State *L, bool deprecated, const char *version) {
    static const char *const away[] = {"dofile", "loadfile", "print", "require", "module", "package", "debug", "io",
                                       "os", NULL};
    static const char *const old[] = {"newproxy", "getfenv", "setfenv", NULL};
    static const char *const changing[] = {"insert", "remove", "sort", "setn", NULL};
    static const char *const catching[] = {"resume", NULL};
    static const char *const digits[] = {"tohex", NULL};
    static const char *const libraries[] = {"string", "math",     "table",  "coroutine", "bit",
                                            "cjson",  "cmsgpack", "struct", "redis",     NULL};
    for (const char *const *name = away; *name; name++) remove_global(L, *name);
    if (!deprecated) {
        for (const char *const *name = old; *name; name++) remove_global(L, *name);
    }

    lua_getfield(L, LUA_GLOBALSINDEX, "math");
    lua_pushcfunction(L, math_random);
    lua_setfield(L, -2, "random");
    lua_pushcfunction(L, math_randomseed);
    lua_setfield(L, -2, "randomseed");
    lua_pop(L, 1);

    lua_getfield(L, LUA_GLOBALSINDEX, "next");
    lua_pushcfunction(L, safe_next);
    lua_pushvalue(L, -1);
    lua_setfield(L, LUA_GLOBALSINDEX, "next");
    lua_pushcclosure(L, safe_pairs, 2);
    lua_setfield(L, LUA_GLOBALSINDEX, "pairs");
    replace_function(L, "rawset", safe_rawset);
    replace_function(L, "rawget", safe_rawget);
    replace_function(L, "getmetatable", safe_getmetatable);
    lua_pushvalue(L, LUA_GLOBALSINDEX);
    wrap_field(L, "setmetatable", guarded);
    lua_pop(L, 1);
    wrap_fields(L, "table", changing, guarded);
    replace_function(L, "pcall", safe_pcall);
    replace_function(L, "xpcall", safe_xpcall);
    wrap_fields(L, "coroutine", catching, watched);
    replace_function(L, "loadstring", safe_loadstring);
    replace_function(L, "load", safe_load);
    replace_function(L, "unpack", safe_unpack);
    wrap_fields(L, "bit", digits, safe_tohex);

    for (const char *const *name = libraries; *name; name++) protect_global(L, *name);

    // Strings find their methods in the stand-in as well.
    lua_pushliteral(L, "");
    lua_getmetatable(L, -1);
    lua_getfield(L, LUA_GLOBALSINDEX, "string");
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, "__index");
    set_shown_metatable(L, &strings_meta_key);
    lua_pop(L, 2);

    // Last the globals themselves.
    lua_pushcfunction(L, refuse_missing_global);
    set_shown_metatable(L, &globals_meta_key);
    lua_pushvalue(L, LUA_GLOBALSINDEX);
    refuse_missing(L);
    valk_lua_protect(L);
    lua_pushvalue(L, -1);
    lua_setfield(L, LUA_GLOBALSINDEX, "_G");
    if (version) {
        lua_getmetatable(L, -1);
        keep_views(L, version);
        lua_pop(L, 1);
    }
    lua_replace(L, LUA_GLOBALSINDEX);
}

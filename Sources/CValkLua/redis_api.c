// The table `redis` of scripts and libraries.
//
// Callbacks return before an error is raised, so no frame of theirs is ever jumped over. The error of redis.call is a
// table with the text in `err`; redis.pcall returns the same table.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "internal.h"

/// Pushes an error table: "-CODE text" has its code, anything else gets ERR.
int valk_lua_push_error(lua_State *L, const char *text, size_t length) {
    while (length > 0 && (text[length - 1] == '\r' || text[length - 1] == '\n')) length--;
    lua_createtable(L, 0, 3);
    if (length > 0 && text[0] == '-') {
        if (memchr(text, ' ', length)) {
            lua_pushlstring(L, text + 1, length - 1);
        } else {
            lua_pushliteral(L, "ERR ");
            lua_pushlstring(L, text + 1, length - 1);
            lua_concat(L, 2);
        }
    } else {
        lua_pushliteral(L, "ERR ");
        lua_pushlstring(L, text, length);
        lua_concat(L, 2);
    }
    lua_setfield(L, -2, "err");
    return 1;
}

static int push_error_text(lua_State *L, const char *text) { return valk_lua_push_error(L, text, strlen(text)); }

static int raise_text(lua_State *L, const char *text) {
    push_error_text(L, text);
    return lua_error(L);
}

// MARK: Commands

/// Makes strings of numbers with all of their digits; integers look like integers.
static void push_number_text(lua_State *L, lua_Number number) {
    char text[64];
    int n = snprintf(text, sizeof text, "%.17g", number);
    lua_pushlstring(L, text, (size_t)n);
}

/// The arguments on the stack as views into it. Returns why not, or NULL.
static const char *collect_arguments(lua_State *L, ValkLua *h, int count) {
    if (count == 0) return "Please specify at least one argument for this redis lib call";
    if (count > h->argument_capacity) {
        ValkLuaBytes *grown = realloc(h->arguments, sizeof(ValkLuaBytes) * (size_t)count);
        if (!grown) return "not enough memory for the arguments";
        h->arguments = grown;
        h->argument_capacity = count;
    }
    for (int i = 0; i < count; i++) {
        int type = lua_type(L, i + 1);
        if (type == LUA_TNUMBER) {
            push_number_text(L, lua_tonumber(L, i + 1));
            lua_replace(L, i + 1);
        } else if (type != LUA_TSTRING) {
            return "Lua redis lib command arguments must be strings or integers";
        }
        size_t length;
        h->arguments[i].base = lua_tolstring(L, i + 1, &length);
        h->arguments[i].count = (long)length;
    }
    return NULL;
}

static int run_command(lua_State *L, bool raises) {
    ValkLua *h = valk_lua_host(L);
    int count = lua_gettop(L);
    const char *problem = collect_arguments(L, h, count);
    if (problem) {
        push_error_text(L, problem);
        return raises ? lua_error(L) : 1;
    }
    ValkLuaBytes reply = {"", 0};
    int32_t status = h->callbacks.call(h->callbacks.context, h->arguments, count, h->resp, &reply);
    // There may be so many arguments that nothing else has room.
    lua_settop(L, 0);
    switch (status) {
    case VALK_LUA_ABORT: return valk_lua_unwind(L);
    case VALK_LUA_REFUSED:
        valk_lua_push_error(L, reply.base, (size_t)reply.count);
        // It has been counted, as a rejected call or as an error of its own.
        lua_pushboolean(L, 1);
        lua_setfield(L, -2, "ignore_error_stats_update");
        return raises ? lua_error(L) : 1;
    default: break;
    }
    const char *text = reply.base;
    bool failed = text[0] == '-';
    valk_lua_push_reply(L, text, h->resp);
    return failed && raises ? lua_error(L) : 1;
}

static int redis_call(lua_State *L) { return run_command(L, true); }
static int redis_pcall(lua_State *L) { return run_command(L, false); }

static int redis_acl_check_cmd(lua_State *L) {
    ValkLua *h = valk_lua_host(L);
    int count = lua_gettop(L);
    const char *problem = collect_arguments(L, h, count);
    if (problem) return raise_text(L, problem);
    int32_t permitted = h->callbacks.permits(h->callbacks.context, h->arguments, count);
    if (permitted < 0) return raise_text(L, "Invalid command passed to redis.acl_check_cmd()");
    lua_pushboolean(L, permitted);
    return 1;
}

// MARK: Replies

static int single_field(lua_State *L, const char *name) {
    if (lua_gettop(L) != 1 || lua_type(L, -1) != LUA_TSTRING) {
        return push_error_text(L, "wrong number or type of arguments");
    }
    lua_createtable(L, 0, 1);
    lua_pushvalue(L, 1);
    lua_setfield(L, -2, name);
    return 1;
}

static int redis_error_reply(lua_State *L) {
    if (lua_gettop(L) != 1 || lua_type(L, -1) != LUA_TSTRING) {
        return push_error_text(L, "wrong number or type of arguments");
    }
    size_t length;
    const char *text = lua_tolstring(L, 1, &length);
    if (length == 0 || text[0] != '-') {
        // Its first word is the code, if it has more than one.
        lua_pushliteral(L, "-");
        lua_pushvalue(L, 1);
        lua_concat(L, 2);
        text = lua_tolstring(L, -1, &length);
    }
    return valk_lua_push_error(L, text, length);
}

static int redis_status_reply(lua_State *L) { return single_field(L, "ok"); }

// MARK: The rest

static int redis_sha1hex(lua_State *L) {
    if (lua_gettop(L) != 1) return raise_text(L, "wrong number of arguments");
    size_t length;
    const char *text = lua_tolstring(L, 1, &length);
    char digits[40];
    valk_lua_sha1((ValkLuaBytes){text ? text : "", text ? (long)length : 0}, digits);
    lua_pushlstring(L, digits, sizeof digits);
    return 1;
}

static int redis_log(lua_State *L) {
    ValkLua *h = valk_lua_host(L);
    int count = lua_gettop(L);
    if (count < 2) return raise_text(L, "redis.log() requires two arguments or more.");
    if (!lua_isnumber(L, 1)) return raise_text(L, "First argument must be a number (log level).");
    int level = (int)lua_tonumber(L, 1);
    if (level < 0 || level > 3) return raise_text(L, "Invalid debug level.");
    luaL_Buffer line;
    luaL_buffinit(L, &line);
    for (int i = 2; i <= count; i++) {
        size_t length;
        const char *text = lua_tolstring(L, i, &length);
        if (!text) continue;
        if (i > 2) luaL_addchar(&line, ' ');
        luaL_addlstring(&line, text, length);
    }
    luaL_pushresult(&line);
    size_t length;
    const char *text = lua_tolstring(L, -1, &length);
    if (h->callbacks.log) h->callbacks.log(h->callbacks.context, level, (ValkLuaBytes){text, (long)length});
    return 0;
}

static int redis_setresp(lua_State *L) {
    if (lua_gettop(L) != 1) return raise_text(L, "redis.setresp() requires one argument.");
    int version = (int)lua_tonumber(L, -1);
    if (version != 2 && version != 3) return raise_text(L, "RESP version must be 2 or 3.");
    valk_lua_host(L)->resp = version;
    return 0;
}

/// There is nobody to replicate to: only the arguments are looked at.
static int redis_set_repl(lua_State *L) {
    if (lua_gettop(L) != 1) return raise_text(L, "redis.set_repl() requires two arguments.");
    int flags = (int)lua_tonumber(L, -1);
    if (flags & ~3) {
        return raise_text(
            L, "Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.");
    }
    return 0;
}

static int redis_replicate_commands(lua_State *L) {
    lua_pushboolean(L, 1);
    return 1;
}

/// There is no debugger.
static int redis_breakpoint(lua_State *L) {
    lua_pushboolean(L, 0);
    return 1;
}

static int redis_debug(lua_State *L) {
    (void)L;
    return 0;
}

static void set_number(lua_State *L, const char *name, lua_Number value) {
    lua_pushnumber(L, value);
    lua_setfield(L, -2, name);
}

/// Levels of the log and the version, into the table on top.
static void set_facts(lua_State *L, const char *version) {
    set_number(L, "LOG_DEBUG", 0);
    set_number(L, "LOG_VERBOSE", 1);
    set_number(L, "LOG_NOTICE", 2);
    set_number(L, "LOG_WARNING", 3);
    lua_pushstring(L, version);
    lua_setfield(L, -2, "REDIS_VERSION");
    int major = 0, minor = 0, patch = 0;
    sscanf(version, "%d.%d.%d", &major, &minor, &patch);
    set_number(L, "REDIS_VERSION_NUM", major << 16 | minor << 8 | patch);
}

void valk_lua_open_redis(lua_State *L, bool functions, const char *version) {
    static const luaL_Reg common[] = {
        {"call", redis_call},
        {"pcall", redis_pcall},
        {"log", redis_log},
        {"setresp", redis_setresp},
        {"sha1hex", redis_sha1hex},
        {"error_reply", redis_error_reply},
        {"status_reply", redis_status_reply},
        {"set_repl", redis_set_repl},
        {"acl_check_cmd", redis_acl_check_cmd},
        {NULL, NULL},
    };
    static const luaL_Reg scripts[] = {
        {"replicate_commands", redis_replicate_commands},
        {"breakpoint", redis_breakpoint},
        {"debug", redis_debug},
        {NULL, NULL},
    };
    lua_newtable(L);
    for (const luaL_Reg *f = common; f->name; f++) {
        lua_pushcfunction(L, f->func);
        lua_setfield(L, -2, f->name);
    }
    for (const luaL_Reg *f = scripts; !functions && f->name; f++) {
        lua_pushcfunction(L, f->func);
        lua_setfield(L, -2, f->name);
    }
    set_facts(L, version);
    set_number(L, "REPL_NONE", 0);
    set_number(L, "REPL_AOF", 1);
    set_number(L, "REPL_SLAVE", 2);
    set_number(L, "REPL_REPLICA", 2);
    set_number(L, "REPL_ALL", 3);
    lua_setfield(L, LUA_GLOBALSINDEX, "redis");
}

void valk_lua_push_loading_redis(lua_State *L, const char *version) {
    lua_newtable(L);
    lua_pushcfunction(L, valk_lua_register_function);
    lua_setfield(L, -2, "register_function");
    lua_pushcfunction(L, redis_log);
    lua_setfield(L, -2, "log");
    set_facts(L, version);
}

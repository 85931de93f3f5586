// The library `cmsgpack` of scripts: values as MessagePack and back, byte for byte as in Redis.
//
// Numbers without a fraction are packed as the shortest integer, others as float32 where nothing is lost and as float64
// otherwise. A table whose keys are 1 to n is an array (the empty one, too), any other a map. Tables nested deeper than
// 16 are packed as nil, and so is what has no form: functions, threads. Extensions and binary data are not read.
#include <limits.h>
#include <math.h>
#include <string.h>
#include "internal.h"

enum { NESTING_MAX = 16 };

// MARK: Packing

static void add_bytes(Buffer *out, uint8_t type, uint64_t value, int size) {
    uint8_t bytes[9] = {type};
    for (int i = 0; i < size; i++) bytes[1 + i] = (uint8_t)(value >> (8 * (size - 1 - i)));
    buffer_append(out, bytes, (size_t)size + 1);
}

static void pack_integer(Buffer *out, int64_t n) {
    if (n >= 0) {
        if (n <= 0x7F) return add_bytes(out, (uint8_t)n, 0, 0);
        if (n <= 0xFF) return add_bytes(out, 0xCC, (uint64_t)n, 1);
        if (n <= 0xFFFF) return add_bytes(out, 0xCD, (uint64_t)n, 2);
        if (n <= 0xFFFFFFFFll) return add_bytes(out, 0xCE, (uint64_t)n, 4);
        return add_bytes(out, 0xCF, (uint64_t)n, 8);
    }
    if (n >= -32) return add_bytes(out, (uint8_t)(int8_t)n, 0, 0);
    if (n >= -128) return add_bytes(out, 0xD0, (uint64_t)n, 1);
    if (n >= -32768) return add_bytes(out, 0xD1, (uint64_t)n, 2);
    if (n >= -2147483648ll) return add_bytes(out, 0xD2, (uint64_t)n, 4);
    add_bytes(out, 0xD3, (uint64_t)n, 8);
}

static void pack_number(Buffer *out, double n) {
    if (n >= -9223372036854775808.0 && n < 9223372036854775808.0 && floor(n) == n) {
        return pack_integer(out, (int64_t)n);
    }
    float single = (float)n;
    if (n == (double)single) {
        uint32_t bits;
        memcpy(&bits, &single, sizeof bits);
        return add_bytes(out, 0xCA, bits, 4);
    }
    uint64_t bits;
    memcpy(&bits, &n, sizeof bits);
    add_bytes(out, 0xCB, bits, 8);
}

static void pack_string(Buffer *out, const char *bytes, size_t length) {
    if (length < 32) {
        add_bytes(out, (uint8_t)(0xA0 | length), 0, 0);
    } else if (length <= 0xFF) {
        add_bytes(out, 0xD9, length, 1);
    } else if (length <= 0xFFFF) {
        add_bytes(out, 0xDA, length, 2);
    } else {
        add_bytes(out, 0xDB, length, 4);
    }
    buffer_append(out, bytes, length);
}

/// The head of an array (`few` 0x90) or a map (0x80).
static void pack_count(Buffer *out, uint8_t few, uint8_t type16, size_t count) {
    if (count <= 15) {
        add_bytes(out, (uint8_t)(few | count), 0, 0);
    } else if (count <= 0xFFFF) {
        add_bytes(out, type16, count, 2);
    } else {
        add_bytes(out, (uint8_t)(type16 + 1), count, 4);
    }
}

/// The number of elements of the table on top when its keys are 1 to that number; -1 otherwise.
static long array_length(lua_State *L) {
    long count = 0, max = 0;
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        lua_pop(L, 1);
        lua_Number key = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : 0;
        if (!(key >= 1 && key <= INT_MAX && floor(key) == key)) {
            lua_pop(L, 1);
            return -1;
        }
        count++;
        if ((long)key > max) max = (long)key;
    }
    return max == count ? count : -1;
}

static void pack_value(lua_State *L, Buffer *out, int level);

static void pack_table(lua_State *L, Buffer *out, int level) {
    long length = array_length(L);
    if (length >= 0) {
        pack_count(out, 0x90, 0xDC, (size_t)length);
        for (long i = 1; i <= length; i++) {
            lua_rawgeti(L, -1, (int)i);
            pack_value(L, out, level + 1);
        }
        return;
    }
    size_t count = 0;
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) count++;
    pack_count(out, 0x80, 0xDE, count);
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        lua_pushvalue(L, -2);
        pack_value(L, out, level + 1);
        pack_value(L, out, level + 1);
    }
}

/// Packs the value on top and pops it.
static void pack_value(lua_State *L, Buffer *out, int level) {
    // The bytes are not Lua's: what could raise must not, until they are handed over.
    if (!lua_checkstack(L, 6)) {
        out->failed = true;
        lua_pop(L, 1);
        return;
    }
    int type = lua_type(L, -1);
    if (type == LUA_TTABLE && level == NESTING_MAX) type = LUA_TNIL;
    switch (type) {
    case LUA_TSTRING: {
        size_t length;
        const char *bytes = lua_tolstring(L, -1, &length);
        pack_string(out, bytes, length);
        break;
    }
    case LUA_TBOOLEAN: add_bytes(out, lua_toboolean(L, -1) ? 0xC3 : 0xC2, 0, 0); break;
    case LUA_TNUMBER: pack_number(out, lua_tonumber(L, -1)); break;
    case LUA_TTABLE: pack_table(L, out, level); break;
    default: add_bytes(out, 0xC0, 0, 0);
    }
    lua_pop(L, 1);
}

static int cmsgpack_pack(lua_State *L) {
    int count = lua_gettop(L);
    if (count == 0) return luaL_argerror(L, 0, "MessagePack pack needs input.");
    if (!lua_checkstack(L, count + 8)) return luaL_argerror(L, 0, "Too many arguments for MessagePack pack.");
    // Kept by the host, so that an error in the middle loses nothing.
    Buffer *out = &valk_lua_host(L)->packed;
    out->count = 0;
    out->failed = false;
    for (int i = 1; i <= count; i++) {
        lua_pushvalue(L, i);
        pack_value(L, out, 0);
    }
    if (out->failed) return luaL_error(L, "not enough memory");
    lua_pushlstring(L, out->bytes ? out->bytes : "", out->count);
    return 1;
}

// MARK: Unpacking

typedef struct {
    const uint8_t *at;
    size_t left;
} In;

static int missing(lua_State *L) { return luaL_error(L, "Missing bytes in input."); }

static uint64_t take_number(lua_State *L, In *in, int size) {
    if (in->left < (size_t)size) missing(L);
    uint64_t value = 0;
    for (int i = 0; i < size; i++) value = value << 8 | in->at[i];
    in->at += size;
    in->left -= (size_t)size;
    return value;
}

static void take_string(lua_State *L, In *in, size_t length) {
    if (in->left < length) missing(L);
    lua_pushlstring(L, (const char *)in->at, length);
    in->at += length;
    in->left -= length;
}

static void unpack_value(lua_State *L, In *in);

static void take_array(lua_State *L, In *in, size_t count) {
    lua_newtable(L);
    luaL_checkstack(L, 2, "in function take_array");
    for (size_t i = 1; i <= count; i++) {
        lua_pushnumber(L, (lua_Number)i);
        unpack_value(L, in);
        lua_settable(L, -3);
    }
}

static void take_map(lua_State *L, In *in, size_t count) {
    lua_newtable(L);
    for (size_t i = 0; i < count; i++) {
        unpack_value(L, in);
        unpack_value(L, in);
        lua_settable(L, -3);
    }
}

static void unpack_value(lua_State *L, In *in) {
    luaL_checkstack(L, 4, "too many return values at once; use unpack_one or unpack_limit instead.");
    uint8_t type = (uint8_t)take_number(L, in, 1);
    if (type <= 0x7F) return lua_pushnumber(L, type);
    if (type >= 0xE0) return lua_pushnumber(L, (int8_t)type);
    if ((type & 0xE0) == 0xA0) return take_string(L, in, type & 0x1F);
    if ((type & 0xF0) == 0x90) return take_array(L, in, type & 0x0F);
    if ((type & 0xF0) == 0x80) return take_map(L, in, type & 0x0F);
    switch (type) {
    case 0xC0: lua_pushnil(L); return;
    case 0xC2: lua_pushboolean(L, 0); return;
    case 0xC3: lua_pushboolean(L, 1); return;
    case 0xCC: lua_pushnumber(L, (lua_Number)take_number(L, in, 1)); return;
    case 0xCD: lua_pushnumber(L, (lua_Number)take_number(L, in, 2)); return;
    case 0xCE: lua_pushnumber(L, (lua_Number)take_number(L, in, 4)); return;
    // As Redis has it: what has no place in 64 bits with a sign is negative.
    case 0xCF: lua_pushnumber(L, (lua_Number)(int64_t)take_number(L, in, 8)); return;
    case 0xD0: lua_pushnumber(L, (int8_t)take_number(L, in, 1)); return;
    case 0xD1: lua_pushnumber(L, (int16_t)take_number(L, in, 2)); return;
    case 0xD2: lua_pushnumber(L, (int32_t)take_number(L, in, 4)); return;
    case 0xD3: lua_pushnumber(L, (lua_Number)(int64_t)take_number(L, in, 8)); return;
    case 0xCA: {
        uint32_t bits = (uint32_t)take_number(L, in, 4);
        float value;
        memcpy(&value, &bits, sizeof value);
        lua_pushnumber(L, value);
        return;
    }
    case 0xCB: {
        uint64_t bits = take_number(L, in, 8);
        double value;
        memcpy(&value, &bits, sizeof value);
        lua_pushnumber(L, value);
        return;
    }
    case 0xD9: take_string(L, in, (size_t)take_number(L, in, 1)); return;
    case 0xDA: take_string(L, in, (size_t)take_number(L, in, 2)); return;
    case 0xDB: take_string(L, in, (size_t)take_number(L, in, 4)); return;
    case 0xDC: take_array(L, in, (size_t)take_number(L, in, 2)); return;
    case 0xDD: take_array(L, in, (size_t)take_number(L, in, 4)); return;
    case 0xDE: take_map(L, in, (size_t)take_number(L, in, 2)); return;
    case 0xDF: take_map(L, in, (size_t)take_number(L, in, 4)); return;
    default: luaL_error(L, "Bad data format in input.");
    }
}

/// With a limit the position of the rest (-1 at the end) comes before the values.
static int unpack(lua_State *L, int limit, int offset) {
    size_t length;
    const char *bytes = luaL_checklstring(L, 1, &length);
    if (offset < 0 || limit < 0) {
        return luaL_error(L, "Invalid request to unpack with offset of %d and limit of %d.", offset, (int)length);
    }
    if ((size_t)offset > length) {
        return luaL_error(L, "Start offset %d greater than input length %d.", offset, (int)length);
    }
    bool all = limit == 0 && offset == 0;
    if (all) limit = INT_MAX;
    In in = {(const uint8_t *)bytes + offset, length - (size_t)offset};
    int count = 0;
    for (; in.left > 0 && count < limit; count++) unpack_value(L, &in);
    if (!all) {
        luaL_checkstack(L, 1, "too many return values at once; use unpack_one or unpack_limit instead.");
        lua_pushinteger(L, in.left == 0 ? -1 : (lua_Integer)(length - in.left));
        lua_insert(L, 2);
        count++;
    }
    return count;
}

/// Further arguments go; one that is missing stays missing.
static void keep_first(lua_State *L) {
    if (lua_gettop(L) > 1) lua_settop(L, 1);
}

static int cmsgpack_unpack(lua_State *L) {
    keep_first(L);
    return unpack(L, 0, 0);
}

static int cmsgpack_unpack_one(lua_State *L) {
    int offset = (int)luaL_optinteger(L, 2, 0);
    keep_first(L);
    return unpack(L, 1, offset);
}

static int cmsgpack_unpack_limit(lua_State *L) {
    int limit = (int)luaL_checkinteger(L, 2);
    int offset = (int)luaL_optinteger(L, 3, 0);
    keep_first(L);
    return unpack(L, limit, offset);
}

int luaopen_cmsgpack(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"pack", cmsgpack_pack},
        {"unpack", cmsgpack_unpack},
        {"unpack_one", cmsgpack_unpack_one},
        {"unpack_limit", cmsgpack_unpack_limit},
        {NULL, NULL},
    };
    static const char *const facts[][2] = {
        {"_NAME", "cmsgpack"},
        {"_VERSION", "lua-cmsgpack 0.4.0"},
        {"_COPYRIGHT", "Valk's own"},
        {"_DESCRIPTION", "MessagePack for scripts"},
    };
    lua_newtable(L);
    for (const luaL_Reg *f = functions; f->name; f++) {
        lua_pushcfunction(L, f->func);
        lua_setfield(L, -2, f->name);
    }
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        lua_pushstring(L, facts[i][1]);
        lua_setfield(L, -2, facts[i][0]);
    }
    return 1;
}

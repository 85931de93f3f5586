// Lua 5.1. Only the host in CValkLua includes it: Lua raises errors by longjmp, which must not cross a Swift frame.
#include <lua.h>
#include <lauxlib.h>
#include <lualib.h>

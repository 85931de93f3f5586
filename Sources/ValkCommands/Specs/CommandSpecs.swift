// All commands that Valk knows, and the handlers of those that live in this module.
//
// `all` is what the server builds its table from: the data families run here; sessions, settings and administration are
// `.unattached` until the server gives them a handler by name ("client|list") or leaves them out.

package enum CommandSpecs {
    package static var all: [CommandSpec] { data + hosted }

    /// Commands that run in this module, handlers attached. MEMORY has subcommands that the server may attach.
    package static var data: [CommandSpec] {
        let handlers = dataHandlers
        return (stringSpecs + numberSpecs + genericSpecs + scanSpecs + expirySpecs).map { spec in
            let spec = spec.subcommands { sub in
                handlers["\(spec.name)|\(sub.name)"].map { sub.runs($0) } ?? sub
            }
            return handlers[spec.name].map { spec.runs($0) } ?? spec
        }
    }

    /// Session and administration commands without handlers.
    package static var hosted: [CommandSpec] { connectionSpecs + clientSpecs + serverSpecs + absentSpecs }

    private static var dataHandlers: [String: DataHandler] {
        [
            "get": StringCommands.get, "set": StringCommands.set, "setnx": StringCommands.setnx,
            "setex": StringCommands.setex, "psetex": StringCommands.psetex, "getset": StringCommands.getset,
            "getdel": StringCommands.getdel, "getex": StringCommands.getex, "mget": StringCommands.mget,
            "mset": StringCommands.mset, "msetnx": StringCommands.msetnx, "append": StringCommands.append,
            "strlen": StringCommands.strlen, "getrange": StringCommands.getrange,
            "setrange": StringCommands.setrange, "substr": StringCommands.getrange, "lcs": StringCommands.lcs,

            "incr": NumberCommands.incr, "decr": NumberCommands.decr, "incrby": NumberCommands.incrby,
            "decrby": NumberCommands.decrby, "incrbyfloat": NumberCommands.incrbyfloat,

            "del": GenericCommands.del, "unlink": GenericCommands.del, "exists": GenericCommands.exists,
            "type": GenericCommands.type, "touch": GenericCommands.touch, "rename": GenericCommands.rename,
            "renamenx": GenericCommands.renamenx, "copy": GenericCommands.copy, "move": GenericCommands.move,
            "swapdb": GenericCommands.swapdb, "dbsize": GenericCommands.dbsize,
            "flushdb": GenericCommands.flushdb, "flushall": GenericCommands.flushall,

            "object|encoding": ObjectCommands.encoding, "object|freq": ObjectCommands.freq,
            "object|idletime": ObjectCommands.idletime, "object|refcount": ObjectCommands.refcount,
            "object|help": ObjectCommands.help, "memory|usage": ObjectCommands.memoryUsage,

            "keys": ScanCommands.keys, "scan": ScanCommands.scan, "randomkey": ScanCommands.randomkey,
            "vrange": ScanCommands.vrange,

            "expire": ExpiryCommands.expire, "pexpire": ExpiryCommands.pexpire,
            "expireat": ExpiryCommands.expireat, "pexpireat": ExpiryCommands.pexpireat,
            "ttl": ExpiryCommands.ttl, "pttl": ExpiryCommands.pttl, "expiretime": ExpiryCommands.expiretime,
            "pexpiretime": ExpiryCommands.pexpiretime, "persist": ExpiryCommands.persist,
        ]
    }
}

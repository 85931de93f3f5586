// All commands that Valk knows, and the handlers of those that live in this module.
//
// `all` is what the server builds its table from: the data families run here; sessions, settings and administration are
// `.unattached` until the server gives them a handler by name ("client|list") or leaves them out.

package enum CommandSpecs {
    package static var all: [CommandSpec] { data + hosted }

    /// Commands that run in this module, handlers attached. MEMORY has subcommands that the server may attach.
    package static var data: [CommandSpec] {
        let handlers = dataHandlers.merging(collectionHandlers) { first, _ in first }
        let specs =
            stringSpecs + bitmapSpecs + hyperLogLogSpecs + numberSpecs + genericSpecs + transferSpecs + scanSpecs
            + expirySpecs + collectionSpecs
        return specs.map { spec in
            let spec = spec.subcommands { sub in
                handlers["\(spec.name)|\(sub.name)"].map { sub.runs($0.run) } ?? sub
            }
            return handlers[spec.name].map { spec.runs($0.run) } ?? spec
        }
    }

    /// Commands of collections; those without a handler are not in the table yet.
    private static var collectionSpecs: [CommandSpec] {
        let families = [
            hashSpecs, hashExpirySpecs, listSpecs, blockingListSpecs, setSpecs, sortedSetSpecs, sortedSetRangeSpecs,
            sortedSetsSpecs, geoSpecs, sortSpecs, streamSpecs, streamGroupSpecs,
        ]
        return families.flatMap { $0 }.filter { collectionHandlers[$0.name] != nil || !$0.subcommands.isEmpty }
    }

    /// Session and administration commands without handlers.
    package static var hosted: [CommandSpec] {
        connectionSpecs + [acl] + clientSpecs + pubSubSpecs + scriptSpecs + migrationSpecs + serverSpecs + absentSpecs
    }

    /// Bare function values in a dictionary would be wrapped, and every call would pay for it.
    struct Handler {
        let run: DataHandler
    }

    private static var dataHandlers: [String: Handler] {
        [
            "get": Handler(run: StringCommands.get),
            "set": Handler(run: StringCommands.set),
            "setnx": Handler(run: StringCommands.setnx),
            "setex": Handler(run: StringCommands.setex),
            "psetex": Handler(run: StringCommands.psetex),
            "getset": Handler(run: StringCommands.getset),
            "getdel": Handler(run: StringCommands.getdel),
            "getex": Handler(run: StringCommands.getex),
            "mget": Handler(run: StringCommands.mget),
            "mset": Handler(run: StringCommands.mset),
            "msetnx": Handler(run: StringCommands.msetnx),
            "append": Handler(run: StringCommands.append),
            "strlen": Handler(run: StringCommands.strlen),
            "getrange": Handler(run: StringCommands.getrange),
            "setrange": Handler(run: StringCommands.setrange),
            "substr": Handler(run: StringCommands.getrange),
            "lcs": Handler(run: StringCommands.lcs),
            "setbit": Handler(run: BitmapCommands.setbit),
            "getbit": Handler(run: BitmapCommands.getbit),
            "bitcount": Handler(run: BitmapCommands.bitcount),
            "bitpos": Handler(run: BitmapCommands.bitpos),
            "bitop": Handler(run: BitmapCommands.bitop),
            "bitfield": Handler(run: BitFieldCommands.bitfield),
            "bitfield_ro": Handler(run: BitFieldCommands.bitfieldRO),
            "pfadd": Handler(run: HyperLogLogCommands.pfadd),
            "pfcount": Handler(run: HyperLogLogCommands.pfcount),
            "pfmerge": Handler(run: HyperLogLogCommands.pfmerge),
            "pfdebug": Handler(run: HyperLogLogCommands.pfdebug),
            "pfselftest": Handler(run: HyperLogLogCommands.pfselftest),
            "incr": Handler(run: NumberCommands.incr),
            "decr": Handler(run: NumberCommands.decr),
            "incrby": Handler(run: NumberCommands.incrby),
            "decrby": Handler(run: NumberCommands.decrby),
            "incrbyfloat": Handler(run: NumberCommands.incrbyfloat),
            "del": Handler(run: GenericCommands.del),
            "unlink": Handler(run: GenericCommands.del),
            "exists": Handler(run: GenericCommands.exists),
            "type": Handler(run: GenericCommands.type),
            "touch": Handler(run: GenericCommands.touch),
            "rename": Handler(run: GenericCommands.rename),
            "renamenx": Handler(run: GenericCommands.renamenx),
            "copy": Handler(run: GenericCommands.copy),
            "move": Handler(run: GenericCommands.move),
            "swapdb": Handler(run: GenericCommands.swapdb),
            "dbsize": Handler(run: GenericCommands.dbsize),
            "flushdb": Handler(run: GenericCommands.flushdb),
            "flushall": Handler(run: GenericCommands.flushall),
            "dump": Handler(run: TransferCommands.dump),
            "restore": Handler(run: TransferCommands.restore),
            "object|encoding": Handler(run: ObjectCommands.encoding),
            "object|freq": Handler(run: ObjectCommands.freq),
            "object|idletime": Handler(run: ObjectCommands.idletime),
            "object|refcount": Handler(run: ObjectCommands.refcount),
            "object|help": Handler(run: ObjectCommands.help),
            "memory|usage": Handler(run: ObjectCommands.memoryUsage),
            "keys": Handler(run: ScanCommands.keys),
            "scan": Handler(run: ScanCommands.scan),
            "randomkey": Handler(run: ScanCommands.randomkey),
            "vrange": Handler(run: ScanCommands.vrange),
            "expire": Handler(run: ExpiryCommands.expire),
            "pexpire": Handler(run: ExpiryCommands.pexpire),
            "expireat": Handler(run: ExpiryCommands.expireat),
            "pexpireat": Handler(run: ExpiryCommands.pexpireat),
            "ttl": Handler(run: ExpiryCommands.ttl),
            "pttl": Handler(run: ExpiryCommands.pttl),
            "expiretime": Handler(run: ExpiryCommands.expiretime),
            "pexpiretime": Handler(run: ExpiryCommands.pexpiretime),
            "persist": Handler(run: ExpiryCommands.persist),
        ]
    }
}

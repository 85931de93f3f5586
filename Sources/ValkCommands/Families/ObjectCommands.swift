// Questions about how a value is held: OBJECT ENCODING, FREQ, IDLETIME, REFCOUNT, HELP, and MEMORY USAGE.
//
// Encodings are answered as Redis would hold the same value. Uses of keys are remembered as far as `AccessTable` does.

import ValkBase
import ValkData
import ValkEngine
import ValkRESP

package enum ObjectCommands {
    package static func encoding(_ c: CommandContext) throws(Interruption) {
        guard let entry = try c.keys.readQuietly(c.args[2]) else { return c.reply.null() }
        c.reply.bulk(try word(c, entry))
    }

    private static func word(_ tag: UInt8) -> StaticString {
        let isLarge = tag & CollectionTag.large != 0
        switch ValueType(tag: tag) {
        case .hash: return isLarge ? "hashtable" : "listpack"
        case .set: return isLarge ? "hashtable" : "intset"
        case .sortedSet: return isLarge ? "skiplist" : "listpack"
        case .list: return "quicklist"
        case .stream: return "stream"
        case .string, nil: return "raw"
        }
    }

    /// How Redis would hold the value, as OBJECT ENCODING says it.
    package static func word(_ c: CommandContext, _ entry: UnsafePointer<Entry>) throws(Interruption) -> StaticString {
        guard StringTag.isString(entry.pointee.tag) else { return word(entry.pointee.tag) }
        let length = entry.pointee.valueLength
        // Longer values are told by their length alone and need not be fetched.
        let bytes = length <= 20 ? try c.keys.value(entry) : .empty
        return StringValue.encoding(tag: entry.pointee.tag, length: length, bytes: bytes)
    }

    package static func refcount(_ c: CommandContext) throws(Interruption) {
        guard let entry = try c.keys.readQuietly(c.args[2]) else { return c.reply.null() }
        // Redis shares the objects of the first ten thousand numbers and says so with the largest count.
        if entry.pointee.valueLength <= 4, entry.pointee.tag == StringTag.plain,
            let number = Decimal.parse(try c.keys.value(entry)), number >= 0
        {
            return c.reply.integer(Int64(Int32.max))
        }
        c.reply.integer(1)
    }

    package static func idletime(_ c: CommandContext) throws(Interruption) {
        guard try c.keys.readQuietly(c.args[2]) != nil else { return c.reply.null() }
        guard let seconds = c.keys.idleSeconds(c.args[2]) else {
            return c.fail("ERR An LFU maxmemory policy is selected, idle time not tracked. \(adjusting)")
        }
        c.reply.integer(seconds)
    }

    package static func freq(_ c: CommandContext) throws(Interruption) {
        guard try c.keys.readQuietly(c.args[2]) != nil else { return c.reply.null() }
        guard let frequency = c.keys.frequency(c.args[2]) else {
            return c.fail(
                "ERR An LFU maxmemory policy is not selected, access frequency not tracked. \(adjusting)")
        }
        c.reply.integer(frequency)
    }

    private static let adjusting =
        "Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust."

    package static func help(_ c: CommandContext) throws(Interruption) {
        c.replyWithHelp([
            "OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
            "ENCODING <key>",
            "    How Redis would hold the value at <key>.",
            "FREQ <key>",
            "    How often <key> is used, from 0 to 255; needs an LFU policy.",
            "IDLETIME <key>",
            "    Seconds since <key> was last used, as far as is remembered.",
            "REFCOUNT <key>",
            "    How many references the value at <key> has.",
            "HELP",
            "    This text.",
        ])
    }

    // MARK: MEMORY USAGE

    /// What an entry costs beside its key and value: record header in the log, entry in a table.
    private static let entryBytes = 48

    package static func memoryUsage(_ c: CommandContext) throws(Interruption) {
        let args = c.args
        var samples: Int64 = 5
        var i = 3
        while i < args.count {
            guard c.isWord(i, "samples"), i + 1 < args.count else { return c.failSyntax() }
            guard let number = c.integer(i + 1) else { return }
            if number < 0 { return c.failSyntax() }
            samples = number
            i += 2
        }
        guard let entry = try c.keys.find(args[2]) else { return c.reply.null() }
        var bytes = entryBytes + args[2].count + entry.pointee.valueLength
        if let type = ValueType(tag: entry.pointee.tag), type != .string {
            bytes += try elementBytes(c, try c.keys.collection(entry, type), samples: samples == 0 ? nil : Int(samples))
        }
        c.reply.integer(bytes)
    }

    /// What the elements take that have entries of their own: the mean of `samples` of them (nil: all) times their
    /// number. Members lie in the order of a hash, so the first ones are as good as any.
    private static func elementBytes(
        _ c: CommandContext, _ collection: Collection, samples: Int?
    ) throws(Interruption) -> Int {
        guard collection.isSpread, collection.count > 0 else { return 0 }
        let kinds: [ValueType: UInt8] = [.list: ElementKind.position, .stream: ElementKind.entry]
        var walk = try ElementWalk(c.keys, collection, kinds[collection.type] ?? ElementKind.member)
        try walk.seekToFirst()
        var seen = 0
        var bytes = 0
        while walk.isValid && seen < samples ?? Int.max {
            let key = entryBytes + elementKeyBytes + walk.key.count
            bytes += key + walk.valueLength
            // Once more, in the order of scores or times.
            if collection.type == .sortedSet || walk.expireAt != 0 { bytes += key + 4 }
            seen += 1
            try walk.next()
        }
        return seen == 0 ? 0 : Int(Double(bytes) / Double(seen) * Double(collection.count))
    }

    /// In front of an element's own key: whose it is.
    private static let elementKeyBytes = 13
}

extension CommandContext {
    /// Help as Redis gives it: an array of simple strings.
    package func replyWithHelp(_ lines: [StaticString]) {
        reply.array(lines.count)
        for line in lines { reply.simple(line) }
    }
}

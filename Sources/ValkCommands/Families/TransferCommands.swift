// DUMP and RESTORE: values as bytes that Redis understands, and back.

import ValkBase
import ValkData
import ValkEngine
import ValkRESP

package enum TransferCommands {
    /// Longer values are left to a worker.
    private static let loopBytesMax = 1 << 20

    package static func dump(_ c: CommandContext) throws(Interruption) {
        guard let entry = try c.keys.read(c.args[1]) else { return c.reply.null() }
        if entry.pointee.valueLength > loopBytesMax && !c.keys.reader.mayBlock { throw .wouldBlock }
        switch try payload(c, entry, { c.reply.bulk($0) }) {
        case .written: break
        case .nothing: c.reply.null()
        case .unknownType: c.fail(unknownType)
        }
    }

    package static var unknownType: StaticString { "ERR a value of this type cannot be dumped" }

    package enum PayloadOutcome {
        case written
        /// A hash all of whose fields have expired.
        case nothing
        case unknownType
    }

    /// Shows the payload of an entry that was just found.
    package static func payload(
        _ c: CommandContext, _ entry: UnsafePointer<Entry>, _ body: (ByteView) -> Void
    ) throws(Interruption) -> PayloadOutcome {
        let compressor = c.compressesDumps ? c.compressor : nil
        guard let type = ValueType(tag: entry.pointee.tag) else { return .unknownType }
        switch type {
        case .string:
            let value = try c.keys.value(entry)
            let payload = c.keys.allocate(DumpPayload.roomForString(value.count))
            body(
                ByteView(base: payload, count: DumpPayload.writeString(value, to: payload, compressor: compressor)))
            return .written
        case .list, .set, .sortedSet, .hash, .stream:
            let collection = try c.keys.collection(entry, type)
            var payload = ByteBuffer()
            guard try DumpPayload.append(collection, c.keys, to: &payload, compressor: compressor) else {
                return .nothing
            }
            body(payload.view)
            return .written
        }
    }

    // MARK: RESTORE

    private struct Options {
        var replace = false
        var isAbsolute = false
        var idleSeconds: Int?
        var frequency: Int?
    }

    package static func restore(_ c: CommandContext) throws(Interruption) {
        guard let options = options(c) else { return }
        let key = c.args[1]
        guard c.canStore(key) else { return }
        let was = try c.keys.look(key)
        if was.entry != nil && !options.replace { return c.fail("BUSYKEY Target key name already exists.") }
        guard let time = c.integer(2) else { return }
        if time < 0 { return c.fail("ERR Invalid TTL value, must be >= 0") }
        let payload = c.args[3]
        if !DumpPayload.isIntact(payload) { return c.fail("ERR DUMP payload version or checksum are wrong") }
        guard let content = DumpPayload.content(payload) else { return failFormat(c) }
        // Redis adds without regard to the largest number, too.
        let when = time == 0 || options.isAbsolute ? time : time &+ Int64(c.now)
        let isPast = when != 0 && when <= Int64(c.now)
        switch content {
        case .string(let string):
            guard let value = try bytes(c, string) else { return }
            if isPast { return removed(c, key, was) }
            c.keys.put(key, tag: StringTag.plain, expireAt: UInt64(when), value: value, was: was)
        case .collection, .stream:
            var isStream = false
            if case .stream = content { isStream = true }
            // What is written before something turns out to be wrong must not stay.
            let mark = c.batch.mark()
            let read =
                try isStream ? RestoredStream.read(c, payload, key) : RestoredCollection.read(c, payload, key)
            guard var collection = read else { return c.batch.rollback(to: mark) }
            if isPast || collection.count == 0 && !isStream {
                c.batch.rollback(to: mark)
                return removed(c, key, was)
            }
            collection.expireAt = UInt64(when)
            _ = try c.keys.save(&collection, at: key, keepsEmpty: isStream)
        }
        c.keys.noteUse(key, idleSeconds: options.idleSeconds, frequency: options.frequency)
        // Who replaces a key, deletes it first.
        if was.entry != nil { c.notify(.new, key) }
        c.notify(.restore, key)
        c.keys.changed()
        c.reply.ok()
    }

    /// What comes has expired already; what it would have replaced is gone all the same.
    private static func removed(_ c: CommandContext, _ key: ByteView, _ was: KeyState) {
        if was.entry != nil {
            c.keys.remove(key, was: was)
            c.notify(.del, key)
            c.keys.changed()
        }
        c.reply.ok()
    }

    static func failFormat(_ c: CommandContext) { c.fail("ERR Bad data format") }

    /// Nil after an error reply.
    private static func options(_ c: CommandContext) -> Options? {
        var options = Options()
        var i = 4
        while i < c.args.count {
            let hasNext = i + 1 < c.args.count
            if c.isWord(i, "replace") {
                options.replace = true
            } else if c.isWord(i, "absttl") {
                options.isAbsolute = true
            } else if c.isWord(i, "idletime") && hasNext && options.frequency == nil {
                guard let seconds = c.integer(i + 1) else { return nil }
                if seconds < 0 {
                    c.fail("ERR Invalid IDLETIME value, must be >= 0")
                    return nil
                }
                options.idleSeconds = Int(seconds)
                i += 1
            } else if c.isWord(i, "freq") && hasNext && options.idleSeconds == nil {
                guard let frequency = c.integer(i + 1) else { return nil }
                if !(0...255).contains(frequency) {
                    c.fail("ERR Invalid FREQ value, must be >= 0 and <= 255")
                    return nil
                }
                options.frequency = Int(frequency)
                i += 1
            } else {
                c.failSyntax()
                return nil
            }
            i += 1
        }
        return options
    }

    /// The string's bytes, which stay until the commit; nil after an error reply.
    private static func bytes(_ c: CommandContext, _ string: RDBString) throws(Interruption) -> ByteView? {
        switch string {
        case .plain(let bytes):
            return c.canHold(bytes.count, 0) ? bytes : nil
        case .number(let number):
            let text = c.keys.allocate(24)
            return ByteView(base: text, count: Decimal.write(number, to: text))
        case .compressed(let packed, let count):
            guard c.canHold(count, 0) else { return nil }
            if count > loopBytesMax && !c.keys.reader.mayBlock { throw .wouldBlock }
            let memory = c.keys.allocate(count)
            if LZF.expand(packed, to: memory, count: count) { return ByteView(base: memory, count: count) }
            failFormat(c)
            return nil
        }
    }
}

// Counting different elements approximately: PFADD, PFCOUNT, PFMERGE, PFDEBUG, PFSELFTEST. The strings are Redis's own
// (see HyperLogLog), with all that SET and GET see of them.

import ValkBase
import ValkData
import ValkEngine
import ValkRESP

package enum HyperLogLogCommands {
    private static var notOne: StaticString { "WRONGTYPE Key is not a valid HyperLogLog string value." }
    private static var corrupt: StaticString { "INVALIDOBJ Corrupted HLL object detected" }

    /// The bytes at a key that holds one; nil after an error reply.
    private static func bytes(_ c: CommandContext, _ entry: UnsafePointer<Entry>) throws(Interruption) -> ByteView? {
        guard StringTag.isString(entry.pointee.tag) else {
            c.fail(ErrorText.wrongType)
            return nil
        }
        let value = try c.keys.value(entry)
        if HyperLogLog.isOne(value) { return value }
        c.fail(notOne)
        return nil
    }

    private static func put(_ c: CommandContext, _ key: ByteView, _ log: HyperLogLog, _ was: KeyState) {
        let count = log.bytes.count
        let copy = c.keys.allocate(count)
        copy.copyMemory(from: log.bytes, byteCount: count)
        c.keys.put(
            key, tag: StringTag.raw, expireAt: was.entry == nil ? 0 : was.expireAt,
            value: ByteView(base: copy, count: count), was: was)
    }

    package static func pfadd(_ c: CommandContext) throws(Interruption) {
        let key = c.args[1]
        guard c.canStore(key) else { return }
        let was = try c.keys.look(key)
        var changes = 0
        var log = HyperLogLog()
        if let entry = was.entry {
            guard let value = try bytes(c, entry), let there = HyperLogLog(value) else { return }
            log = there
        } else {
            changes = 1
        }
        do throws(HyperLogLog.Corrupt) {
            for i in 2..<max(2, c.args.count) {
                let (register, rank) = HyperLogLog.place(c.args[i])
                if try log.raise(register, to: rank, sparseMax: c.hyperLogLogSparseMax) { changes += 1 }
            }
        } catch {
            return c.fail(corrupt)
        }
        if changes > 0 {
            log.invalidate()
            put(c, key, log, was)
            c.notify(.pfadd, key)
            c.keys.changed(changes)
        }
        c.reply.integer(changes > 0 ? 1 : 0)
    }

    /// The estimate of one key is kept in its string, so this may write.
    package static func pfcount(_ c: CommandContext) throws(Interruption) {
        if c.args.count > 2 { return try countUnion(c) }
        let key = c.args[1]
        let was = try c.keys.look(key)
        guard let entry = was.entry else {
            c.notify(.keymiss, key)
            return c.reply.integer(0)
        }
        guard let value = try bytes(c, entry) else { return }
        if let kept = HyperLogLog.kept(value) { return c.reply.integer(Int64(bitPattern: kept)) }
        guard var log = HyperLogLog(value) else { return c.fail(notOne) }
        do throws(HyperLogLog.Corrupt) {
            let estimate = try log.estimate()
            log.keep(estimate)
            put(c, key, log, was)
            c.keys.changed()
            c.reply.integer(Int64(bitPattern: estimate))
        } catch {
            c.fail(corrupt)
        }
    }

    private static func countUnion(_ c: CommandContext) throws(Interruption) {
        guard let (registers, _) = try union(c, of: 1..<c.args.count) else { return }
        c.reply.integer(Int64(bitPattern: HyperLogLog.estimate(registers: registers)))
    }

    /// The highest registers of some keys, and whether one of them is dense; nil after an error reply.
    private static func union(
        _ c: CommandContext, of range: Range<Int>
    ) throws(Interruption) -> (registers: [UInt8], hasDense: Bool)? {
        var registers = [UInt8](repeating: 0, count: HyperLogLog.registerCount)
        var hasDense = false
        for i in range {
            guard let entry = try c.keys.look(c.args[i]).entry else {
                c.notify(.keymiss, c.args[i])
                continue
            }
            guard let value = try bytes(c, entry), let log = HyperLogLog(value) else { return nil }
            hasDense = hasDense || log.isDense
            do throws(HyperLogLog.Corrupt) {
                try log.merge(into: &registers)
            } catch {
                c.fail(corrupt)
                return nil
            }
        }
        return (registers, hasDense)
    }

    package static func pfmerge(_ c: CommandContext) throws(Interruption) {
        let key = c.args[1]
        guard c.canStore(key) else { return }
        guard let (registers, hasDense) = try union(c, of: 1..<c.args.count) else { return }
        let was = try c.keys.look(key)
        var log = HyperLogLog()
        if let entry = was.entry {
            guard let value = try bytes(c, entry), let there = HyperLogLog(value) else { return }
            log = there
        }
        do throws(HyperLogLog.Corrupt) {
            if hasDense { try log.makeDense() }
            for (register, rank) in registers.enumerated() where rank > 0 {
                _ = try log.raise(register, to: Int(rank), sparseMax: c.hyperLogLogSparseMax)
            }
        } catch {
            return c.fail(corrupt)
        }
        log.invalidate()
        put(c, key, log, was)
        c.notify(.pfadd, key)
        c.keys.changed()
        c.reply.ok()
    }

    // MARK: For tests

    package static func pfdebug(_ c: CommandContext) throws(Interruption) {
        let key = c.args[2]
        let was = try c.keys.look(key)
        guard let entry = was.entry else { return c.fail("ERR The specified key does not exist") }
        guard let value = try bytes(c, entry), var log = HyperLogLog(value) else { return }
        do throws(HyperLogLog.Corrupt) {
            if c.isWord(1, "getreg") {
                if try makeDense(c, key, &log, was) { c.keys.changed() }
                c.reply.array(HyperLogLog.registerCount)
                try log.forEachRun { (run, value) throws(HyperLogLog.Corrupt) in
                    for _ in run { c.reply.integer(value) }
                }
            } else if c.isWord(1, "decode") {
                if log.isDense { return c.fail("ERR HLL encoding is not sparse") }
                c.reply.bulk(try log.pieces)
            } else if c.isWord(1, "encoding") {
                c.reply.simple(log.isDense ? "dense" : "sparse")
            } else if c.isWord(1, "todense") {
                let changes = try makeDense(c, key, &log, was)
                if changes { c.keys.changed() }
                c.reply.integer(changes ? 1 : 0)
            } else {
                c.fail("ERR Unknown PFDEBUG subcommand '\(c.args[1].string)'")
            }
        } catch {
            c.fail(corrupt)
        }
    }

    private static func makeDense(
        _ c: CommandContext, _ key: ByteView, _ log: inout HyperLogLog, _ was: KeyState
    ) throws(HyperLogLog.Corrupt) -> Bool {
        if log.isDense { return false }
        try log.makeDense()
        put(c, key, log, was)
        return true
    }

    /// What Redis tests here Valk's own tests do.
    package static func pfselftest(_ c: CommandContext) throws(Interruption) { c.reply.ok() }
}

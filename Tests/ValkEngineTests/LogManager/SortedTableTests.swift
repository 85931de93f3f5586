import Testing
import ValkBase
import ValkTestSupport

@testable import ValkEngine

/// Random keys that share prefixes, are prefixes of each other, use few or all byte values.
private func randomKey(_ random: inout SeededRandom) -> [UInt8] {
    switch random.below(4) {
    case 0: return Array("key:\(String(1_000_000 + random.below(5000)).dropFirst())".utf8)
    case 1: return (0...random.below(4)).map { _ in UInt8(random.below(3)) }
    case 2: return (0...random.below(6)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    default: return [UInt8](repeating: 0x61, count: 1 + random.below(40)) + [UInt8(random.below(256))]
    }
}

private struct Version: Equatable {
    var sequence: UInt64
    var value: [UInt8]
    var flags: EntryFlags
}

@Suite struct SortedTableTests {
    /// Inserts random versions and compares point reads at random sequences and both walks with a dictionary.
    @Test(arguments: 0..<8)
    func agreesWithModel(round: Int) throws {
        let seed = TestSeed("SortedTable").value &+ UInt64(round)
        var random = SeededRandom(seed: seed)
        let table = SortedTable(pool: ChunkPool(idleChunksMax: 4))
        var model: [[UInt8]: [Version]] = [:]
        let count = 3000
        for i in 1...count {
            let key = randomKey(&random)
            let value = Array("v\(i)".utf8)
            var flags: EntryFlags = random.oneIn(2) ? .priorUnknown : []
            if random.oneIn(4) { flags.insert(.separated) }
            let hidden = key.withView { k in
                value.withView { v in
                    table.insert(
                        key: k, sequence: UInt64(i), kind: .put, flags: flags, tag: 1, expireAt: UInt64(i % 3),
                        value: v, pointer: .none)
                }
            }
            #expect(hidden?.sequence == model[key]?.last?.sequence, "seed \(seed)")
            model[key, default: []].append(Version(sequence: UInt64(i), value: value, flags: flags))
        }
        for _ in 0..<2000 {
            let key = randomKey(&random)
            let bound = UInt64(random.below(count + 1))
            let expected = model[key]?.last { $0.sequence <= bound }
            let found = key.withView { table.find($0, maxSequence: bound) }
            #expect(found?.sequence == expected?.sequence, "seed \(seed)")
        }
        let keys = model.keys.sorted { a, b in a.withView { x in b.withView { x.compare($0) < 0 } } }
        let bound = UInt64(count / 2)
        let visible = keys.filter { model[$0]!.contains { $0.sequence <= bound } }
        let cursor = SortedTableCursor(table, maxSequence: bound)
        var seen: [[UInt8]] = []
        cursor.seekToFirst()
        while cursor.isValid {
            let entry = cursor.entry
            seen.append(entry.key.array)
            #expect(entry.sequence == model[entry.key.array]!.last { $0.sequence <= bound }!.sequence)
            cursor.next()
        }
        #expect(seen == visible, "seed \(seed)")
        seen = []
        cursor.seekToLast()
        while cursor.isValid {
            seen.append(cursor.entry.key.array)
            cursor.previous()
        }
        #expect(seen == visible.reversed(), "seed \(seed)")
        for _ in 0..<500 {
            let key = randomKey(&random)
            key.withView { cursor.seek($0) }
            let after = visible.first { a in key.withView { k in a.withView { $0.compare(k) >= 0 } } }
            #expect((cursor.isValid ? cursor.entry.key.array : nil) == after, "seed \(seed)")
            key.withView { cursor.seekBefore($0) }
            let before = visible.last { a in key.withView { k in a.withView { $0.compare(k) < 0 } } }
            #expect((cursor.isValid ? cursor.entry.key.array : nil) == before, "seed \(seed)")
        }
        // Of every key the newest version, and what it says of the older ones.
        let all = SortedTableCursor(table, maxSequence: UInt64.max)
        var newest: [UInt64] = []
        var open: [Bool] = []
        var separated: [Bool] = []
        all.seekToFirst()
        while all.isValid {
            newest.append(all.entry.sequence)
            open.append(all.record.oldestIsOpen)
            separated.append(all.record.olderAreSeparated)
            if random.oneIn(2) {
                all.record.clearOpen()
                #expect(!all.record.oldestIsOpen, "seed \(seed)")
            }
            all.next()
        }
        #expect(newest == keys.map { model[$0]!.last!.sequence }, "seed \(seed)")
        #expect(open == keys.map { model[$0]!.first!.flags.contains(.priorUnknown) }, "seed \(seed)")
        #expect(
            separated == keys.map { model[$0]!.dropLast().contains { $0.flags.contains(.separated) } },
            "seed \(seed)")
    }
}

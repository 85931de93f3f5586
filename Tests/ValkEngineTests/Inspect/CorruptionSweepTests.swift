// Each byte of a small store's files is changed once. Whatever the store then does, it does not crash, and no answer is
// another one: opening fails, or a read fails, or all is as it was.
//
// A sample of the bytes by default; VALK_SWEEP=whole takes all of them (of long stretches of one byte, such as the
// unwritten rest of a segment, one in sixteen), which takes about half an hour.

import Glibc
import Testing
import ValkBase
import ValkDisk
import ValkTestSupport

@testable import ValkEngine

@Suite struct CorruptionSweepTests {
    private static var isWhole: Bool { getenv("VALK_SWEEP").map { String(cString: $0) == "whole" } ?? false }

    /// What a damaged store said.
    private struct Outcome {
        var opens = 0
        var refusedOpens = 0
        var failedReads = 0
        var sameReads = 0
    }

    @Test(arguments: SweptStore.Kind.allCases)
    func everyAnswerIsTheSameOrAnError(kind: SweptStore.Kind) throws {
        let seed = TestSeed("CorruptionSweepTests \(kind)").value
        var random = SeededRandom(seed: seed)
        let swept = try SweptStore(kind)
        let contents = try swept.files().map { ($0, try swept.disk.readFile($0)) }
        var counts: [SweptStore.Interest: Int] = [:]
        for (path, bytes) in contents {
            for interest in SweptStore.interests(path, bytes) { counts[interest, default: 0] += 1 }
        }
        // One in so many is taken.
        func chance(_ interest: SweptStore.Interest) -> Int {
            if Self.isWhole { return interest == .dull ? 16 : 1 }
            let wanted = [SweptStore.Interest.dull: 40, .plain: 350, .map: 60]
            return max(1, (counts[interest] ?? 0) / (wanted[interest] ?? 1))
        }
        var outcome = Outcome()
        var flips = 0
        var hits: [SweptStore.Interest: Int] = [:]
        for (path, bytes) in contents {
            let interests = SweptStore.interests(path, bytes)
            for i in bytes.indices where random.oneIn(chance(interests[i])) {
                let bit = UInt8(1) << UInt8(random.below(8))
                let file = try swept.disk.open(path, .readWrite)
                defer { file.close() }
                try file.write([bytes[i] ^ bit], at: i)
                let copy = swept.disk.crashClone(seed: 1, policy: .keepAll)
                try file.write([bytes[i]], at: i)
                flips += 1
                hits[interests[i], default: 0] += 1
                Self.use(swept, copy, &outcome, "seed \(seed): \(path) byte \(i), bit \(bit)")
            }
        }
        #expect(flips > 300)
        #expect(kind != .collected || (hits[.map] ?? 0) > 20, "\(hits)")
        #expect(outcome.refusedOpens > 0 && outcome.failedReads > 0 && outcome.sameReads > flips)
        #expect(outcome.opens + outcome.refusedOpens == flips)
    }

    private static func use(
        _ swept: SweptStore, _ disk: SimulatedDisk, _ outcome: inout Outcome, _ context: String
    ) {
        let store: Store
        do {
            store = try Store.open(swept.options, disk: disk)
            outcome.opens += 1
        } catch {
            outcome.refusedOpens += 1
            return
        }
        read(store, swept, &outcome, context)
        // Work in the background may fail, but neither crash nor change what is read.
        func attempt(_ body: () throws -> Void) { do { try body() } catch { outcome.failedReads += 1 } }
        attempt { try store.flushTables() }
        attempt { try store.mergeAll() }
        attempt { try store.collectGarbage() }
        read(store, swept, &outcome, "after a merge, " + context)
        attempt { try store.close() }
    }

    private static func read(
        _ store: Store, _ swept: SweptStore, _ outcome: inout Outcome, _ context: String
    ) {
        let reader = StoreReader(store, mayBlock: true)
        reader.begin()
        defer { reader.end() }
        for key in swept.asked {
            do {
                let found = try key.withView { view -> [UInt8]? in
                    guard let entry = try reader.find(view) else { return nil }
                    return try reader.value(entry).array
                }
                if found != swept.expected[key] { Issue.record("another value for \(key): \(context)") }
                outcome.sameReads += 1
            } catch {
                outcome.failedReads += 1
            }
        }
        let sorted = swept.expected.keys.sorted { $0.lexicographicallyPrecedes($1) }
        for isReverse in [false, true] {
            let wanted = isReverse ? sorted.reversed() : sorted
            var at = 0
            do {
                let cursor = try [0].withView { l in
                    try [255, 255].withView { try reader.cursor(lower: l, upper: $0) }
                }
                if isReverse { try cursor.seekToLast() } else { try cursor.seekToFirst() }
                while cursor.isValid {
                    let value = try cursor.value().array
                    guard at < wanted.count, cursor.key.array == wanted[at], value == swept.expected[wanted[at]]
                    else {
                        Issue.record("another entry \(at) in a scan: \(context)")
                        return
                    }
                    at += 1
                    if isReverse { try cursor.previous() } else { try cursor.next() }
                }
                if at != wanted.count { Issue.record("a scan ends early, at \(at): \(context)") }
                outcome.sameReads += 1
            } catch {
                outcome.failedReads += 1
            }
        }
    }
}

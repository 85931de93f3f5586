// Each byte of a small store's files is changed once. Whatever the store then does, it does not crash, and no answer is
// another one: opening fails, or a read fails, or all is as it was.
//
// A sample of the bytes by default; VALK_SWEEP=whole takes all of them.

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

    @Test(arguments: [false, true])
    func everyAnswerIsTheSameOrAnError(merged: Bool) throws {
        let seed = TestSeed("CorruptionSweepTests \(merged)").value
        var random = SeededRandom(seed: seed)
        let fixture = try InspectFixture(merged: merged)
        var outcome = Outcome()
        var flips = 0
        for path in try fixture.files() {
            let bytes = try fixture.disk.readFile(path)
            for i in bytes.indices {
                // Long stretches of zeros are the unwritten rest of segments.
                let isDull = bytes[i] == 0 && i > 0 && bytes[i - 1] == 0
                let chance = isDull ? 500 : CorruptionSweepTests.isWhole ? 1 : 12
                if chance > 1 && !random.oneIn(chance) { continue }
                let bit = UInt8(1) << UInt8(random.below(8))
                let file = try fixture.disk.open(path, .readWrite)
                defer { file.close() }
                try file.write([bytes[i] ^ bit], at: i)
                let copy = fixture.disk.crashClone(seed: 1, policy: .keepAll)
                try file.write([bytes[i]], at: i)
                flips += 1
                CorruptionSweepTests.use(fixture, copy, &outcome, "seed \(seed): \(path) byte \(i), bit \(bit)")
            }
        }
        #expect(flips > 300)
        #expect(outcome.refusedOpens > 0 && outcome.failedReads > 0 && outcome.sameReads > flips)
        #expect(outcome.opens + outcome.refusedOpens == flips)
    }

    private static func use(
        _ fixture: InspectFixture, _ disk: SimulatedDisk, _ outcome: inout Outcome, _ context: String
    ) {
        var options = fixture.options
        options.usesThreads = false
        let store: Store
        do {
            store = try Store.open(options, disk: disk)
            outcome.opens += 1
        } catch {
            outcome.refusedOpens += 1
            return
        }
        read(store, fixture, &outcome, context)
        // Work in the background may fail, but neither crash nor change what is read.
        do {
            try store.flushTables()
            try store.mergeAll()
        } catch {
            outcome.failedReads += 1
        }
        read(store, fixture, &outcome, "after a merge, " + context)
        do { try store.close() } catch { outcome.failedReads += 1 }
    }

    private static func read(
        _ store: Store, _ fixture: InspectFixture, _ outcome: inout Outcome, _ context: String
    ) {
        let reader = StoreReader(store, mayBlock: true)
        reader.begin()
        defer { reader.end() }
        for i in 0..<40 {
            let key = fixture.key(i)
            do {
                let found = try key.withView { view -> [UInt8]? in
                    guard let entry = try reader.find(view) else { return nil }
                    return try reader.value(entry).array
                }
                if found != fixture.expected[key] { Issue.record("another value for key \(i): \(context)") }
                outcome.sameReads += 1
            } catch {
                outcome.failedReads += 1
            }
        }
        let sorted = fixture.expected.keys.sorted { a, b in a.withView { x in b.withView { x.compare($0) < 0 } } }
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
                    guard at < wanted.count, cursor.key.array == wanted[at], value == fixture.expected[wanted[at]]
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

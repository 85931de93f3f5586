// Salvage: a sound store comes out whole; of a damaged one everything but what is damaged, and that is told.

import Testing
import ValkBase
import ValkDisk
import ValkTestSupport

@testable import ValkEngine

@Suite struct SalvageTests {
    private static func contents(_ fixture: InspectFixture, _ disk: SimulatedDisk) throws -> [[UInt8]: [UInt8]] {
        let store = try Store.open(StoreOptions(path: "/new"), disk: disk)
        defer { try? store.close() }
        let reader = StoreReader(store, mayBlock: true)
        reader.begin()
        defer { reader.end() }
        var found: [[UInt8]: [UInt8]] = [:]
        let cursor = try [0].withView { l in try [255, 255].withView { try reader.cursor(lower: l, upper: $0) } }
        try cursor.seekToFirst()
        while cursor.isValid {
            found[cursor.key.array] = try cursor.value().array
            try cursor.next()
        }
        return found
    }

    @Test(arguments: [false, true], ["nothing", "CURRENT", "MANIFEST-"])
    func soundFilesComeOutWhole(merged: Bool, missing: String) throws {
        let fixture = try InspectFixture(merged: merged)
        for path in try fixture.files() where path.contains(missing) { try fixture.disk.remove(path) }
        let report = try Salvage.run(
            disk: fixture.disk, directory: InspectFixture.directory, to: "/new", isServerStore: false)
        #expect(report.hasManifest == (missing == "nothing"))
        #expect(report.lost.count == (missing == "nothing" ? 0 : 1))
        #expect(try SalvageTests.contents(fixture, fixture.disk) == fixture.expected)
        #expect(report.keys == fixture.expected.count)
        #expect(try StoreVerifier.verify(disk: fixture.disk, directory: "/new").isSound)
    }

    /// Bytes here and there are changed. What comes out is what went in, for some keys an older value; what is missing
    /// or older was told; most is there; the damaged store is as it was.
    @Test(arguments: [false, true])
    func damageCostsWhatItHits(merged: Bool) throws {
        let seed = TestSeed("SalvageTests.damageCostsWhatItHits \(merged)").value
        var random = SeededRandom(seed: seed)
        let fixture = try InspectFixture(merged: merged)
        var losses = 0
        for path in try fixture.files() {
            let bytes = try fixture.disk.readFile(path)
            let used = (bytes.lastIndex { $0 != 0 } ?? 0) + 1
            for _ in 0..<40 {
                let i = random.below(used)
                let disk = fixture.disk.crashClone(seed: 1, policy: .keepAll)
                let file = try disk.open(path, .readWrite)
                try file.write([bytes[i] ^ (1 << UInt8(random.below(8)))], at: i)
                file.close()
                let context = "seed \(seed): \(path) byte \(i)"
                let before = try disk.readFile(path)
                let report: SalvageReport
                do {
                    report = try Salvage.run(
                        disk: disk, directory: InspectFixture.directory, to: "/new", isServerStore: false)
                } catch {
                    if error.kind == .newerFormat { continue }
                    throw error
                }
                let found = try SalvageTests.contents(fixture, disk)
                let wrong = found.keys.filter { found[$0] != fixture.expected[$0] }
                let missing = fixture.expected.keys.filter { found[$0] == nil }
                losses += report.lostCount
                if report.lostCount == 0 && !(wrong.isEmpty && missing.isEmpty) {
                    Issue.record("\(wrong.count) wrong, \(missing.count) missing, and nothing told: \(context)")
                }
                // A whole table or segment is lost at worst.
                for key in wrong where found[key].map({ !fixture.wasWritten($0, key) }) ?? false {
                    Issue.record("a value that was never there: \(context)")
                }
                #expect(try disk.readFile(path) == before)
            }
        }
        #expect(losses > 20)
    }

    @Test func refusesTakenTargets() throws {
        let fixture = try InspectFixture()
        for target in [InspectFixture.directory, InspectFixture.directory + "/tables"] {
            #expect(throws: StoreError.self) {
                try Salvage.run(disk: fixture.disk, directory: InspectFixture.directory, to: target)
            }
        }
        #expect(try fixture.verify().findings.isEmpty)
    }
}

extension InspectFixture {
    /// Whether the script gave `key` this value at some time.
    fileprivate func wasWritten(_ value: [UInt8], _ key: [UInt8]) -> Bool {
        for round in 0..<3 {
            for i in 0..<20 where self.key(i + round * 7) == key {
                if value == [UInt8](repeating: UInt8(round * 20 + i), count: i % 4 == 0 ? 100 + i : 5 + i) {
                    return true
                }
            }
        }
        return false
    }
}

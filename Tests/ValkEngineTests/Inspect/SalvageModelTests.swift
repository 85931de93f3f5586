// Salvage of stores as random work leaves them, with deep trees of small buckets: nothing is lost, nothing comes back.

import Testing
import ValkBase
import ValkDisk
import ValkTestSupport

@testable import ValkEngine

@Suite struct SalvageModelTests {
    @Test(arguments: 0..<4)
    func soundStoreComesOutAsItWas(round: Int) throws {
        let seed = TestSeed("SalvageModelTests").value &+ UInt64(round)
        let disk = SimulatedDisk()
        let run = try ModelRun(seed: seed, disk: disk, path: "/store")
        for step in 0..<500 {
            try run.step()
            if step % 250 != 249 { continue }
            try run.store.close()
            let target = "/new-\(step)"
            let report = try Salvage.run(disk: disk, directory: "/store", to: target)
            #expect(report.lost.map(\.description) == [], "seed \(seed)")
            var options = run.options
            options.path = target
            let store = try Store.open(options, disk: disk)
            let reader = StoreReader(store, mayBlock: true)
            reader.begin()
            var found: [[UInt8]: ModelValue] = [:]
            let cursor = try [0].withView { l in try [255].withView { try reader.cursor(lower: l, upper: $0) } }
            try cursor.seekToFirst()
            while cursor.isValid {
                let entry = cursor.entry.pointee
                found[cursor.key.array] = ModelValue(
                    tag: entry.tag, expireAt: entry.expireAt, bytes: try cursor.value().array)
                try cursor.next()
            }
            reader.end()
            let differing = Set(found.keys).union(run.model.keys).filter { found[$0] != run.model[$0] }
            #expect(differing.isEmpty, "seed \(seed), step \(step): \(differing.count) keys differ")
            try store.close()
            run.store = try Store.open(run.options, disk: disk)
            run.reader = StoreReader(run.store, mayBlock: true)
        }
        try run.store.close()
    }

    /// The same through a backup.
    @Test(arguments: 0..<4)
    func backupsOfDeepTreesAreSound(round: Int) throws {
        let seed = TestSeed("SalvageModelTests.backups").value &+ UInt64(round)
        let disk = SimulatedDisk()
        let run = try ModelRun(seed: seed, disk: disk, path: "/store")
        for step in 0..<600 {
            try run.step()
            if step % 200 != 199 { continue }
            try run.store.backup(to: "/backup-\(step)")
            let report = try StoreVerifier.verify(disk: disk, directory: "/backup-\(step)")
            #expect(report.isSound, "seed \(seed), step \(step): \(report.findings)")
        }
        try run.store.close()
    }
}

// The shelf of a store's backups: that what `add` calls done outlasts a loss of power, whatever failed before.

import Testing
import ValkBase
import ValkDisk
import ValkTestSupport

@testable import ValkEngine

@Suite struct BackupShelfTests {
    /// The first backup makes the shelf, and the sync of the shelf's name fails. The next one finds the shelf there; it
    /// is durable all the same when it is done.
    @Test func aShelfWhoseNameWasNotSyncedIsSyncedByTheNextBackup() throws {
        let base = SimulatedDisk()
        let disk = FaultyDisk(base)
        let tiny = try TinyStore(disk)
        try tiny.put(TinyStore.key(1), [1, 2, 3])
        disk.add(FaultRule([.syncDirectory], suffix: "/store", .io))
        let shelf = BackupShelf(disk: disk, store: "/store")
        let error = #expect(throws: StoreError.self) {
            _ = try shelf.add(tiny.store, kept: 2, now: 1_000_000) { Issue.record("\($0)") }
        }
        #expect(error?.kind == .disk && disk.injected.count == 1)
        let report = try shelf.add(tiny.store, kept: 2, now: 2_000_000) { Issue.record("\($0)") }
        let clone = base.crashClone(seed: 1, policy: .dropAll)
        #expect(try BackupShelf(disk: clone, store: "/store").backups() == [report.path])
        #expect(try StoreVerifier.verify(disk: clone, directory: report.path).isSound)
    }

    /// Whatever fails in one `add`, the next one's backup is there after a loss of power.
    @Test func everyOperationFailsOnce() throws {
        for nth in 1... {
            let base = SimulatedDisk()
            let disk = FaultyDisk(base)
            let tiny = try TinyStore(disk)
            let shelf = BackupShelf(disk: disk, store: "/store")
            try tiny.put(TinyStore.key(1), [UInt8](repeating: 1, count: 3000))
            try tiny.store.flushTables()
            // Two, so that the third removes the first.
            if nth % 2 == 0 {
                for moment in [1_000_000, 2_000_000] as [UInt64] {
                    _ = try shelf.add(tiny.store, kept: 2, now: moment) { Issue.record("\($0)") }
                }
            }
            disk.add(.any(nth: nth))
            do throws(StoreError) {
                _ = try shelf.add(tiny.store, kept: 2, now: 3_000_000) { _ in }
            } catch {
                #expect(!disk.injected.isEmpty, "\(error)")
            }
            let wasHit = !disk.injected.isEmpty
            disk.removeRules()
            let report = try shelf.add(tiny.store, kept: 2, now: 4_000_000) { Issue.record("\($0)") }
            let clone = base.crashClone(seed: UInt64(nth), policy: .dropAll)
            let found = try BackupShelf(disk: clone, store: "/store").backups()
            #expect(found.last == report.path, "after \(disk.injected)")
            for path in found {
                #expect(try StoreVerifier.verify(disk: clone, directory: path).isSound, "\(path), \(disk.injected)")
            }
            if !wasHit && nth % 2 == 0 { break }
        }
    }
}

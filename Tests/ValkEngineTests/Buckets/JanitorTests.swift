// What is let go of on a busy thread is done by the janitor's, also when that leaves more to do.

import Testing
import ValkBase
import ValkDisk
import ValkTestSupport

@testable import ValkEngine

@Suite struct JanitorTests {
    private static func makeView() -> View {
        let table = MemoryTable(pool: ChunkPool(idleChunksMax: 4), startPosition: .zero, tableBytes: 64 << 10)
        return View(active: table, sealed: [], root: Bucket(rootRuns: []), rangeDeletions: .none)
    }

    /// The janitor is held up in a removal; until it goes on, what was discarded stays.
    @Test func viewsAreFreedByTheJanitor() throws {
        let disk = SimulatedDisk()
        for name in ["/a", "/b"] { _ = try disk.open(name, [.readWrite, .create]) }
        let janitor = Janitor(disk: disk, usesThread: true)
        let entered = Bell()
        let goOn = Bell()
        let (enteredToken, goOnToken) = (entered.token, goOn.token)
        disk.onOperation = { _ in
            entered.ring()
            goOn.wait(after: goOnToken, milliseconds: 60_000)
        }
        janitor.remove("/a")
        entered.wait(after: enteredToken, milliseconds: 60_000)
        var view: View? = JanitorTests.makeView()
        weak let table = view?.active
        janitor.discard(&view)
        #expect(view == nil)
        #expect(table != nil)
        janitor.remove("/b")
        goOn.ring()
        janitor.drain()
        #expect(table == nil)
        #expect(try disk.list("/") == [])
        view = JanitorTests.makeView()
        weak let last = view?.active
        janitor.close()
        janitor.discard(&view)
        #expect(last == nil)
    }

    @Test func withoutAThreadViewsGoAtOnce() {
        let janitor = Janitor(disk: SimulatedDisk(), usesThread: false)
        var view: View? = JanitorTests.makeView()
        weak let table = view?.active
        janitor.discard(&view)
        #expect(table == nil)
        janitor.close()
    }

    /// Readers let go of views all the time while merges replace what is in them: the files go, and nobody waits for
    /// himself.
    @Test func filesOfDiscardedViewsAreRemoved() throws {
        let folder = TemporaryFolder()
        var options = StoreOptions(path: folder.path + "/store")
        options.tableBytes = 8 << 10
        options.segmentBytes = 64 << 10
        let store = try Store.open(options, disk: PosixDisk())
        let readers = (0..<4).map { _ in StoreReader(store, mayBlock: true) }
        let batch = WriteBatch()
        for turn in 0..<400 {
            batch.clear()
            let key = Array("key:\(turn % 50)".utf8)
            let value = [UInt8](repeating: 1, count: 200)
            key.withView { k in value.withView { batch.put(k, tag: 0, value: $0, prior: .unknown) } }
            try store.waitForLog(try store.commit(batch, mayBlock: true))
            readers[turn % 4].begin()
            readers[turn % 4].end()
            if turn % 40 == 39 { try store.mergeAll() }
        }
        try store.flushTables()
        try store.mergeAll()
        for reader in readers { reader.rest() }
        let files = store.root.runs.flatMap(\.fragments).map { BucketManager.path(options.path, $0.file.id) }
        #expect(files.count == 1)
        // Only then have the other threads let go of theirs, too.
        try store.close()
        #expect(try PosixDisk().list(options.path + "/tables").map { options.path + "/tables/" + $0 } == files)
    }
}

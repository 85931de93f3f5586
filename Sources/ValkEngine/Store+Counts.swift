// Exact numbers of keys. `counts` is quick and says how much is not known; `resolveCounts` looks at what is not.

import CValk
import ValkBase

extension Store {
    /// Keys of a namespace; not exact while `unknown` is not 0. Any thread, quick.
    package func counts(namespace: UInt32) -> NamespaceCounts {
        logManager.counts(namespace: namespace)
    }

    /// Looks at all blind writes, so that `counts` is exact for a moment after the call began. Waits for the disk.
    /// O(blind writes since the last call), each a look at what lies below.
    package func resolveCounts() throws(StoreError) {
        try resolveLock.withLock { () throws(StoreError) in
            try resolveMemory()
            for attempt in 0... {
                // A merge that ends meanwhile has changed the runs: look again; wait for it at the third time.
                if try resolveRuns(waitsForMerges: attempt >= 2) { return }
            }
        }
    }

    /// Versions in memory whose prior is open.
    private func resolveMemory() throws(StoreError) {
        try controller.flushGate.withLock { () throws(StoreError) in
            let reader = StoreReader(self, mayBlock: true)
            reader.begin()
            defer { reader.end() }
            let (view, _) = currentView()
            let tables = [view.active] + view.sealed
            for (i, table) in tables.enumerated() {
                let hasOpen = logManager.commitLock.withLock { table.deltas.items.contains { $0.counts.unknown != 0 } }
                if !hasOpen { continue }
                let below = BelowReader(
                    view: view, memory: Array(tables[(i + 1)...]), path: view.path, store: self)
                let cursor = SortedTableCursor(table.sorted, maxSequence: UInt64.max)
                cursor.seekToFirst()
                var found: [(TableRecord, (kind: EntryKind, expires: Bool)?)] = []
                while cursor.isValid {
                    let record = cursor.record
                    if record.oldestIsOpen, CountedKey.namespace(record.key) != nil {
                        found.append((record, try below.prior(record.key)))
                    }
                    cursor.next()
                }
                logManager.commitLock.withLock {
                    for (record, prior) in found {
                        guard let namespace = CountedKey.namespace(record.key) else { continue }
                        // There may be newer versions than the one that was found.
                        table.sorted.find(record.key, maxSequence: UInt64.max)?.clearOpen()
                        table.deltas.resolve(namespace, prior: prior)
                    }
                }
            }
        }
    }

    /// Entries in runs whose prior is open. False when the runs changed meanwhile and nothing was settled.
    private func resolveRuns(waitsForMerges: Bool) throws(StoreError) -> Bool {
        if waitsForMerges { controller.pauseJobs() }
        defer { if waitsForMerges { controller.resumeJobs() } }
        // The count before the view: a merge in between is then seen as one that came later.
        let mergesBefore = controller.structure.withLock { controller.mergeCount }
        let (view, _) = currentView()
        var open: [(bucket: Bucket, index: Int)] = []
        var files: [TableFile] = []
        view.root.forEach { bucket in
            for (i, run) in bucket.runs.enumerated() {
                if run.unknownPriors > 0 { open.append((bucket, i)) }
                files += run.fragments.map(\.file)
            }
        }
        if open.isEmpty { return true }
        var deltas = CountDeltas()
        let pins = BlockPins.make(cache)
        defer { BlockPins.destroy(pins) }
        let origin = UnsafeMutablePointer<EntryOrigin>.allocate(capacity: 1)
        origin.initialize(to: EntryOrigin())
        defer { origin.deallocate() }
        for (bucket, i) in open {
            let path = RunPath(.passUnretained(bucket), from: i + 1)
            let below = BelowReader(view: view, memory: [], path: path, store: self)
            let cursor = RunCursor(bucket.runs[i], pins, access: .scan, mayBlock: true, origin: origin)
            do {
                try cursor.seekToFirst()
                while cursor.isValid {
                    let entry = cursor.entry
                    if entry.flags.contains(.priorUnknown), !origin.pointee.countsResolved,
                        let namespace = CountedKey.namespace(entry.key)
                    {
                        deltas.resolve(namespace, prior: try below.prior(entry.key))
                    }
                    try cursor.next()
                }
            } catch let error as StoreError {
                throw error
            } catch {
                throw StoreError(.corruption, "a table could not be read while counting (\(error))")
            }
            pins.pointee.releaseAll()
        }
        return try controller.structure.withLock { () throws(StoreError) in
            guard controller.mergeCount == mergesBefore else { return false }
            try controller.markResolved(files, counts: logManager.countsAfterMerge(deltas))
            logManager.addToBase(deltas)
            return true
        }
    }
}

/// Looks up what lies below a table or run.
private struct BelowReader {
    let view: View
    let memory: [MemoryTable]
    /// The runs below.
    let path: RunPath
    let store: Store

    /// The newest version below, nil when there is none (or a range deletion hides it).
    func prior(_ key: ByteView) throws(StoreError) -> (kind: EntryKind, expires: Bool)? {
        for table in memory {
            if let record = table.sorted.find(key, maxSequence: UInt64.max) {
                return visible(key, record.sequence, record.kind, record.expireAt)
            }
        }
        let pins = BlockPins.make(store.cache)
        defer { BlockPins.destroy(pins) }
        var entry = Entry()
        let hash = key.hash64
        var path = path
        while let run = path.next(key) {
            let result = run._withUnsafeGuaranteedRef {
                $0.find(key, hash, maxSequence: UInt64.max, &entry, pins, mayBlock: true)
            }
            switch result {
            case .found: return visible(key, entry.sequence, entry.kind, entry.expireAt)
            case .absent: continue
            case .wouldBlock, .damaged, .readFailed:
                throw StoreError(.corruption, "a table could not be read while counting")
            }
        }
        return nil
    }

    private func visible(
        _ key: ByteView, _ sequence: UInt64, _ kind: EntryKind, _ expireAt: UInt64
    ) -> (kind: EntryKind, expires: Bool)? {
        if view.isRangeDeleted(key, sequence: sequence) {
            return nil
        }
        return (kind, expireAt != 0)
    }
}

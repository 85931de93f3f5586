// The third rung: what is live of a segment moves to a new file of the same segment number, one generation up. Pointers
// in tables stay as they are; the new file's map leads them. Nobody is asked what is live: everything is that the
// manifest does not list as dead, or lists as dead while somebody may still look at it.
//
// Order: the new files whole and durable -> the edit "segment s is generation g + 1" -> readers get the new file -> the
// old one goes when the last view from before is gone. A key that is deleted or overwritten meanwhile only adds to the
// list of dead records, whose offsets hold for every generation.

import Synchronization
import ValkBase
import ValkDisk

extension GarbageCollector {
    /// A segment on its way to its next generation.
    private struct Copy {
        let segment: UInt32
        /// As it was when the copy began, and how many of its lists of dead records are left out.
        let known: SegmentGarbage
        let effective: Int
        let writer: SegmentWriter
        /// While this is held the segment's file neither goes nor changes.
        let hold: SegmentHold
    }

    /// Rewrites segments, all of them with one edit: syncs are what this waits for, and so several share them. Returns
    /// how many have a new file; that others have none is no fault of the store. Throws when the manifest cannot be
    /// written. With `gate` held.
    func rewrite(_ segments: [UInt32]) throws(StoreError) -> Int {
        var copies: [Copy] = []
        for segment in segments {
            guard let copy = begin(segment) else { continue }
            copies.append(copy)
            _ = controller.atSeam?(.segmentCopied)
            if cancelled.load(ordering: .relaxed) { break }
        }
        copies = synced(copies)
        if copies.isEmpty { return 0 }
        let oldPaths = copies.map { log.files.path($0.segment) }
        try controller.structure.withLock { () throws(StoreError) in
            let next = copies.map { copy in
                guard let now = controller.state.garbage[copy.segment], now.generation == copy.known.generation else {
                    preconditionFailure("segment \(copy.segment) was rewritten by somebody else")
                }
                return SegmentGarbage(
                    generation: copy.writer.generation, valueBytes: UInt64(copy.writer.recordBytes),
                    valueCount: UInt64(copy.writer.recordCount), chunks: Array(now.chunks.dropFirst(copy.effective)))
            }
            do throws(StoreError) {
                try controller.note(zip(copies, next).map { .garbage(.segment($0.segment, $1)) })
            } catch {
                // The edit may be there after all: the files stay for now, and their names are not used again.
                for copy in copies {
                    controller.stranded.append(copy.writer.path)
                    tried[copy.segment] = copy.writer.generation
                }
                throw error
            }
            for copy in copies { log.files.replace(copy.segment, generation: copy.writer.generation) }
        }
        controller.logManager.renewView()
        for (copy, oldPath) in zip(copies, oldPaths) {
            replaced.append((oldPath, controller.logManager.generation))
            sizes[copy.segment] = nil
            forgetHoles(copy.segment)
        }
        counters.withLock {
            $0.segmentsRewritten += UInt64(copies.count)
            $0.bytesMoved += copies.reduce(0) { $0 + UInt64($1.writer.fileBytes) }
        }
        removeReplaced()
        return copies.count
    }

    /// Copies what is live of a segment; nil when there is nothing to do or it cannot be done.
    private func begin(_ segment: UInt32) -> Copy? {
        guard let hold = controller.segments.holdIfHeld(segment) else { return nil }
        let horizon = controller.logManager.horizon.horizon
        let known = controller.structure.withLock { () -> SegmentGarbage? in
            guard isEligible(segment) else { return nil }
            return controller.state.garbage[segment]
        }
        guard let known else { return nil }
        let effective = known.effectiveChunks(horizon)
        let generation = max(known.generation, tried[segment] ?? 0) + 1
        do {
            let writer = try copy(segment, known, known.deadOffsets(effective), generation)
            return Copy(segment: segment, known: known, effective: effective, writer: writer, hold: hold)
        } catch {
            noteFailure(segment, error)
            return nil
        }
    }

    /// Those whose files are durable.
    private func synced(_ copies: [Copy]) -> [Copy] {
        var durable: [Copy] = []
        for copy in copies {
            do throws(DiskError) {
                try copy.writer.sync()
                durable.append(copy)
            } catch {
                copy.writer.abandon()
                noteFailure(copy.segment, StoreError(error))
            }
        }
        if durable.isEmpty { return [] }
        do throws(DiskError) {
            try disk.syncDirectory(log.directory)
        } catch {
            for copy in durable {
                copy.writer.abandon()
                noteFailure(copy.segment, StoreError(error))
            }
            return []
        }
        return durable
    }

    private func noteFailure(_ segment: UInt32, _ error: StoreError) {
        counters.withLock { $0.rewritesFailed += 1 }
        // For lack of space it is tried again; a segment that cannot be read is left alone until the next start.
        if error.kind == .noSpace { lacksSpace = true } else { unreadable.insert(segment) }
        controller.logManager.report(.log(.note(error)))
    }

    /// Sealed, before the checkpoint, and not known to be unreadable. With `structure` held.
    func isEligible(_ segment: UInt32) -> Bool {
        segment < controller.state.checkpoint.position.segment && !unreadable.contains(segment)
    }

    private func copy(
        _ segment: UInt32, _ known: SegmentGarbage, _ dead: [UInt32], _ generation: UInt32
    ) throws(StoreError) -> SegmentWriter {
        let writer: SegmentWriter
        do {
            writer = try SegmentWriter(
                disk: disk, directory: log.directory, storeId: log.storeId, segment: segment,
                generation: generation, createdMilliseconds: log.clock.milliseconds())
        } catch {
            throw StoreError(error)
        }
        do throws(StoreError) {
            let list = known.known.flatMap { DiscardChunk.decode($0) }
            let records = SegmentRecords(
                disk: disk, directory: log.directory, storeId: log.storeId, segment: segment,
                generation: known.generation, known: list?.sorted())
            var at = 0
            var seen = 0
            var skipped = 0
            try records.visit { (logical, record) throws(StoreError) in
                seen += 1
                while at < dead.count && Int(dead[at]) < logical { at += 1 }
                if at < dead.count && Int(dead[at]) == logical {
                    skipped += 1
                    return
                }
                do throws(DiskError) {
                    if try writer.add(record, logical: logical) { budget.take(1 << 20) }
                } catch {
                    throw StoreError(error)
                }
                if cancelled.load(ordering: .relaxed) { throw StoreError(.invalid, "the store is closing") }
            }
            // Both ends of the account must meet before anything is thrown away.
            guard skipped == dead.count || known.mayLackDead, UInt64(seen) == known.valueCount else {
                throw StoreError(
                    .corruption,
                    "\(seen) values found, \(skipped) of them dead; the manifest says \(known.valueCount) and "
                        + "\(dead.count)", path: log.files.path(segment))
            }
            do throws(DiskError) { try writer.finish() } catch { throw StoreError(error) }
        } catch {
            writer.abandon()
            throw error
        }
        return writer
    }

    /// Removes files of older generations that nobody reads any more.
    func removeReplaced() {
        if replaced.isEmpty { return }
        let horizon = controller.logManager.horizon.horizon
        for (path, _) in replaced.filter({ $0.shownFrom <= horizon }) { controller.janitor.remove(path) }
        replaced.removeAll { $0.shownFrom <= horizon }
    }
}

// The third rung: what is live of a segment moves to a new file of the same segment number, one generation up. Pointers
// in tables stay as they are; the new file's map leads them. Nobody is asked what is live: everything is that the
// manifest does not list as dead, or lists as dead while somebody may still look at it.
//
// Order: the new file whole and durable -> the edit "segment s is generation g + 1" -> readers get the new file -> the
// old one goes when the last view from before is gone. A key that is deleted or overwritten meanwhile only adds to the
// list of dead records, whose offsets hold for every generation.

import Synchronization
import ValkBase
import ValkDisk

extension GarbageCollector {
    /// Rewrites one segment. Returns false when there was nothing to do or it could not be done; that is no fault of
    /// the store. Throws when the manifest cannot be written. With `gate` held.
    func rewrite(_ segment: UInt32) throws(StoreError) -> Bool {
        // While this is held the segment's file neither goes nor changes.
        guard let hold = controller.segments.holdIfHeld(segment) else { return false }
        defer { withExtendedLifetime(hold) {} }
        let horizon = controller.logManager.horizon.horizon
        let known = controller.structure.withLock { () -> SegmentGarbage? in
            guard isEligible(segment) else { return nil }
            return controller.state.garbage[segment]
        }
        guard let known else { return false }
        let generation = max(known.generation, tried[segment] ?? 0) + 1
        let effective = known.effectiveChunks(horizon)
        let dead = known.deadOffsets(effective)

        let writer: SegmentWriter
        do {
            writer = try copy(segment, known, dead, generation)
        } catch {
            counters.withLock { $0.rewritesFailed += 1 }
            // For lack of space it is tried again; a segment that cannot be read is left alone until the next start.
            if error.kind == .noSpace { lacksSpace = true } else { unreadable.insert(segment) }
            controller.logManager.report(.log(.note(error)))
            return false
        }
        _ = controller.atSeam?(.segmentCopied)
        let oldPath = log.files.path(segment)
        try controller.structure.withLock { () throws(StoreError) in
            guard let now = controller.state.garbage[segment], now.generation == known.generation else {
                preconditionFailure("segment \(segment) was rewritten by somebody else")
            }
            let next = SegmentGarbage(
                generation: generation, valueBytes: UInt64(writer.recordBytes),
                valueCount: UInt64(writer.recordCount), chunks: Array(now.chunks.dropFirst(effective)))
            do throws(StoreError) {
                try controller.note([.garbage(.segment(segment, next))])
            } catch {
                // The edit may be there after all: the file stays for now, and its name is not used again.
                controller.stranded.append(writer.path)
                tried[segment] = generation
                throw error
            }
            log.files.replace(segment, generation: next.generation)
        }
        controller.logManager.renewView()
        replaced.append((oldPath, controller.logManager.generation))
        sizes[segment] = nil
        forgetHoles(segment)
        counters.withLock {
            $0.segmentsRewritten += 1
            $0.bytesMoved += UInt64(writer.fileBytes)
        }
        removeReplaced()
        return true
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
            guard skipped == dead.count, UInt64(seen) == known.valueCount else {
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

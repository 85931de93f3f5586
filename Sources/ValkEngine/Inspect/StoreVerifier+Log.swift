// The verification of the log: each segment by itself, the chain of frames across them, and the replay of a start.
//
// The chain, from segment to segment: the first frame of each names the end of the last frame before it. A segment in
// between may have been removed when nothing in it was live, so a name that leads to a segment which is gone is right;
// one that leads anywhere else than to the last whole frame of the segment before means that frames were lost. Not so
// behind the end that a start finds: of what was never synced a crash may leave later segments without earlier ones.
// Whether that end is right is the replay's to say.

import ValkBase
import ValkDisk

extension StoreVerifier {
    func checkLog(_ state: ManifestState?) {
        var storeId: StoreId?
        if let identity = state?.identity { storeId = StoreId(high: identity.idHigh, low: identity.idLow) }
        var before: SegmentSummary?
        var isUnbroken = true
        var breaks: [(before: SegmentSummary, next: SegmentSummary)] = []
        let present = Set(folder.segments.map(\.number))
        for segment in folder.segments {
            let path = folder.path(segment)
            defer { advance(size(path), path) }
            do throws(StoreError) {
                var walk = try SegmentWalk(
                    disk: disk, directory: folder.logDirectory, segment: segment, storeId: storeId,
                    known: folder.known(segment.number))
                try walk.run()
                take(walk.summary)
                if walk.isLoose {
                    // It has no frames that the next one could continue.
                    before = nil
                } else if walk.summary.frames > 0 {
                    if let before, isUnbroken, breaksChain(before, walk.summary, present) {
                        breaks.append((before, walk.summary))
                    }
                    before = walk.summary
                    isUnbroken = true
                }
            } catch {
                report.error(error, in: path)
                isUnbroken = false
            }
        }
        var end: LogPosition?
        if let state, let storeId { end = checkReplay(state, storeId) }
        for (before, next) in breaks where end.map({ before.endPosition < $0 }) ?? true {
            reportBreak(before, next)
        }
    }

    private func take(_ summary: SegmentSummary) {
        report.segments += 1
        report.frames += summary.frames
        report.records += summary.records
        for fault in summary.faults {
            let isHeader = fault.offset < LogFormat.segmentHeaderBytes
            if isHeader {
                report.note(fault.message, summary.path, fault.offset)
            } else {
                report.error(fault.message, summary.path, fault.offset)
            }
        }
        let reason = summary.stop.map { ": " + $0.reason } ?? ""
        if summary.syncedBehind > summary.endPosition {
            report.error(
                "frames are damaged or missing here\(reason); a later frame shows that the log was durable up to "
                    + "\(summary.syncedBehind)", summary.path, summary.end)
        } else if let stop = summary.stop {
            report.note("torn frame: \(stop.reason)", summary.path, stop.offset)
        } else if summary.framesBehind > 0 {
            report.note("a write before later ones is missing", summary.path, summary.end)
        }
    }

    private func breaksChain(_ before: SegmentSummary, _ next: SegmentSummary, _ present: Set<UInt32>) -> Bool {
        guard let named = next.firstPreviousEnd, named != before.endPosition else { return false }
        return named.segment <= before.number || named.segment >= next.number || present.contains(named.segment)
    }

    private func reportBreak(_ before: SegmentSummary, _ next: SegmentSummary) {
        guard let named = next.firstPreviousEnd else { return }
        report.error(
            "the segment's whole frames end here, but segment \(next.number) goes on from \(named)", before.path,
            before.end)
        if next.firstSequence != 0 && next.firstSequence <= before.lastSequence {
            report.error(
                "segment begins with sequence \(next.firstSequence), after \(before.lastSequence)", next.path,
                LogFormat.segmentHeaderBytes)
        }
    }

    /// Returns the end that a start finds, nil when there is none.
    private func checkReplay(_ state: ManifestState, _ storeId: StoreId) -> LogPosition? {
        do throws(StoreError) {
            let replay = try LogReplay.run(
                disk: disk, directory: folder.logDirectory, storeId: storeId, from: state.checkpoint.position,
                after: state.checkpoint.sequence, floor: state.durableLog, generations: state.generations
            ) { (_: LogRecord) throws(StoreError) in }
            report.tailRecords = replay.records
            if let torn = replay.tornTail {
                report.note(
                    "torn tail, \(torn.bytes) bytes: \(torn.reason); the next start cuts it", torn.path, torn.offset)
            }
            return replay.resume.end
        } catch {
            report.error(
                "replay: \(error.message)", error.path.isEmpty ? folder.logDirectory : error.path, error.offset)
            return nil
        }
    }
}

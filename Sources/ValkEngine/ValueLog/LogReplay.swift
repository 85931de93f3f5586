// Reading the log after a start: every frame from the checkpoint to the end, in order, and what the end looks like.
//
// How the end is found: frames form a chain (each names the end of the one before), so the log ends at the first place
// x where no whole frame continues the chain, neither at x nor at the start of a later segment. What lies behind x is
// then either a torn tail (writes that were in flight: cut and reported) or damage (refused):
//   - a later frame that was written when something beyond x was known durable proves that x was once whole;
//   - so does a durable floor beyond x that the manifest recorded.
//
// Replay writes nothing. Its result tells `ValueLog` where to go on: always in a new segment, so that nothing behind x
// can seem to continue what is written later. A crash at any time leaves a log that replays to the same records.

import Glibc
import ValkBase
import ValkDisk

package struct LogReplay {
    package struct Report: Sendable {
        package var frames = 0
        package var records = 0
        package var bytes = 0
        /// Sequence of the last record seen, also of those that were skipped; 0 when there was none.
        package var lastSequence: UInt64 = 0
        /// Milliseconds since 1970 when the last frame was written.
        package var lastTimestamp: UInt64 = 0
        package var tornTail: TornTail?
        package var resume = LogResume()
    }

    /// Writes that were in flight at the crash and have been cut off.
    package struct TornTail: Sendable, CustomStringConvertible {
        package var path: String
        package var offset: Int
        package var bytes: Int
        package var reason: String
        package var description: String { "\(bytes) bytes cut from \(path) at offset \(offset): \(reason)" }
    }

    private let disk: any Disk
    private let directory: String
    private let storeId: StoreId
    private let generations: [UInt32: UInt32]?
    private var report = Report()

    /// Reads from `from` (a `ValueLog.replayPosition` of earlier, `.zero` for the very beginning) and hands each record
    /// with a sequence above `after` to `visit`, in log order; a batch's records come together, the last one with
    /// `endsBatch`, and never without the others. `floor`: everything before it was known durable. Throws
    /// `.corruption` with file and offset, `.newerFormat`, `.disk`, or what `visit` throws.
    package static func run(
        disk: any Disk, directory: String, storeId: StoreId, from: LogPosition, after: UInt64 = 0,
        floor: LogPosition = .zero, generations: [UInt32: UInt32]? = nil,
        visit: (LogRecord) throws(StoreError) -> Void
    ) throws(StoreError) -> Report {
        var replay = LogReplay(disk: disk, directory: directory, storeId: storeId, generations: generations)
        try replay.run(from, after, floor, visit)
        return replay.report
    }

    private init(disk: any Disk, directory: String, storeId: StoreId, generations: [UInt32: UInt32]?) {
        self.generations = generations
        self.disk = disk
        self.directory = directory
        self.storeId = storeId
    }

    /// The segments in a directory, in order. `generations` names those above 0 that the manifest knows, others of the
    /// same segments are passed over; without it the highest generation of each counts.
    package static func segments(
        disk: any Disk, directory: String, generations: [UInt32: UInt32]? = nil
    ) throws(StoreError) -> [(number: UInt32, generation: UInt32)] {
        do {
            guard try disk.exists(directory) else { return [] }
            var newest: [UInt32: UInt32] = [:]
            for name in try disk.list(directory) {
                guard let (number, generation) = LogFormat.parseSegmentName(name) else { continue }
                if let generations, generation != generations[number] ?? 0 { continue }
                newest[number] = max(newest[number] ?? 0, generation)
            }
            return newest.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
        } catch {
            throw StoreError(error)
        }
    }

    private mutating func run(
        _ from: LogPosition, _ after: UInt64, _ floor: LogPosition, _ visit: (LogRecord) throws(StoreError) -> Void
    ) throws(StoreError) {
        let all = try LogReplay.segments(disk: disk, directory: directory, generations: generations)
        var used: Set<UInt32> = []
        var position = from
        var stop: Stop?
        if let first = all.first(where: { $0.number == from.segment }) {
            let reader = try open(first)
            if let fault = try reader.headerFault(storeId: storeId) { throw corruption(fault, reader.path, 0) }
            stop = try read(reader, &position, after, visit)
        }
        // The chain goes on in a later segment whose first frame names the end of this one.
        search: while true {
            for next in all where next.number > position.segment {
                let reader = try open(next)
                let fault = try reader.headerFault(storeId: storeId)
                guard let header = try reader.header(at: LogFormat.segmentHeaderBytes), header.previousEnd == position
                else { continue }
                if let fault { throw corruption(fault, reader.path, 0) }
                var start = header.position
                stop = try read(reader, &start, after, visit)
                // Torn in its very first frame: nothing of this segment is kept.
                if start == header.position { break search }
                position = start
                used.insert(next.number)
                continue search
            }
            break
        }
        try judgeTail(all, position, floor, stop)
        finish(all, from, position, used)
    }

    /// Why reading stopped inside a segment.
    private struct Stop {
        var path: String
        var offset: Int
        var reason: String
    }

    private func open(_ segment: (number: UInt32, generation: UInt32)) throws(StoreError) -> SegmentReader {
        try SegmentReader(
            disk: disk, directory: directory, segment: segment.number, generation: segment.generation, storeId: storeId)
    }

    /// Reads whole frames from `position` on and moves it behind them. Returns what the first thing that is no whole
    /// frame looks like, nil when nothing is there.
    private mutating func read(
        _ reader: SegmentReader, _ position: inout LogPosition, _ after: UInt64,
        _ visit: (LogRecord) throws(StoreError) -> Void
    ) throws(StoreError) -> Stop? {
        var isFirst = true
        while true {
            let offset = max(Int(position.offset), LogFormat.segmentHeaderBytes)
            switch try reader.frame(at: offset) {
            case .frame(let header, let bytes):
                guard isFirst || header.previousEnd == position else {
                    throw corruption("frame does not continue the one before it", reader.path, offset)
                }
                guard header.flags == 0 else {
                    throw header.newerFlags(reader.path)
                }
                try deliver(header, bytes, reader.path, after, visit)
                position = header.end
                isFirst = false
            case .broken(_, let inside, let reason):
                return Stop(path: reader.path, offset: offset, reason: "\(reason) (at \(offset + inside))")
            case .nothing:
                return nil
            }
        }
    }

    private mutating func deliver(
        _ header: FrameHeader, _ bytes: ByteView, _ path: String, _ after: UInt64,
        _ visit: (LogRecord) throws(StoreError) -> Void
    ) throws(StoreError) {
        // `frame(at:)` has just proved the values; once is enough.
        var records = FrameRecords(bytes, header, verifiesValues: false)
        while let record = records.next() {
            guard record.sequence > report.lastSequence else {
                throw corruption(
                    "sequence \(record.sequence) after \(report.lastSequence)", path, Int(header.position.offset))
            }
            report.lastSequence = record.sequence
            if record.sequence > after {
                report.records += 1
                try visit(record)
            }
        }
        report.frames += 1
        report.bytes += Int(header.frameBytes)
        report.lastTimestamp = header.timestampMilliseconds
    }

    /// Decides between a torn tail and damage at `end`, the place where the chain breaks.
    private mutating func judgeTail(
        _ all: [(number: UInt32, generation: UInt32)], _ end: LogPosition, _ floor: LogPosition, _ stop: Stop?
    ) throws(StoreError) {
        var cutBytes = 0
        let (path, offset) = place(of: end, all, stop)
        let reason = stop.map { ": " + $0.reason } ?? ""
        if floor > end { throw corruption("log ends here, but it was durable up to \(floor)\(reason)", path, offset) }
        for segment in all where segment.number >= end.segment {
            let reader = try open(segment)
            var at = LogFormat.segmentHeaderBytes
            if segment.number == end.segment { at = max(at, Int(end.offset)) }
            while let header = try reader.nextHeader(from: at) {
                if header.syncedUpTo > end {
                    let proof = "a later frame shows that it was durable up to \(header.syncedUpTo)"
                    throw corruption("log is damaged here\(reason); \(proof)", path, offset)
                }
                cutBytes += min(Int(header.frameBytes), reader.size - Int(header.position.offset))
                at = Int(header.position.offset) + LogFormat.frameHeaderBytes
            }
        }
        if let stop {
            report.tornTail = TornTail(path: stop.path, offset: stop.offset, bytes: cutBytes, reason: stop.reason)
        } else if cutBytes > 0 {
            report.tornTail = TornTail(
                path: path, offset: offset, bytes: cutBytes, reason: "a write before later ones is missing")
        }
    }

    /// The file and offset at which the frame behind `end` was looked for.
    private func place(
        of end: LogPosition, _ all: [(number: UInt32, generation: UInt32)], _ stop: Stop?
    ) -> (String, Int) {
        if let stop { return (stop.path, stop.offset) }
        let segment = all.first { $0.number >= end.segment } ?? (end.segment, 0)
        let offset = segment.number == end.segment ? Int(end.offset) : LogFormat.segmentHeaderBytes
        return (directory + "/" + LogFormat.segmentName(segment.number, generation: segment.generation), offset)
    }

    private mutating func finish(
        _ all: [(number: UInt32, generation: UInt32)], _ from: LogPosition, _ end: LogPosition, _ used: Set<UInt32>
    ) {
        report.resume.end = end
        report.resume.nextSegment = max(all.last?.number ?? 0, end.segment) + 1
        for segment in all {
            if segment.number > from.segment && !used.contains(segment.number) {
                report.resume.discarded.append(segment)
            } else {
                report.resume.segments.append(segment)
                if segment.number >= from.segment { report.resume.unsynced.append(segment) }
            }
        }
    }

    private func corruption(_ message: String, _ path: String, _ offset: Int) -> StoreError {
        StoreError(.corruption, message, path: path, offset: offset)
    }
}

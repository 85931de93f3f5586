// A merge in pieces: which files can stay as they are, because nothing of the group overlaps them, and which key ranges
// have to be rewritten, each of a bounded number of bytes.
//
// Pieces follow one another and cover the range, so each can be published by itself.

import ValkBase

enum MergePiece {
    /// The fragment moves as it is; the range has no other keys.
    case keep(KeyRange, Fragment)
    case rewrite(KeyRange)

    var range: KeyRange {
        switch self {
        case .keep(let range, _), .rewrite(let range): range
        }
    }
}

struct MergePieces {
    /// A piece reads about this much at most.
    var stepBytes: Int
    /// Files below this size are put together with their neighbours.
    var smallBytes: Int
    /// Nothing older lies below: files with deletes are rewritten to be rid of them.
    var isBottom: Bool
    /// Files that do not stay: much in them is dead.
    var mustRewrite: Set<UInt64> = []

    /// Fragments of the group that overlap one another, by key.
    private struct Cluster {
        var fragments: [Fragment]
        var first: [UInt8]
        var bytes: Int
        var isKept: Bool
    }

    func pieces(_ runs: [Run], in range: KeyRange) -> [MergePiece] {
        var clusters = clusters(runs)
        for i in clusters.indices { clusters[i].isKept = isKept(clusters, i) }
        var pieces: [MergePiece] = []
        var at = 0
        var start = range.lower
        while at < clusters.count {
            var end = at + 1
            var bytes = clusters[at].bytes
            // Small neighbours are rewritten together.
            while !clusters[at].isKept, end < clusters.count, !clusters[end].isKept,
                bytes + clusters[end].bytes <= stepBytes
            {
                bytes += clusters[end].bytes
                end += 1
            }
            let piece = KeyRange(lower: start, upper: end < clusters.count ? clusters[end].first : range.upper)
            if clusters[at].isKept {
                pieces.append(.keep(piece, clusters[at].fragments[0]))
            } else {
                pieces += cut(clusters[at..<end].flatMap(\.fragments), piece).map { .rewrite($0) }
            }
            start = piece.upper
            at = end
        }
        return pieces
    }

    private func clusters(_ runs: [Run]) -> [Cluster] {
        let sorted = runs.flatMap(\.fragments).sorted { KeyRange.isBefore($0.first, $1.first) }
        var clusters: [Cluster] = []
        for fragment in sorted {
            if let last = clusters.last, !last.fragments.allSatisfy({ $0.endsBefore(fragment.first) }) {
                clusters[clusters.count - 1].fragments.append(fragment)
                clusters[clusters.count - 1].bytes += fragment.bytes
            } else {
                clusters.append(
                    Cluster(fragments: [fragment], first: fragment.first, bytes: fragment.bytes, isKept: false))
            }
        }
        return clusters
    }

    private func isKept(_ clusters: [Cluster], _ i: Int) -> Bool {
        guard clusters[i].fragments.count == 1 else { return false }
        if mustRewrite.contains(clusters[i].fragments[0].file.id) { return false }
        if isBottom && clusters[i].fragments[0].file.record.tombstones > 0 { return false }
        if clusters[i].bytes >= smallBytes { return true }
        // Alone among large ones it may as well stay.
        let isSmallBefore = i > 0 && clusters[i - 1].bytes < smallBytes
        let isSmallAfter = i + 1 < clusters.count && clusters[i + 1].bytes < smallBytes
        return !isSmallBefore && !isSmallAfter
    }

    /// `range` in parts of about `stepBytes` each.
    private func cut(_ fragments: [Fragment], _ range: KeyRange) -> [KeyRange] {
        let bytes = fragments.reduce(0) { $0 + $1.bytes }
        if bytes <= stepBytes { return [range] }
        var parts: [KeyRange] = []
        var rest = range
        for key in MergePieces.cuts(fragments, parts: 4 * bytes / stepBytes)
        where rest.contains(key) && key != rest.lower {
            let part = KeyRange(lower: rest.lower, upper: key)
            if MergePieces.bytes(fragments, in: part) < stepBytes { continue }
            parts.append(part)
            rest.lower = key
        }
        return parts + [rest]
    }

    static func bytes(_ fragments: [Fragment], in range: KeyRange) -> Int {
        fragments.reduce(0) { $0 + ($1.clipped(to: range)?.bytes ?? 0) }
    }

    /// Keys at which these fragments can be cut, in order: where files begin, and places inside of large ones, so that
    /// there are at least about `parts`.
    static func cuts(_ fragments: [Fragment], parts: Int) -> [[UInt8]] {
        let bytes = fragments.reduce(0) { $0 + $1.bytes }
        let step = max(1, bytes / max(1, parts))
        var keys = Set<[UInt8]>()
        for fragment in fragments {
            keys.insert(fragment.first)
            let count = Int(fragment.file.record.bytes) / step
            if count < 1 { continue }
            for key in fragment.file.table.cuts(count + 1)
            where fragment.clipped(to: KeyRange(lower: key)) != nil && KeyRange.isBefore(fragment.first, key) {
                keys.insert(key)
            }
        }
        return keys.sorted { KeyRange.isBefore($0, $1) }
    }
}

extension Bucket {
    /// Where to split this leaf: a key with about `share` of the bytes in front of it, shortened. Nil when there is no
    /// place.
    func splitKey(_ share: Double) -> [UInt8]? {
        let fragments = runs.flatMap(\.fragments)
        let goal = Double(bytes) * share
        var best: [UInt8]?
        var bestDistance = Double.infinity
        for key in MergePieces.cuts(fragments, parts: 32) where key != range.lower && range.contains(key) {
            let front = Double(MergePieces.bytes(fragments, in: KeyRange(lower: range.lower, upper: key)))
            if front == 0 || abs(front - goal) >= bestDistance { continue }
            bestDistance = abs(front - goal)
            best = key
        }
        return best.map { shortened($0, fragments) }
    }

    /// The shortest key that is still after all that ends before `key`.
    private func shortened(_ key: [UInt8], _ fragments: [Fragment]) -> [UInt8] {
        var shared = 0
        for fragment in fragments {
            // A file that has keys on both sides is cut where it was planned.
            if !fragment.endsBefore(key) && KeyRange.isBefore(fragment.first, key) { return key }
            if fragment.endsBefore(key) {
                let end = fragment.range.upper.isEmpty ? fragment.file.record.largest : fragment.range.upper
                shared = max(shared, zip(end, key).prefix { $0 == $1 }.count)
            }
        }
        shared = max(shared, zip(range.lower, key).prefix { $0 == $1 }.count)
        return Array(key.prefix(shared + 1))
    }

    /// Keys come in ascending order here: what is newest lies behind all that is older.
    var isAppendedTo: Bool {
        let fragments = runs.flatMap(\.fragments)
        guard let newest = fragments.max(by: { $0.file.record.sequenceMax < $1.file.record.sequenceMax }) else {
            return false
        }
        return fragments.allSatisfy { $0.file === newest.file || $0.endsBefore(newest.first) }
    }
}

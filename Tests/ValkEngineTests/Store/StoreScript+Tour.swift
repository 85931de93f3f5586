// A script that comes by all that a store ever does to its disk, where random ones come by most of it only now and
// then: the tree grows, is merged, split and joined, a namespace is dropped with its table, segments get holes, are
// rewritten, die and are used again, a backup is made, the manifest is rolled over, and each of its three lives ends in
// its own way. What the seed chooses are values and their sizes, and which writes are acknowledged at once.

import Testing
import ValkBase
import ValkDisk
import ValkTestSupport

@testable import ValkEngine

/// What a store can be at when its disk is asked for something.
enum StoreWork: String, CaseIterable, Sendable {
    case open, commit, close, flush, backup
    /// Jobs on the tree; `jobs` is what lies between them.
    case jobs, push, merge, split, join
    /// A flush whose range deletion covers a whole table, which goes.
    case tableDrop
    /// A round of the garbage collector; and its rungs.
    case collect, rewrite, punch
    /// A segment in which nothing lives: its file becomes a spare, or goes.
    case segmentDrop
    /// A spare becomes a segment.
    case recycle
    case manifestRoll
}

extension StoreScript {
    /// The whole tour. `backups`: names for backups begin so.
    func tour(backups: String = "/backup") throws {
        try open()
        try growTree()
        try joinTree()
        try dropTable()
        try doing(.backup) { try $0.backup(to: backups + "-0") }
        // What the process leaves behind, written and not synced, is for the next start to make durable.
        try put([0, 0, 0, 1, 1], 0..<8, 40...60)
        abandon()
        try open()
        try makeHoles()
        try rewriteSegments()
        try replaceSegments()
        try doing(.backup) { try $0.backup(to: backups + "-1") }
        try close()
        try open()
        try put([0, 0, 0, 1, 1], 0..<6, 40...60)
        try flush()
        try collect()
        try close()
    }

    /// Puts keys of a space, a few in each batch.
    private func put(_ space: [UInt8], _ numbers: some Sequence<Int>, _ bytes: ClosedRange<Int>) throws {
        var batch = WriteBatch()
        var state = promises.state
        var values: [[UInt8]] = []
        func send() throws {
            guard let store, !batch.isEmpty else { return }
            try commit(batch, state, store)
            batch = WriteBatch()
            values = []
        }
        for number in numbers {
            let key = space + Array("key:\(number)".utf8)
            let count = bytes.lowerBound + random.below(bytes.count)
            // Not to be compressed: sizes are what this is about.
            var value = [UInt8](repeating: 0, count: count)
            for i in value.indices { value[i] = UInt8(truncatingIfNeeded: random.next()) }
            values.append(value)
            key.withView { k in value.withView { batch.put(k, tag: 1, value: $0, prior: .unknown) } }
            state[key] = ModelValue(tag: 1, expireAt: 0, bytes: value)
            if random.oneIn(4) { try send() }
        }
        try send()
    }

    private func delete(_ space: [UInt8]) throws {
        guard let store else { return }
        var state = promises.state
        let batch = WriteBatch()
        for key in state.keys.sorted(by: { KeyRange.isBefore($0, $1) }) where key.starts(with: space) {
            key.withView { batch.delete($0, prior: .present(hadExpiry: false)) }
            state[key] = nil
        }
        try commit(batch, state, store)
    }

    private func settle() throws {
        try doing(.jobs) { while try $0.controller.mergeOnce() {} }
    }

    /// Files of disjoint ranges make leaves, files over them are pushed and merged.
    private func growTree() throws {
        let spaces: [[UInt8]] = [[0, 0, 0, 1, 1], [0, 0, 0, 2, 1], [0, 0, 0, 2, 3]]
        for _ in 0..<2 {
            for space in spaces {
                try put(space, 0..<24, 40...60)
                try flush()
                try settle()
            }
        }
    }

    /// A leaf is emptied and its neighbour takes its range.
    private func joinTree() throws {
        try delete([0, 0, 0, 2, 3])
        try flush()
        try doing(.jobs) { try $0.mergeAll() }
        try settle()
    }

    /// A namespace with a table of its own, and values in the log, is deleted.
    private func dropTable() throws {
        try put([0, 0, 0, 3, 1], 0..<12, 100...200)
        try flush()
        try settle()
        try dropNamespace()
        guard let store else { return }
        let before = Set(store.controller.state.tables.keys)
        try doing(.tableDrop) { try $0.flushTables() }
        // Flushes remove none otherwise.
        #expect(!before.isSubset(of: store.controller.state.tables.keys))
        try collect()
    }

    /// Large values die in the middle of segments, about one in each: more holes would be dearer than a rewrite.
    private func makeHoles() throws {
        try put([0, 0, 0, 1, 1], 0..<20, 14_000...16_000)
        try flush()
        try put([0, 0, 0, 1, 1], stride(from: 1, to: 20, by: 4), 14_000...16_000)
        try flush()
        try doing(.jobs) { try $0.mergeAll() }
        try collect()
    }

    /// Small values die here and there in segments.
    private func rewriteSegments() throws {
        try put([0, 0, 0, 2, 1], 0..<24, 2800...3000)
        try put([0, 0, 0, 2, 3], 0..<24, 2800...3000)
        try flush()
        try put([0, 0, 0, 2, 1], stride(from: 0, to: 24, by: 2), 2800...3000)
        try put([0, 0, 0, 2, 3], stride(from: 0, to: 24, by: 2), 2800...3000)
        try flush()
        try doing(.jobs) { try $0.mergeAll() }
        try collect()
    }

    /// All that segments held dies, and new ones are needed.
    private func replaceSegments() throws {
        for _ in 0..<2 {
            try put([0, 0, 0, 1, 1], 0..<20, 14_000...16_000)
            try flush()
            try doing(.jobs) { try $0.mergeAll() }
            try collect()
        }
        try put([0, 0, 0, 1, 1], 0..<20, 14_000...16_000)
    }
}

// MAXLEN, MINID and LIMIT, as XADD and XTRIM take them, and the removal of the oldest entries.
//
// With `~` Redis removes whole nodes only. Valk has none, but removes what would be whole nodes: all of
// `stream-node-max-entries` entries, counted from the first entry ever, and no more than LIMIT.

import ValkBase
import ValkData
import ValkEngine
import ValkRESP

struct StreamTrim {
    enum Strategy {
        case length(Int)
        case id(StreamID)
    }

    private(set) var strategy: Strategy?
    private var isRough = false
    private var limit: Int?

    /// Reads one option at `index`, and moves it to the option's last argument. Nil after an error reply; false when it
    /// is none of these.
    mutating func read(_ c: CommandContext, _ index: inout Int) -> Bool? {
        let more = c.args.count - index - 1
        let isLength = c.isWord(index, "maxlen")
        if more >= 1 && (isLength || c.isWord(index, "minid")) {
            if strategy != nil {
                c.fail("ERR syntax error, MAXLEN and MINID options at the same time are not compatible")
                return nil
            }
            isRough = false
            if more >= 2 && c.isExactly(index + 1, "~") {
                isRough = true
                index += 1
            } else if more >= 2 && c.isExactly(index + 1, "=") {
                index += 1
            }
            index += 1
            if isLength {
                guard let length = c.integer(index) else { return nil }
                if length < 0 {
                    c.fail("ERR The MAXLEN argument must be >= 0.")
                    return nil
                }
                strategy = .length(Int(length))
            } else {
                guard let id = c.streamID(index) else { return nil }
                strategy = .id(id)
            }
            return true
        }
        if more >= 1 && c.isWord(index, "limit") {
            index += 1
            guard let value = c.integer(index) else { return nil }
            if value < 0 {
                c.fail("ERR The LIMIT argument must be >= 0.")
                return nil
            }
            limit = Int(value)
            return true
        }
        return false
    }

    /// Whether the options fit together; false after an error reply.
    func isSound(_ c: CommandContext, mustTrim: Bool) -> Bool {
        if limit != nil && limit != 0 && strategy == nil {
            c.fail("ERR syntax error, LIMIT cannot be used without specifying a trimming strategy")
            return false
        }
        if mustTrim && strategy == nil {
            c.fail("ERR syntax error, XTRIM must be called with a trimming strategy")
            return false
        }
        if limit != nil && !isRough {
            c.fail("ERR syntax error, LIMIT cannot be used without the special ~ option")
            return false
        }
        return true
    }

    /// Removes what is too old. Returns how many entries that were. The stream is not saved.
    func run(_ c: CommandContext, _ stream: inout Collection) throws(Interruption) -> Int {
        guard let strategy, stream.count > 0 else { return 0 }
        var most = stream.count
        if case .length(let length) = strategy {
            most = max(0, stream.count - length)
            if isRough { most = whole(c, stream, most) }
        }
        if most == 0 { return 0 }
        var ids: [StreamID] = []
        do {
            var walk = try StreamEntries.walk(c, stream)
            try walk.seekToFirst()
            while walk.isValid && ids.count < most {
                let id = StreamEntries.id(walk)
                if case .id(let least) = strategy, id >= least { break }
                ids.append(id)
                if ids.count < most { try walk.next() }
            }
        }
        if isRough, case .id = strategy { ids.removeLast(ids.count - whole(c, stream, ids.count)) }
        for (i, id) in ids.enumerated() {
            try c.yieldAfter(i)
            c.keys.remove(&stream, c.keys.element.entry(id))
        }
        stream.count -= ids.count
        if let next = ids.last?.next { stream.firstBound = next }
        return ids.count
    }

    /// How many of the first `most` entries fill whole nodes, within the limit.
    private func whole(_ c: CommandContext, _ stream: borrowing Collection, _ most: Int) -> Int {
        let size = c.encodings.streamNodeEntries == 0 ? Int.max : c.encodings.streamNodeEntries
        var limit = limit ?? (size > 10_000 ? 10_000 : size * 100)
        if limit == 0 { limit = Int.max }
        let before = max(0, Int(stream.added) - stream.count) % size
        var removed = 0
        var node = min(size - before, stream.count)
        while node > 0 && removed + node <= most && removed + node <= limit {
            removed += node
            node = min(size, stream.count - removed)
        }
        return removed
    }
}

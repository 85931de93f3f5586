// How far a group has come in its stream: entries that it has read, and those that it still has to (the lag). Both are
// known only where no entry was deleted in between; the rules are those of Redis 7.0.

import ValkBase
import ValkData
import ValkEngine

struct StreamProgress {
    private let first: StreamID?
    private let last: StreamID
    private let deleted: StreamID
    private let added: Int64
    private let count: Int

    init(_ c: CommandContext, _ stream: borrowing Collection) throws(Interruption) {
        first = try StreamEntries.edge(c, stream, isFirst: true)
        last = stream.lastID
        deleted = stream.deletedID
        added = stream.added
        count = stream.count
    }

    /// Whether an entry behind `id` may have been deleted.
    private func hasGaps(from id: StreamID) -> Bool {
        count > 0 && deleted != .zero && id <= deleted
    }

    /// How many entries were added up to `id`; nil where that is not known.
    private func read(upTo id: StreamID) -> Int64? {
        if added == 0 { return 0 }
        guard let first else { return id <= last ? added : nil }
        if id == last { return added }
        if id > last { return nil }
        if deleted == .zero || deleted < first {
            if id < first { return added - Int64(count) }
            if id == first { return added - Int64(count) + 1 }
        }
        return nil
    }

    /// Notes in `group` that the entry `id` was given out.
    func advance(_ group: inout StreamGroup, to id: StreamID) {
        if id <= group.lastID { return }
        if group.entriesRead != -1 && !hasGaps(from: id) {
            group.entriesRead += 1
        } else if added > 0 {
            group.entriesRead = read(upTo: id) ?? -1
        }
        group.lastID = id
    }

    /// Entries that a group has not got yet; nil where that is not known.
    func lag(_ group: StreamGroup) -> Int64? {
        if added == 0 { return 0 }
        if group.entriesRead != -1 && !hasGaps(from: group.lastID) { return added - group.entriesRead }
        return read(upTo: group.lastID).map { added - $0 }
    }
}

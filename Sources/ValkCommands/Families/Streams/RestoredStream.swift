// A stream out of the payload of RESTORE: its entries, its groups with their consumers, and what these have not
// acknowledged.

import ValkBase
import ValkData
import ValkEngine
import ValkRESP

struct RestoredStream: ~Copyable {
    private let c: CommandContext
    private var stream: Collection
    private var first: StreamID?
    private var group: (name: ByteView, group: StreamGroup)?
    private var consumer: (name: ByteView, consumer: StreamConsumer)?
    /// Of the group: given out, but not to whom.
    private var pending: [StreamID: (deliveredAt: UInt64, deliveries: UInt64)] = [:]
    private var isTooLong = false

    private init(_ c: CommandContext, _ stream: Collection) {
        self.c = c
        self.stream = stream
    }

    /// The stream that a payload holds, for the key `key`, not saved yet; nil after an error reply. What was written
    /// must be taken back where it is not saved.
    static func read(
        _ c: CommandContext, _ payload: ByteView, _ key: ByteView
    ) throws(Interruption) -> Collection? {
        guard var reader = RDBStreamReader(payload, allocate: { c.keys.allocate($0) }) else {
            TransferCommands.failFormat(c)
            return nil
        }
        var restored = RestoredStream(c, try c.keys.freshCollection(key, .stream))
        var count = 0
        let isWhole = try reader.forEach { part throws(Interruption) in
            count += 1
            try c.yieldAfter(count)
            return try restored.add(part)
        }
        if isWhole, try restored.endGroup() { return restored.stream }
        if restored.isTooLong { c.fail(ErrorText.elementTooLong) } else { TransferCommands.failFormat(c) }
        return nil
    }

    private mutating func fits(_ name: ByteView) -> Bool {
        if c.keys.fitsElement(name) { return true }
        isTooLong = true
        return false
    }

    private mutating func add(_ part: RDBStreamPart) throws(Interruption) -> Bool {
        switch part {
        case .entry(let id, let fields):
            if first == nil { first = id }
            try c.keys.put(&stream, c.keys.element.entry(id), StreamFields.stored(fields, c.keys), isNew: true)
            stream.count += 1
        case .state(let last, let deleted, let added):
            stream.lastID = last
            stream.deletedID = deleted ?? .zero
            stream.added = added.map { Int64($0) } ?? Int64(stream.count)
        case .group(let name, let last, let entriesRead):
            guard fits(name), try endGroup(), try !c.keys.has(stream, c.keys.element.group(name)) else { return false }
            group = (
                name, StreamGroup(number: stream.nextGroup, lastID: last, entriesRead: entriesRead ?? estimate(last))
            )
            stream.nextGroup += 1
            stream.groupCount += 1
        case .pending(let id, let deliveredAt, let deliveries):
            return pending.updateValue((deliveredAt, deliveries), forKey: id) == nil
        case .consumer(let name, let seenAt):
            try endConsumer()
            guard fits(name), let number = group?.group.number, let next = group?.group.nextConsumer,
                try !c.keys.has(stream, c.keys.element.consumer(number, name))
            else { return false }
            consumer = (name, StreamConsumer(number: next, seenAt: seenAt))
            group?.group.nextConsumer += 1
            group?.group.consumers += 1
        case .owned(let id):
            guard let given = pending.removeValue(forKey: id), let number = group?.group.number, let consumer else {
                return false
            }
            let entry = PendingEntry(
                deliveredAt: given.deliveredAt, deliveries: given.deliveries, consumer: consumer.consumer.number,
                name: consumer.name.array)
            try c.keys.put(&stream, c.keys.element.pending(number, id), entry.write(c.keys), isNew: true)
            try c.keys.put(
                &stream, c.keys.element.owned(number, consumer.consumer.number, id), .empty, isNew: true)
            self.consumer?.consumer.pending += 1
            group?.group.pending += 1
        }
        return true
    }

    private mutating func endConsumer() throws(Interruption) {
        guard let (name, done) = consumer, let number = group?.group.number else { return }
        try c.keys.put(&stream, c.keys.element.consumer(number, name), done.write(c.keys), isNew: true)
        consumer = nil
    }

    /// False where something was given out to nobody.
    private mutating func endGroup() throws(Interruption) -> Bool {
        try endConsumer()
        if !pending.isEmpty { return false }
        guard let (name, done) = group else { return true }
        try c.keys.put(&stream, c.keys.element.group(name), done.write(c.keys), isNew: true)
        group = nil
        return true
    }

    /// How many entries a group has read, where its last id tells: forms before 7.0 do not say.
    private func estimate(_ last: StreamID) -> Int64 {
        if stream.added == 0 { return 0 }
        if last == stream.lastID || stream.count == 0 && last < stream.lastID { return stream.added }
        guard last < stream.lastID, let first else { return -1 }
        return last < first ? 0 : last == first ? 1 : -1
    }
}

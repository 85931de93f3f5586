// Consumer groups: one of them open in a transaction, with those of its consumers that are touched. What is changed is
// written by `save`, and the stream must be saved afterwards.

import ValkBase
import ValkData
import ValkEngine
import ValkRESP

struct OpenGroup {
    private struct Held {
        let name: [UInt8]
        var consumer: StreamConsumer
        var isNew = false
        var isChanged = false
    }

    let name: ByteView
    var group: StreamGroup
    private var held: [UInt32: Held] = [:]
    private var numbers: [[UInt8]: UInt32] = [:]

    /// Nil when the stream has no such group.
    init?(_ c: CommandContext, _ stream: borrowing Collection, _ name: ByteView) throws(Interruption) {
        if stream.groupCount == 0 || !c.keys.fitsElement(name) { return nil }
        guard let value = try c.keys.find(stream, c.keys.element.group(name))?.value else { return nil }
        guard let group = StreamGroup(value) else { throw .damaged }
        self.name = name
        self.group = group
    }

    /// A new one; `groupCount` and `nextGroup` are kept.
    init(_ stream: inout Collection, _ name: ByteView, _ last: StreamID, _ entriesRead: Int64) {
        self.name = name
        group = StreamGroup(number: stream.nextGroup, lastID: last, entriesRead: entriesRead)
        stream.nextGroup += 1
        stream.groupCount += 1
    }

    func save(_ c: CommandContext, _ stream: inout Collection, isNew: Bool = false) throws(Interruption) {
        for held in held.values where held.isChanged || held.isNew {
            let value = held.consumer.write(c.keys)
            let key = held.name.withView { c.keys.element.consumer(group.number, $0) }
            try c.keys.put(&stream, key, value, isNew: held.isNew)
        }
        try c.keys.put(&stream, c.keys.element.group(name), group.write(c.keys), isNew: isNew)
    }

    // MARK: Consumers

    /// The number of the consumer called `name`; nil when there is none.
    mutating func consumer(
        _ c: CommandContext, _ stream: borrowing Collection, _ name: ByteView
    ) throws(Interruption) -> UInt32? {
        if let number = numbers[name.array] { return number }
        if !c.keys.fitsElement(name) { return nil }
        guard let value = try c.keys.find(stream, c.keys.element.consumer(group.number, name))?.value else {
            return nil
        }
        guard let consumer = StreamConsumer(value) else { throw .damaged }
        held[consumer.number] = Held(name: name.array, consumer: consumer)
        numbers[name.array] = consumer.number
        return consumer.number
    }

    /// The same; a new one where there is none, and the event that it was made.
    mutating func consumerToUse(
        _ c: CommandContext, _ stream: borrowing Collection, _ name: ByteView, at key: ByteView
    ) throws(Interruption) -> UInt32 {
        if let number = try consumer(c, stream, name) {
            held[number]?.consumer.seenAt = c.now
            held[number]?.isChanged = true
            return number
        }
        c.notify(.xgroupCreateconsumer, key)
        return makeConsumer(c, name)
    }

    mutating func makeConsumer(_ c: CommandContext, _ name: ByteView) -> UInt32 {
        let number = group.nextConsumer
        group.nextConsumer += 1
        group.consumers += 1
        held[number] = Held(name: name.array, consumer: StreamConsumer(number: number, seenAt: c.now), isNew: true)
        numbers[name.array] = number
        return number
    }

    func name(of consumer: UInt32) -> [UInt8] { held[consumer]?.name ?? [] }

    func pendingCount(of consumer: UInt32) -> Int { Int(held[consumer]?.consumer.pending ?? 0) }

    private mutating func change(
        _ c: CommandContext, _ stream: Collection, _ number: UInt32, _ name: [UInt8], _ difference: Int
    ) throws(Interruption) {
        if held[number] == nil {
            _ = try name.withViewTyped { name throws(Interruption) in try consumer(c, stream, name) }
        }
        guard let count = held[number]?.consumer.pending else { throw .damaged }
        held[number]?.consumer.pending = UInt64(max(0, Int(count) + difference))
        held[number]?.isChanged = true
    }

    // MARK: Pending entries

    func pending(
        _ c: CommandContext, _ stream: borrowing Collection, _ id: StreamID
    ) throws(Interruption) -> PendingEntry? {
        if group.pending == 0 { return nil }
        guard let value = try c.keys.find(stream, c.keys.element.pending(group.number, id))?.value else { return nil }
        guard let entry = PendingEntry(value) else { throw .damaged }
        return entry
    }

    /// Gives an entry to a consumer; `old` is what was pending of it.
    mutating func give(
        _ c: CommandContext, _ stream: inout Collection, _ id: StreamID, to consumer: UInt32, at time: UInt64,
        deliveries: UInt64, old: PendingEntry?
    ) throws(Interruption) {
        let entry = PendingEntry(
            deliveredAt: time, deliveries: deliveries, consumer: consumer, name: name(of: consumer))
        try c.keys.put(
            &stream, c.keys.element.pending(group.number, id), entry.write(c.keys), isNew: old == nil)
        if let old, old.consumer != consumer {
            c.keys.remove(&stream, c.keys.element.owned(group.number, old.consumer, id))
            try change(c, stream, old.consumer, old.name, -1)
        }
        if old == nil || old?.consumer != consumer {
            try c.keys.put(&stream, c.keys.element.owned(group.number, consumer, id), .empty, isNew: true)
            try change(c, stream, consumer, entry.name, 1)
        }
        if old == nil { group.pending += 1 }
    }

    mutating func forget(
        _ c: CommandContext, _ stream: inout Collection, _ id: StreamID, _ old: PendingEntry
    ) throws(Interruption) {
        c.keys.remove(&stream, c.keys.element.pending(group.number, id))
        c.keys.remove(&stream, c.keys.element.owned(group.number, old.consumer, id))
        group.pending -= 1
        try change(c, stream, old.consumer, old.name, -1)
    }

    /// Shows what is pending from `first` through `last`, of one consumer or of all, until `body` says false.
    func forEachPending(
        _ c: CommandContext, _ stream: borrowing Collection, from first: StreamID = .zero,
        through last: StreamID = .max, of consumer: UInt32? = nil,
        _ body: (StreamID, PendingEntry) throws(Interruption) -> Bool
    ) throws(Interruption) {
        if group.pending == 0 || first > last { return }
        let lower = c.keys.elementBound(32)
        let upper = c.keys.elementBound(32)
        let number = group.number
        let from: ElementKey
        let to: ElementKey
        if let consumer {
            from = lower.owned(number, consumer, first)
            if let next = last.next {
                to = upper.owned(number, consumer, next)
            } else {
                to = consumer < .max ? upper.owned(number, consumer + 1, .zero) : upper.end(ElementKind.owned, number)
            }
        } else {
            from = lower.pending(number, first)
            to = last.next.map { upper.pending(number, $0) } ?? upper.end(ElementKind.pending, number)
        }
        var walk = try ElementWalk(c.keys, stream, from: from, to: to)
        try walk.seekToFirst()
        while walk.isValid {
            let id = StreamID(walk.key, at: consumer == nil ? 5 : 9)
            let entry = try consumer == nil ? PendingEntry(walk.value()) : pending(c, stream, id)
            guard let entry else { throw .damaged }
            if try !body(id, entry) { return }
            try walk.next()
        }
    }

    /// Removes the group with all that it has. The stream is not saved.
    func destroy(_ c: CommandContext, _ stream: inout Collection) throws(Interruption) {
        for kind in [ElementKind.consumer, ElementKind.pending, ElementKind.owned] {
            try Self.removeAll(c, &stream, kind, group.number)
        }
        c.keys.remove(&stream, c.keys.element.group(name))
        stream.groupCount -= 1
    }

    private static func removeAll(
        _ c: CommandContext, _ stream: inout Collection, _ kind: UInt8, _ number: UInt32
    ) throws(Interruption) {
        var keys: [[UInt8]] = []
        do {
            let lower = c.keys.elementBound(32)
            let upper = c.keys.elementBound(32)
            var walk = try ElementWalk(
                c.keys, stream, from: number == 0 ? lower.bound(kind) : lower.end(kind, number - 1),
                to: upper.end(kind, number))
            try walk.seekToFirst()
            while walk.isValid {
                keys.append(walk.key.array)
                try walk.next()
            }
        }
        for key in keys {
            key.withView { c.keys.remove(&stream, c.keys.element.plain(kind, $0.dropFirst(1))) }
        }
    }

    /// Removes a consumer with what is pending of it; how many entries that were.
    mutating func removeConsumer(
        _ c: CommandContext, _ stream: inout Collection, _ number: UInt32
    ) throws(Interruption) -> Int {
        var ids: [StreamID] = []
        try forEachPending(c, stream, of: number) { id, _ throws(Interruption) in
            ids.append(id)
            return true
        }
        for id in ids {
            c.keys.remove(&stream, c.keys.element.pending(group.number, id))
            c.keys.remove(&stream, c.keys.element.owned(group.number, number, id))
        }
        guard let gone = held.removeValue(forKey: number) else { return 0 }
        numbers[gone.name] = nil
        gone.name.withView { c.keys.remove(&stream, c.keys.element.consumer(group.number, $0)) }
        group.pending -= UInt64(ids.count)
        group.consumers -= 1
        return ids.count
    }
}

extension CommandContext {
    /// Shows each group of a stream in the order of their names.
    func forEachGroup(
        _ stream: borrowing Collection, _ body: (ByteView, StreamGroup) throws(Interruption) -> Void
    ) throws(Interruption) {
        var walk = try ElementWalk(keys, stream, ElementKind.group)
        try walk.seekToFirst()
        while walk.isValid {
            guard let group = StreamGroup(try walk.value()) else { throw .damaged }
            try body(walk.key.dropFirst(1), group)
            try walk.next()
        }
    }

    /// Shows each consumer of a group in the order of their names.
    func forEachConsumer(
        _ stream: borrowing Collection, of group: StreamGroup,
        _ body: (ByteView, StreamConsumer) throws(Interruption) -> Void
    ) throws(Interruption) {
        let lower = keys.elementBound(32)
        let upper = keys.elementBound(32)
        let kind = ElementKind.consumer
        var walk = try ElementWalk(
            keys, stream, from: group.number == 0 ? lower.bound(kind) : lower.end(kind, group.number - 1),
            to: upper.end(kind, group.number))
        try walk.seekToFirst()
        while walk.isValid {
            guard let consumer = StreamConsumer(try walk.value()) else { throw .damaged }
            try body(walk.key.dropFirst(5), consumer)
            try walk.next()
        }
    }
}

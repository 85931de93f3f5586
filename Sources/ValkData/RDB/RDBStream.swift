// Streams as RDB has them: 15 as Redis wrote them before 7.0, 19 as 7.0 does.
//
//   length, then [first id, 16 bytes BE as a string][a string: listpack] …        nodes of some entries each
//   entries, last id (two lengths)
//   19: first id, greatest deleted id, entries ever added
//   groups, then of each
//     name, last id, 19: entries read
//     pending, then [id 16 bytes BE][delivered at u64 LE][deliveries] …
//     consumers, then of each: name, [seen at u64 LE], pending, then [id 16 bytes BE] …
//
//   a node   entries, deleted, fields, the fields' names, 0, then of each entry
//            flags (1 deleted, 2 the fields of the node), milliseconds and sequence after the node's id,
//            without flag 2: the number of fields, then names and values, otherwise values; how many elements these are
//
// Numbers are lengths as RDB has them (`RDBReader.unsigned`), in nodes elements of the listpack.

import ValkBase
import ValkEngine

/// A part of a stream as it comes out of a payload, in this order; `owned` follows its consumer, and that its group.
package enum RDBStreamPart {
    /// Names and values by turns.
    case entry(StreamID, [ByteView])
    /// `added` and `deleted` are nil where the form does not have them.
    case state(last: StreamID, deleted: StreamID?, added: UInt64?)
    case group(ByteView, last: StreamID, entriesRead: Int64?)
    case pending(StreamID, deliveredAt: UInt64, deliveries: UInt64)
    case consumer(ByteView, seenAt: UInt64)
    case owned(StreamID)
}

/// Reads the value of a stream behind its type byte. Bytes that are shown lie in the payload or in memory from
/// `allocate`.
package struct RDBStreamReader {
    private var strings: RDBStrings
    private let type: UInt8

    package typealias Body = (RDBStreamPart) throws(Interruption) -> Bool

    /// Of the whole payload; nil when it is no stream that is read.
    package init?(_ payload: ByteView, allocate: @escaping (Int) -> UnsafeMutableRawPointer) {
        strings = RDBStrings(payload, allocate)
        guard payload.count > DumpPayload.footerBytes, let type = strings.reader.byte(), type == 15 || type == 19 else {
            return nil
        }
        self.type = type
    }

    /// Shows every part in order, until `body` says false. Returns false then, or where the bytes are not understood.
    package mutating func forEach(_ body: Body) throws(Interruption) -> Bool {
        guard let nodes = strings.reader.count() else { return false }
        var last: StreamID?
        var entries: UInt64 = 0
        var left = nodes
        while left > 0 {
            guard let name = strings.string(), name.count == StreamID.bytes, let node = strings.string() else {
                return false
            }
            guard try forEach(in: node, StreamID(name, at: 0), &last, &entries, body) else { return false }
            left -= 1
        }
        guard let count = strings.reader.unsigned(), count == entries, let final = id() else { return false }
        if let last, last > final { return false }
        var deleted: StreamID?
        var added: UInt64?
        if type == 19 {
            guard id() != nil, let greatest = id(), let number = strings.reader.unsigned(), number >= entries,
                number <= UInt64(Int64.max)
            else { return false }
            deleted = greatest
            added = number
        }
        if try !body(.state(last: final, deleted: deleted, added: added)) { return false }
        return try groups(body)
    }

    private mutating func id() -> StreamID? {
        guard let milliseconds = strings.reader.unsigned(), let sequence = strings.reader.unsigned() else { return nil }
        return StreamID(milliseconds, sequence)
    }

    /// An id of 16 bytes as they are.
    private mutating func plainID() -> StreamID? { strings.reader.take(StreamID.bytes).map { StreamID($0, at: 0) } }

    private mutating func time() -> UInt64? { strings.reader.number(UInt64.self).map { UInt64(littleEndian: $0) } }

    // MARK: Nodes

    private func forEach(
        in node: ByteView, _ first: StreamID, _ last: inout StreamID?, _ entries: inout UInt64, _ body: Body
    ) throws(Interruption) -> Bool {
        var values: [PackedValue] = []
        guard
            Listpack.forEach(
                node,
                {
                    values.append($0); return true
                })
        else { return false }
        var at = 0
        func number() -> Int64? {
            guard at < values.count else { return nil }
            at += 1
            switch values[at - 1] {
            case .number(let number): return number
            case .text(let text): return Decimal.parse(text)
            }
        }
        func bytes() -> ByteView? {
            guard at < values.count else { return nil }
            at += 1
            return strings.bytes(values[at - 1])
        }
        guard let count = number(), let gone = number(), let width = number(), count >= 0, gone >= 0, width >= 0,
            width < Int64(values.count)
        else { return false }
        var names: [ByteView] = []
        for _ in 0..<width {
            guard let name = bytes() else { return false }
            names.append(name)
        }
        guard number() == 0 else { return false }
        var there: Int64 = 0
        var deleted: Int64 = 0
        while at < values.count {
            let start = at
            guard let flags = number(), (0...3).contains(flags), let after = number(), let next = number() else {
                return false
            }
            var fields: [ByteView] = []
            if flags & 2 != 0 {
                for name in names {
                    guard let value = bytes() else { return false }
                    fields.append(name)
                    fields.append(value)
                }
            } else {
                guard let own = number(), own >= 0, own < Int64(values.count) else { return false }
                for _ in 0..<own * 2 {
                    guard let part = bytes() else { return false }
                    fields.append(part)
                }
            }
            let elements = at - start
            guard number() == Int64(elements) else { return false }
            if flags & 1 != 0 {
                deleted += 1
                continue
            }
            let id = StreamID(
                first.milliseconds &+ UInt64(bitPattern: after), first.sequence &+ UInt64(bitPattern: next))
            guard last.map({ $0 < id }) ?? (id > .zero), !fields.isEmpty else { return false }
            last = id
            there += 1
            if try !body(.entry(id, fields)) { return false }
        }
        entries += UInt64(there)
        return there == count && deleted == gone
    }

    // MARK: Groups

    private mutating func groups(_ body: Body) throws(Interruption) -> Bool {
        guard var groups = strings.reader.count() else { return false }
        while groups > 0 {
            guard let name = strings.string(), let last = id() else { return false }
            var entriesRead: Int64?
            if type == 19 {
                guard let number = strings.reader.unsigned() else { return false }
                entriesRead = Int64(bitPattern: number)
            }
            if try !body(.group(name, last: last, entriesRead: entriesRead)) { return false }
            guard var pending = strings.reader.count() else { return false }
            while pending > 0 {
                guard let id = plainID(), let at = time(), let deliveries = strings.reader.unsigned() else {
                    return false
                }
                if try !body(.pending(id, deliveredAt: at, deliveries: deliveries)) { return false }
                pending -= 1
            }
            guard var consumers = strings.reader.count() else { return false }
            while consumers > 0 {
                guard let name = strings.string(), let at = time() else { return false }
                if try !body(.consumer(name, seenAt: at)) { return false }
                guard var owned = strings.reader.count() else { return false }
                while owned > 0 {
                    guard let id = plainID() else { return false }
                    if try !body(.owned(id)) { return false }
                    owned -= 1
                }
                consumers -= 1
            }
            groups -= 1
        }
        return true
    }
}

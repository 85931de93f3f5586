// Streams for commands: ids among arguments and in replies, opening and saving.

import ValkBase
import ValkData
import ValkEngine
import ValkRESP

enum StreamText {
    static var invalidID: StaticString { "ERR Invalid stream ID specified as stream command argument" }
}

extension CommandContext {
    // MARK: Ids

    /// An id as text, without `-` and `+`; `missing` stands for a sequence that is not there. Nil when it is none.
    private func id(_ text: ByteView, missing: UInt64) -> StreamID? {
        for i in 0..<min(text.count, 64) where text[i] == UInt8(ascii: "-") {
            guard let milliseconds = Decimal.parseUnsigned(text[0..<i]),
                let sequence = Decimal.parseUnsigned(text.dropFirst(i + 1))
            else { return nil }
            return StreamID(milliseconds, sequence)
        }
        return Decimal.parseUnsigned(text).map { StreamID($0, missing) }
    }

    /// The argument as an id; nil after an error reply.
    func streamID(_ index: Int, missing: UInt64 = 0) -> StreamID? {
        if let id = id(args[index], missing: missing) { return id }
        fail(StreamText.invalidID)
        return nil
    }

    /// The id of an entry to be added, or its time alone where the sequence is left open (`5-*`); nil after an error
    /// reply.
    func newStreamID(_ index: Int) -> (id: StreamID, hasSequence: Bool)? {
        let text = args[index]
        if text.count > 2, text[text.count - 1] == UInt8(ascii: "*"), text[text.count - 2] == UInt8(ascii: "-"),
            let milliseconds = Decimal.parseUnsigned(text[0..<text.count - 2])
        {
            return (StreamID(milliseconds, 0), false)
        }
        return streamID(index).map { ($0, true) }
    }

    /// Whether the argument is one.
    func isStreamID(_ index: Int) -> StreamID? { id(args[index], missing: 0) }

    /// The id that stood for an argument before the command waited.
    func recalledID(_ index: Int) -> StreamID? { recalled(index)?.withView { id($0, missing: 0) } }

    /// A bound of a range: an id, one with `(` that leaves itself out, `-` or `+`; nil after an error reply.
    func streamBound(_ index: Int, isLower: Bool) -> StreamID? {
        let text = args[index]
        if text.count == 1 && text[0] == UInt8(ascii: "-") { return .zero }
        if text.count == 1 && text[0] == UInt8(ascii: "+") { return .max }
        let isOpen = text.count > 0 && text[0] == UInt8(ascii: "(")
        guard let id = id(isOpen ? text.dropFirst(1) : text, missing: isLower ? 0 : .max) else {
            fail(StreamText.invalidID)
            return nil
        }
        if !isOpen { return id }
        if let inner = isLower ? id.next : id.previous { return inner }
        fail(isLower ? "ERR invalid start ID for the interval" : "ERR invalid end ID for the interval")
        return nil
    }

    func reply(_ id: StreamID) { Self.write(id, reply) }

    static func write(_ id: StreamID, _ out: ReplyWriter) {
        withUnsafeTemporaryAllocation(byteCount: 48, alignment: 1) { scratch in
            guard let base = scratch.baseAddress else { return }
            var n = Decimal.write(id.milliseconds, to: base)
            base.storeBytes(of: UInt8(ascii: "-"), toByteOffset: n, as: UInt8.self)
            n += 1
            n += Decimal.write(id.sequence, to: base + n)
            out.bulk(ByteView(base: base, count: n))
        }
    }

    /// Whether the argument is `text`, byte by byte.
    func isExactly(_ index: Int, _ text: StaticString) -> Bool { args[index] == ByteView(text) }

    // MARK: Saving

    /// Saves a stream, which stays though it has no entries.
    func saveStream(_ stream: inout Collection, at key: ByteView, changes: Int = 1) throws(Interruption) {
        _ = try keys.save(&stream, at: key, keepsEmpty: true)
        keys.changed(changes)
    }

    func failNoGroup(_ group: ByteView, _ key: ByteView) {
        fail("NOGROUP No such consumer group '\(group.string)' for key name '\(key.string)'")
    }

    func failNoKeyOrGroup(_ group: ByteView, _ key: ByteView, _ more: String = "") {
        fail("NOGROUP No such key '\(key.string)' or consumer group '\(group.string)'\(more)")
    }
}

// Replies of any size from a bounded amount of memory: the elements of a large collection are written piece by piece,
// as fast as the client takes them.
//
// A command that runs on a worker, alone, answers with a header that says how many elements follow, and leaves the
// rest to a stream over the moment that it has seen (`ElementCursor`). Whoever drives the context sends what there is,
// asks for the next piece when the client has read on, and runs nothing else for that client before the end. On a
// loop, in a transaction and in a script replies are whole; loops leave collections that are large to workers.

import ValkBase
import ValkData
import ValkEngine
import ValkRESP

package final class ReplyStream: @unchecked Sendable {  // As ElementCursor: one thread at a time.
    package enum Form: Equatable, Sendable {
        case member
        case memberAndValue
        case value
        /// The member, with its score or without; in RESP3 such two are an array.
        case scoredMember(withScore: Bool)
        /// Of a stream: id and fields.
        case entry
    }

    /// Bytes of a piece, about: a piece ends with the element that reaches them.
    package static let pieceBytes = 256 << 10

    private let elements: ElementCursor
    private let form: Form
    private var left: Int
    private let now: UInt64

    /// `count`: elements that the header has promised. Expired fields are passed over and do not count.
    init(_ elements: ElementCursor, _ form: Form, count: Int, now: UInt64) {
        self.elements = elements
        self.form = form
        left = count
        self.now = now
    }

    /// Writes one piece. Returns whether there is more. Throws `.damaged`, also where elements are missing, or
    /// `.readFailed`: then the reply cannot be ended.
    package func write(to reply: ReplyWriter) throws(Interruption) -> Bool {
        let end = reply.out.pointee.count + Self.pieceBytes
        while left > 0 && reply.out.pointee.count < end {
            guard elements.isValid else { throw .damaged }
            if !elements.isExpired(at: now) {
                try writeElement(reply)
                left -= 1
            }
            if left > 0 { try elements.advance() }
        }
        return left > 0
    }

    private func writeElement(_ reply: ReplyWriter) throws(Interruption) {
        switch form {
        case .member: reply.bulk(elements.member)
        case .memberAndValue:
            reply.bulk(elements.member)
            reply.bulk(try elements.value())
        case .value: reply.bulk(try elements.value())
        case .scoredMember(let withScore):
            let at = elements.scored
            if withScore && reply.version >= 3 { reply.array(2) }
            reply.bulk(at.member)
            if withScore { reply.double(at.score) }
        case .entry: StreamEntries.write(StreamID(elements.key, at: 1), fields: try elements.value(), to: reply)
        }
    }
}

extension CommandContext {
    /// Whether the elements of `collection` are to be answered by `stream`. A loop leaves the command to a worker where
    /// more than a few of them are asked for.
    func streams(_ collection: borrowing Collection, _ count: Int) throws(Interruption) -> Bool {
        if count <= KeyScan.loopKeysMax { return false }
        if !collection.isSpread { return false }
        if !keys.reader.mayBlock { throw .wouldBlock }
        return mayStream
    }

    /// Answers with `count` elements; the header is written.
    func stream(_ elements: ElementCursor, _ form: ReplyStream.Form, count: Int) throws(Interruption) {
        let stream = ReplyStream(elements, form, count: count, now: keys.state.pointee.now)
        if try stream.write(to: reply) { replyStream = stream }
    }

    /// For replies whose elements may be large although they are few.
    @inline(__always)
    func leavesLoopWhenLarge() throws(Interruption) {
        if reply.out.pointee.count > 4 << 20 && !keys.reader.mayBlock { throw .wouldBlock }
    }
}

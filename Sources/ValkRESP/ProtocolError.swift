// What makes a connection unusable: the peer does not speak the protocol. The connection answers with the text (the
// same words that Redis uses) and is closed after that reply has left.

import ValkBase

package enum ProtocolError: Error, Equatable, Sendable {
    case invalidMultibulkLength
    case unauthenticatedMultibulkLength
    case tooBigMultibulkCount
    case tooBigBulkCount
    case invalidBulkLength
    case unauthenticatedBulkLength
    case tooBigInlineRequest
    case unbalancedQuotes
    /// The byte that stood where '$' belongs.
    case expectedBulk(UInt8)

    /// What follows "Protocol error: "; for `expectedBulk` the found byte is added by `write`.
    package var text: StaticString {
        switch self {
        case .invalidMultibulkLength: "invalid multibulk length"
        case .unauthenticatedMultibulkLength: "unauthenticated multibulk length"
        case .tooBigMultibulkCount: "too big mbulk count string"
        case .tooBigBulkCount: "too big bulk count string"
        case .invalidBulkLength: "invalid bulk length"
        case .unauthenticatedBulkLength: "unauthenticated bulk length"
        case .tooBigInlineRequest: "too big inline request"
        case .unbalancedQuotes: "unbalanced quotes in request"
        case .expectedBulk: "expected '$', got '"
        }
    }

    /// Appends the error reply.
    package func write(to reply: ReplyWriter) {
        let out = reply.out
        out.pointee.append("-ERR Protocol error: " as StaticString)
        out.pointee.append(text)
        if case .expectedBulk(let byte) = self {
            out.pointee.append(byte == 0x0D || byte == 0x0A ? 0x20 : byte)
            out.pointee.append(UInt8(ascii: "'"))
        }
        reply.crlf()
    }
}

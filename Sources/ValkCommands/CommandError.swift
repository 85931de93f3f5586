// Errors as clients see them: the words of Redis 7.0.15, and the code (the first word) for INFO errorstats.
//
// Every error reply goes through `CommandContext.fail`, so that it is counted.

import ValkBase

/// The first word of an error reply. `other` is for codes outside this list.
package enum ErrorCode: UInt8, CaseIterable, Sendable {
    case err, wrongtype, noauth, wrongpass, noperm, noproto, execabort, oom, loading, readonly, misconf, noscript, busy
    case notbusy, unkillable, busykey, noreplicas, inprog, busygroup, nogroup, crossslot, denied, nogood, ioerr
    case unblocked, other

    /// As it stands in the reply.
    package var text: StaticString {
        switch self {
        case .err: return "ERR"
        case .wrongtype: return "WRONGTYPE"
        case .noauth: return "NOAUTH"
        case .wrongpass: return "WRONGPASS"
        case .noperm: return "NOPERM"
        case .noproto: return "NOPROTO"
        case .execabort: return "EXECABORT"
        case .oom: return "OOM"
        case .loading: return "LOADING"
        case .readonly: return "READONLY"
        case .misconf: return "MISCONF"
        case .noscript: return "NOSCRIPT"
        case .busy: return "BUSY"
        case .notbusy: return "NOTBUSY"
        case .unkillable: return "UNKILLABLE"
        case .busykey: return "BUSYKEY"
        case .noreplicas: return "NOREPLICAS"
        case .inprog: return "INPROG"
        case .busygroup: return "BUSYGROUP"
        case .nogroup: return "NOGROUP"
        case .crossslot: return "CROSSSLOT"
        case .denied: return "DENIED"
        case .nogood: return "NOGOODSLAVE"
        case .ioerr: return "IOERR"
        case .unblocked: return "UNBLOCKED"
        case .other: return "OTHER"
        }
    }

    /// The code that `message` (the reply after '-') begins with.
    package init(of message: ByteView) {
        var length = 0
        while length < message.count && message[length] != UInt8(ascii: " ") { length += 1 }
        let word = message[0..<length]
        for code in ErrorCode.allCases where ByteView(code.text) == word {
            self = code
            return
        }
        self = .other
    }
}

/// Replies that many commands share, without the leading '-'.
package enum ErrorText {
    package static var syntax: StaticString { "ERR syntax error" }
    package static var wrongType: StaticString {
        "WRONGTYPE Operation against a key holding the wrong kind of value"
    }
    package static var notInteger: StaticString { "ERR value is not an integer or out of range" }
    package static var notFloat: StaticString { "ERR value is not a valid float" }
    package static var noSuchKey: StaticString { "ERR no such key" }
    package static var sameObject: StaticString { "ERR source and destination objects are the same" }
    package static var indexOutOfRange: StaticString { "ERR index out of range" }
    package static var databaseOutOfRange: StaticString { "ERR DB index is out of range" }
    package static var overflow: StaticString { "ERR increment or decrement would overflow" }
    package static var stringTooLong: StaticString {
        "ERR string exceeds maximum allowed size (proto-max-bulk-len)"
    }
    package static var offsetOutOfRange: StaticString { "ERR offset is out of range" }
    package static var invalidCursor: StaticString { "ERR invalid cursor" }
    package static var notPositive: StaticString { "ERR value is out of range, must be positive" }
    package static var elementTooLong: StaticString { "ERR field or member is too long (maximum is 65535 bytes)" }
    package static var notRange: StaticString { "ERR min or max is not a float" }
    package static var notLexRange: StaticString { "ERR min or max not valid string range item" }
    package static var keyTooLong: StaticString { "ERR key is too long (maximum is 65535 bytes)" }
}

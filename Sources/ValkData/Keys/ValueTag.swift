// The type byte of a key's entry. Stored; never renumber.
//
// The low four bits are the Redis type. The high four bits belong to the type; strings note there how Redis would hold
// the value, where that cannot be told from its bytes, so that OBJECT ENCODING answers alike.

import ValkBase

@usableFromInline
package enum ValueType: UInt8, CaseIterable, Sendable {
    case string = 1
    case list = 2
    case set = 3
    case sortedSet = 4
    case hash = 5
    case stream = 6

    /// As TYPE says it.
    package var name: StaticString {
        switch self {
        case .string: return "string"
        case .list: return "list"
        case .set: return "set"
        case .sortedSet: return "zset"
        case .hash: return "hash"
        case .stream: return "stream"
        }
    }

    @inlinable
    package init?(tag: UInt8) { self.init(rawValue: tag & 0x0F) }
}

@usableFromInline
package enum StringTag {
    /// Integers are integers, short values are short values.
    package static var plain: UInt8 { 0x01 }
    /// Grown in place (APPEND, SETRANGE): always "raw".
    package static var raw: UInt8 { 0x11 }
    /// Text even where it looks like an integer (INCRBYFLOAT).
    package static var text: UInt8 { 0x21 }

    @inlinable
    package static func isString(_ tag: UInt8) -> Bool { tag & 0x0F == 1 }
}

// What happens to keys, for those who listen (notify-keyspace-events): the kinds of events, the events by name, and
// what one transaction has collected.
//
// Events are collected only where somebody has asked for their kind: with none asked for, a write pays for two tests of
// a word that lies in the cache. They belong to the transaction: an attempt that is undone takes them along, and the
// dispatcher sends them, in order, after the commit. Three come from here rather than from commands: `new` where a key
// is put that was not there, `expired` where an expired key is overwritten or removed, `keymiss` where a reader finds
// nothing.

import ValkBase

/// Kinds of events, and the two ways in which they are published. Bits as in the setting's value.
@usableFromInline
package struct KeyEventKinds: OptionSet, Sendable {
    @usableFromInline package let rawValue: UInt16
    @inlinable package init(rawValue: UInt16) { self.rawValue = rawValue }

    @inlinable package static var generic: KeyEventKinds { KeyEventKinds(rawValue: 1 << 0) }
    @inlinable package static var string: KeyEventKinds { KeyEventKinds(rawValue: 1 << 1) }
    @inlinable package static var list: KeyEventKinds { KeyEventKinds(rawValue: 1 << 2) }
    @inlinable package static var set: KeyEventKinds { KeyEventKinds(rawValue: 1 << 3) }
    @inlinable package static var hash: KeyEventKinds { KeyEventKinds(rawValue: 1 << 4) }
    @inlinable package static var sortedSet: KeyEventKinds { KeyEventKinds(rawValue: 1 << 5) }
    @inlinable package static var expired: KeyEventKinds { KeyEventKinds(rawValue: 1 << 6) }
    @inlinable package static var evicted: KeyEventKinds { KeyEventKinds(rawValue: 1 << 7) }
    @inlinable package static var stream: KeyEventKinds { KeyEventKinds(rawValue: 1 << 8) }
    @inlinable package static var module: KeyEventKinds { KeyEventKinds(rawValue: 1 << 9) }
    @inlinable package static var new: KeyEventKinds { KeyEventKinds(rawValue: 1 << 10) }
    /// Published to `__keyspace@<db>__:<key>`.
    @inlinable package static var toKeyspace: KeyEventKinds { KeyEventKinds(rawValue: 1 << 11) }
    /// Published to `__keyevent@<db>__:<event>`.
    @inlinable package static var toKeyEvent: KeyEventKinds { KeyEventKinds(rawValue: 1 << 12) }
    @inlinable package static var miss: KeyEventKinds { KeyEventKinds(rawValue: 1 << 13) }

    /// What a setting asks for: nothing, unless it says where to publish.
    package static func asked(_ setting: Int64) -> KeyEventKinds {
        let kinds = KeyEventKinds(rawValue: UInt16(truncatingIfNeeded: setting))
        return kinds.isDisjoint(with: [.toKeyspace, .toKeyEvent]) ? [] : kinds
    }
}

/// An event by its name and kind.
@usableFromInline
package struct KeyEvent: Sendable {
    package let name: StaticString
    @usableFromInline package let kind: KeyEventKinds

    @usableFromInline
    init(_ name: StaticString, _ kind: KeyEventKinds) {
        self.name = name
        self.kind = kind
    }
}

extension KeyEvent {
    package static var del: KeyEvent { KeyEvent("del", .generic) }
    package static var expire: KeyEvent { KeyEvent("expire", .generic) }
    package static var persist: KeyEvent { KeyEvent("persist", .generic) }
    package static var renameFrom: KeyEvent { KeyEvent("rename_from", .generic) }
    package static var renameTo: KeyEvent { KeyEvent("rename_to", .generic) }
    package static var restore: KeyEvent { KeyEvent("restore", .generic) }
    package static var copyTo: KeyEvent { KeyEvent("copy_to", .generic) }
    package static var moveFrom: KeyEvent { KeyEvent("move_from", .generic) }
    package static var moveTo: KeyEvent { KeyEvent("move_to", .generic) }

    package static var set: KeyEvent { KeyEvent("set", .string) }
    package static var append: KeyEvent { KeyEvent("append", .string) }
    package static var setrange: KeyEvent { KeyEvent("setrange", .string) }
    package static var setbit: KeyEvent { KeyEvent("setbit", .string) }
    package static var incrby: KeyEvent { KeyEvent("incrby", .string) }
    package static var incrbyfloat: KeyEvent { KeyEvent("incrbyfloat", .string) }
    package static var pfadd: KeyEvent { KeyEvent("pfadd", .string) }

    package static var new: KeyEvent { KeyEvent("new", .new) }
    package static var expired: KeyEvent { KeyEvent("expired", .expired) }
    package static var evicted: KeyEvent { KeyEvent("evicted", .evicted) }
    package static var keymiss: KeyEvent { KeyEvent("keymiss", .miss) }
}

/// Something that happened to a key.
package struct KeyEventRecord: Sendable {
    package let event: KeyEvent
    package let database: Int
    package let key: [UInt8]

    package init(_ event: KeyEvent, database: Int, key: [UInt8]) {
        self.event = event
        self.database = database
        self.key = key
    }
}

extension KeyAccess {
    /// Collects an event of a key of the selected database, or of `database`, if its kind is asked for.
    package func notify(_ event: KeyEvent, _ user: ByteView, in database: Int? = nil) {
        if state.pointee.eventKinds.isDisjoint(with: event.kind) { return }
        events.append(KeyEventRecord(event, database: database ?? state.pointee.database, key: user.array))
        state.pointee.hasOutgoing = true
    }

    /// The same by namespace, which may be nobody's any more.
    @inline(never)
    func notify(_ event: KeyEvent, _ user: ByteView, namespace: UInt32) {
        if state.pointee.namespace == namespace { return notify(event, user) }
        for database in 0..<keyspace.databaseCount where self.namespace(database) == namespace {
            return notify(event, user, in: database)
        }
    }

    /// How many events the transaction has collected; `dropEvents` goes back there.
    package var eventCount: Int { events.count }

    package func dropEvents(from count: Int) { if events.count > count { events.removeSubrange(count...) } }

    /// What the transaction has collected, in order; for the dispatcher, after the commit.
    package func takeEvents() -> [KeyEventRecord] {
        state.pointee.hasOutgoing = false
        defer { events.removeAll() }
        return events
    }
}

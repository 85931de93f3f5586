// What is known of the keys that the next look-ups will ask for: where in the runs each of them is, found out for all
// of them together, so that their waits for memory overlap.
//
// An item is a fact about one view and one key, both of which do not change: the first run that may hold the key, and,
// when its block is in memory, the entry's place there with a pin on the block. `StoreReader.find` takes an item when
// its key comes up and saves itself the search. Items that nobody asks for cost nothing but their pins, which end with
// the next `reset`. The memory tables are not part of it: what is written meanwhile is found there as always.
//
// Belongs to one reader and its thread. The bytes of the announced keys are the caller's until the next `reset`.

import Glibc
import ValkBase

struct LookAhead: ~Copyable {
    struct Item {
        var key: ByteView
        var hash: UInt64
        /// Goes on with the first run that may hold the key; past the last when none does.
        var path: RunPath
        var isPast = false
        /// The table of that run and the block in it that come into question; nil when there is no such run, or its
        /// table is not loaded.
        var table: Unmanaged<Table>?
        var block = 0
        /// Pinned when the entry was found; `body` is its place in there.
        var frame: BlockFramePointer?
        var body: UnsafeRawPointer
        var bodyLength = 0

        init(key: ByteView, hash: UInt64, path: RunPath) {
            self.key = key
            self.hash = hash
            self.path = path
            body = emptyBytes
        }
    }

    /// Keys at most.
    static let capacity = 16
    /// How far from its turn a key is looked for.
    private static let reach = 4

    let items: UnsafeMutablePointer<Item>
    private(set) var count = 0
    private var next = 0
    private let pointers: UnsafeMutablePointer<ValuePointer>
    private var pointerCount = 0
    /// Something was looked up, or written, since the last announcement: whether work ahead of time is worth it.
    var sawReads = true
    var sawWrites = true

    init() {
        items = .allocate(capacity: LookAhead.capacity)
        pointers = .allocate(capacity: LookAhead.capacity)
    }

    deinit {
        for i in next..<count { items[i].frame?.unpin() }
        items.deallocate()
        pointers.deallocate()
    }

    /// Forgets everything.
    mutating func reset() {
        while next < count {
            items[next].frame?.unpin()
            next &+= 1
        }
        count = 0
        next = 0
    }

    /// At most `capacity` times between two resets.
    @inline(__always)
    mutating func add(_ item: Item) {
        (items + count).initialize(to: item)
        count &+= 1
    }

    @inline(__always) var isEmpty: Bool { next == count }

    /// The item of `key`, if its turn has come or comes soon. The caller takes over its pin.
    @inline(__always)
    mutating func take(_ key: ByteView) -> UnsafePointer<Item>? {
        let end = next &+ LookAhead.reach < count ? next &+ LookAhead.reach : count
        var i = next
        while i < end {
            if items[i].key == key {
                while next < i {
                    items[next].frame?.unpin()
                    next &+= 1
                }
                next = i &+ 1
                return UnsafePointer(items + i)
            }
            i &+= 1
        }
        return nil
    }

    // MARK: Values in the log

    /// Where values lie that the look-ups will lead to, as far as was seen.
    var values: UnsafeBufferPointer<ValuePointer> { UnsafeBufferPointer(start: pointers, count: pointerCount) }

    mutating func forgetValues() { pointerCount = 0 }

    @inline(__always)
    mutating func noteValue(_ record: TableRecord) {
        guard record.flags.contains(.separated), pointerCount < LookAhead.capacity else { return }
        let at = UnsafeRawPointer(record.base + TableRecord.headerBytes + record.keyLength)
        (pointers + pointerCount).initialize(to: at.loadUnaligned(as: ValuePointer.self))
        pointerCount &+= 1
    }

    @inline(__always)
    mutating func noteValue(_ place: BodyPlace) {
        guard let pointer = place.pointer, pointerCount < LookAhead.capacity else { return }
        (pointers + pointerCount).initialize(to: pointer)
        pointerCount &+= 1
    }
}

// Several ordered cursors as one: every version of every source, in entry order. On equal keys the newer sequence comes
// first; sequences are unique, so the order is total.
//
// The number of sources is small (tables in memory plus runs), so the smallest is found by a scan over them; a heap
// would cost more in moves than it saves in comparisons up to about sixteen sources.

import ValkBase

package final class MergeCursor: EntryCursor {
    private var owned: [EntryCursor]
    // The same cursors without reference counting, and where each one's entry lies (nil past an end). Walking a merge
    // touches these only.
    private let sources: UnsafeMutablePointer<Unmanaged<EntryCursor>>
    private let heads: UnsafeMutablePointer<UnsafePointer<Entry>?>
    private let count: Int
    private var at = -1
    private var forward = true
    /// The key at the cursor, kept for changes of direction (the sources' views move with them).
    private var turnKey = ByteBuffer()

    package init(_ sources: [EntryCursor]) {
        owned = sources
        count = sources.count
        self.sources = .allocate(capacity: max(1, count))
        heads = .allocate(capacity: max(1, count))
        heads.initialize(repeating: nil, count: max(1, count))
        for (i, source) in sources.enumerated() { (self.sources + i).initialize(to: .passUnretained(source)) }
        super.init()
    }

    deinit {
        sources.deallocate()
        heads.deallocate()
    }

    /// Lets the sources go; the cursor is of no more use.
    func clear() {
        at = -1
        owned = []
    }

    package override var isValid: Bool { at >= 0 }

    package override var entryPointer: UnsafePointer<Entry> {
        guard at >= 0, let head = heads[at] else { preconditionFailure("entry of a cursor that is nowhere") }
        return head
    }

    /// Negative when `a` comes before `b` in entry order.
    @inline(__always)
    private static func order(_ a: UnsafePointer<Entry>, _ b: UnsafePointer<Entry>) -> Int {
        let byKey = a.pointee.key.compare(b.pointee.key)
        if byKey != 0 { return byKey }
        return a.pointee.sequence > b.pointee.sequence ? -1 : (a.pointee.sequence < b.pointee.sequence ? 1 : 0)
    }

    /// Runs one move on a source and notes where its entry is now.
    @inline(__always)
    private func move(_ i: Int, _ body: (EntryCursor) throws(Interruption) -> Void) throws(Interruption) {
        let source = sources[i]._withUnsafeGuaranteedRef { $0 }
        try body(source)
        heads[i] = source.isValid ? source.entryPointer : nil
    }

    private func pickSmallest() {
        var best = -1
        var i = 0
        while i < count {
            if let head = heads[i] {
                if best < 0 {
                    best = i
                } else if let least = heads[best], MergeCursor.order(head, least) < 0 {
                    best = i
                }
            }
            i &+= 1
        }
        at = best
    }

    private func pickLargest() {
        var best = -1
        var i = 0
        while i < count {
            if let head = heads[i] {
                if best < 0 {
                    best = i
                } else if let greatest = heads[best], MergeCursor.order(head, greatest) > 0 {
                    best = i
                }
            }
            i &+= 1
        }
        at = best
    }

    package override func seek(_ key: ByteView) throws(Interruption) {
        for i in 0..<count { try move(i) { source throws(Interruption) in try source.seek(key) } }
        forward = true
        pickSmallest()
    }

    package override func seekBefore(_ key: ByteView) throws(Interruption) {
        for i in 0..<count { try move(i) { source throws(Interruption) in try source.seekBefore(key) } }
        forward = false
        pickLargest()
    }

    package override func seekToFirst() throws(Interruption) {
        for i in 0..<count { try move(i) { source throws(Interruption) in try source.seekToFirst() } }
        forward = true
        pickSmallest()
    }

    package override func seekToLast() throws(Interruption) {
        for i in 0..<count { try move(i) { source throws(Interruption) in try source.seekToLast() } }
        forward = false
        pickLargest()
    }

    package override func next() throws(Interruption) {
        if !forward { try turn(toForward: true) }
        try move(at) { source throws(Interruption) in try source.next() }
        pickSmallest()
    }

    package override func previous() throws(Interruption) {
        if forward { try turn(toForward: false) }
        try move(at) { source throws(Interruption) in try source.previous() }
        pickLargest()
    }

    /// Brings all sources but the current one to the other side of the current entry.
    private func turn(toForward: Bool) throws(Interruption) {
        let here = entry
        turnKey.removeAll()
        turnKey.append(here.key)
        let key = turnKey.view
        for i in 0..<count where i != at {
            try move(i) { source throws(Interruption) in
                // First entry after the current one: newer versions of its key come before it.
                try source.seek(key)
                while source.isValid, source.entry.key == key, source.entry.sequence > here.sequence {
                    try source.next()
                }
                if toForward { return }
                if source.isValid { try source.previous() } else { try source.seekToLast() }
            }
        }
        forward = toForward
    }
}

// Several ordered cursors as one: every version of every source, in entry order. On equal keys the newer sequence comes
// first; sequences are unique, so the order is total.
//
// The number of sources is small (tables in memory plus runs), so the smallest is found by a scan over them; a heap would
// cost more in moves than it saves in comparisons up to about sixteen sources.

import ValkBase

package final class MergeCursor: EntryCursor {
    private var sources: [EntryCursor]
    private var at = -1
    private var forward = true
    /// The key at the cursor, kept for changes of direction (the sources' views move with them).
    private var turnKey = ByteBuffer()

    package init(_ sources: [EntryCursor]) {
        self.sources = sources
        super.init()
    }

    /// Lets the sources go; the cursor is of no more use.
    func clear() {
        at = -1
        sources = []
    }

    package override var isValid: Bool { at >= 0 }
    package override var entry: Entry { sources[at].entry }

    /// Negative when `a` comes before `b` in entry order.
    private static func order(_ a: Entry, _ b: Entry) -> Int {
        let byKey = a.key.compare(b.key)
        if byKey != 0 { return byKey }
        return a.sequence > b.sequence ? -1 : (a.sequence < b.sequence ? 1 : 0)
    }

    private func pickSmallest() {
        at = -1
        for i in sources.indices where sources[i].isValid {
            if at < 0 || MergeCursor.order(sources[i].entry, sources[at].entry) < 0 { at = i }
        }
    }

    private func pickLargest() {
        at = -1
        for i in sources.indices where sources[i].isValid {
            if at < 0 || MergeCursor.order(sources[i].entry, sources[at].entry) > 0 { at = i }
        }
    }

    package override func seek(_ key: ByteView) throws(Interruption) {
        for source in sources { try source.seek(key) }
        forward = true
        pickSmallest()
    }

    package override func seekBefore(_ key: ByteView) throws(Interruption) {
        for source in sources { try source.seekBefore(key) }
        forward = false
        pickLargest()
    }

    package override func seekToFirst() throws(Interruption) {
        for source in sources { try source.seekToFirst() }
        forward = true
        pickSmallest()
    }

    package override func seekToLast() throws(Interruption) {
        for source in sources { try source.seekToLast() }
        forward = false
        pickLargest()
    }

    package override func next() throws(Interruption) {
        if !forward { try turn(toForward: true) }
        try sources[at].next()
        pickSmallest()
    }

    package override func previous() throws(Interruption) {
        if forward { try turn(toForward: false) }
        try sources[at].previous()
        pickLargest()
    }

    /// Brings all sources but the current one to the other side of the current entry.
    private func turn(toForward: Bool) throws(Interruption) {
        let here = sources[at].entry
        turnKey.removeAll()
        turnKey.append(here.key)
        let key = turnKey.view
        let sequence = here.sequence
        for i in sources.indices where i != at {
            if toForward {
                // First entry after (key, sequence).
                try sources[i].seek(key)
                while sources[i].isValid, sources[i].entry.key == key, sources[i].entry.sequence > sequence {
                    try sources[i].next()
                }
            } else {
                // Last entry before (key, sequence): newer versions of the key come before it.
                try sources[i].seek(key)
                while sources[i].isValid, sources[i].entry.key == key, sources[i].entry.sequence > sequence {
                    try sources[i].next()
                }
                if sources[i].isValid { try sources[i].previous() } else { try sources[i].seekToLast() }
            }
        }
        forward = toForward
    }
}

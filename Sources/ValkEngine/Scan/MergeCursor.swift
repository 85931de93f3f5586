// Several ordered cursors as one: every version of every source, in entry order. On equal keys the newer sequence comes
// first; sequences are unique, so the order is total.
//
// The smallest entry is found by a tournament: a binary tree whose leaves are the sources and whose inner nodes name
// the winner below them. After a move of one source only the games on its way to the root are played again, so a step
// costs log2(sources) comparisons. Each node also notes whether its winner met an equal key on the way up: a merge then
// knows, without moving, that a key has one version only, which is the usual case.

import ValkBase

package final class MergeCursor: EntryCursor {
    private var owned: [EntryCursor]
    // The same cursors without reference counting, and where each one's entry lies (nil past an end). Walking a merge
    // touches these only.
    private let sources: UnsafeMutablePointer<Unmanaged<EntryCursor>>
    private let heads: UnsafeMutablePointer<UnsafePointer<Entry>?>
    private let count: Int
    /// Node 1 is the root, nodes 2k and 2k + 1 lie below node k, source i is leaf `leaves + i`. -1: nobody.
    private let winners: UnsafeMutablePointer<Int32>
    /// The node's winner has the key of another source below the node.
    private let ties: UnsafeMutablePointer<Bool>
    private let leaves: Int
    private var forward = true
    /// The key at the cursor, kept for changes of direction (the sources' views move with them).
    private var turnKey = ByteBuffer()

    package init(_ sources: [EntryCursor]) {
        owned = sources
        count = sources.count
        var leaves = 1
        while leaves < count { leaves *= 2 }
        self.leaves = leaves
        self.sources = .allocate(capacity: max(1, count))
        heads = .allocate(capacity: max(1, count))
        heads.initialize(repeating: nil, count: max(1, count))
        winners = .allocate(capacity: 2 * leaves)
        winners.initialize(repeating: -1, count: 2 * leaves)
        ties = .allocate(capacity: 2 * leaves)
        ties.initialize(repeating: false, count: 2 * leaves)
        for (i, source) in sources.enumerated() { (self.sources + i).initialize(to: .passUnretained(source)) }
        super.init()
        mayRepeatKeys = count > 1 || owned.contains { $0.mayRepeatKeys }
    }

    deinit {
        sources.deallocate()
        heads.deallocate()
        winners.deallocate()
        ties.deallocate()
    }

    /// Lets the sources go; the cursor is of no more use.
    func clear() {
        position = nil
        owned = []
    }

    /// False: no other source stands on the key at the cursor. Where each source has a key only once, as runs do, the
    /// entry is then the key's only version.
    @inline(__always) var meetsOthers: Bool { ties[1] }

    /// There may be another version of the key at the cursor.
    @inline(__always) var mayMeetAgain: Bool {
        ties[1] || sources[source]._withUnsafeGuaranteedRef { $0.mayRepeatKeys }
    }

    override func show(upTo sequence: UInt64) {
        position = nil
        for i in 0..<count { sources[i]._withUnsafeGuaranteedRef { $0.show(upTo: sequence) } }
    }

    /// The number of the source that the entry at the cursor is from.
    @inline(__always) var source: Int { Int(winners[1]) }

    override func upcoming(_ pointers: UnsafeMutablePointer<ValuePointer>, _ room: Int) -> Int {
        // The source at hand is most likely the one that most of the next entries are from.
        winners[1] < 0 ? 0 : sources[source].borrow { $0.upcoming(pointers, room) }
    }

    // MARK: The tournament

    /// Runs one move on a source and notes where its entry is now.
    @inline(__always)
    private func move(_ i: Int, _ body: (EntryCursor) throws(Interruption) -> Void) throws(Interruption) {
        heads[i] = try sources[i].borrow { source throws(Interruption) in
            try body(source)
            return source.position
        }
    }

    /// The game at node `k`.
    @inline(__always)
    private func play(_ k: Int) {
        let a = winners[2 &* k]
        let b = winners[2 &* k &+ 1]
        guard a >= 0, let left = heads[Int(a)] else {
            winners[k] = b
            ties[k] = ties[2 &* k &+ 1]
            return
        }
        guard b >= 0, let right = heads[Int(b)] else {
            winners[k] = a
            ties[k] = ties[2 &* k]
            return
        }
        let order = left.pointee.key.compare(right.pointee.key)
        if order == 0 {
            winners[k] = (left.pointee.sequence > right.pointee.sequence) == forward ? a : b
            ties[k] = true
        } else {
            let leftWins = (order < 0) == forward
            winners[k] = leftWins ? a : b
            ties[k] = ties[2 &* k &+ (leftWins ? 0 : 1)]
        }
    }

    /// After a move of source `i`.
    @inline(__always)
    private func replay(_ i: Int) {
        winners[leaves &+ i] = heads[i] == nil ? -1 : Int32(truncatingIfNeeded: i)
        var k = (leaves &+ i) >> 1
        while k > 0 {
            play(k)
            k >>= 1
        }
        crown()
    }

    /// After moves of all sources.
    private func replayAll() {
        for i in 0..<count { winners[leaves + i] = heads[i] == nil ? -1 : Int32(i) }
        var k = leaves - 1
        while k > 0 {
            play(k)
            k -= 1
        }
        crown()
    }

    @inline(__always)
    private func crown() {
        let winner = winners[1]
        position = winner < 0 ? nil : heads[Int(winner)]
    }

    // MARK: Moves

    /// Moves all sources and settles anew.
    private func restart(
        forward: Bool, _ body: (EntryCursor) throws(Interruption) -> Void
    ) throws(Interruption) {
        position = nil
        self.forward = forward
        for i in 0..<count { try move(i, body) }
        replayAll()
    }

    package override func seek(_ key: ByteView) throws(Interruption) {
        try restart(forward: true) { source throws(Interruption) in try source.seek(key) }
    }

    package override func seekBefore(_ key: ByteView) throws(Interruption) {
        try restart(forward: false) { source throws(Interruption) in try source.seekBefore(key) }
    }

    package override func seekToFirst() throws(Interruption) {
        try restart(forward: true) { source throws(Interruption) in try source.seekToFirst() }
    }

    package override func seekToLast() throws(Interruption) {
        try restart(forward: false) { source throws(Interruption) in try source.seekToLast() }
    }

    package override func next() throws(Interruption) {
        if !forward { try turn(toForward: true) }
        let at = Int(winners[1])
        try move(at) { source throws(Interruption) in try source.next() }
        replay(at)
    }

    package override func previous() throws(Interruption) {
        if forward { try turn(toForward: false) }
        let at = Int(winners[1])
        try move(at) { source throws(Interruption) in try source.previous() }
        replay(at)
    }

    /// Brings all sources but the current one to the other side of the current entry.
    private func turn(toForward: Bool) throws(Interruption) {
        let at = Int(winners[1])
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
        // The current entry stands between all others now, so it wins in the new direction too.
        replayAll()
    }
}

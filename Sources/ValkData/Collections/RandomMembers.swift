// Members of a hash, a set or a sorted set by chance.
//
// Of few members each is as likely as any other. Of many, a random hash leads to a place, and a few steps on from there
// to the member: gaps between hashes differ in width, so members after wide gaps would come up more often; the steps
// level that out to within a few per cent, like the buckets of a hash table do in Redis.

import ValkBase
import ValkEngine

package struct RandomMembers: ~Copyable {
    /// Up to so many members are counted through.
    private static var countedMax: Int { 512 }
    private static var stepsMax: Int { 16 }

    private let keys: KeyAccess
    private let collection: Collection
    private var walk: ElementWalk
    private let lower: ElementScratch

    /// `collection` has members.
    package init(_ keys: KeyAccess, _ collection: Collection) throws(Interruption) {
        self.keys = keys
        self.collection = collection
        walk = try ElementWalk(keys, collection, ElementKind.member)
        lower = keys.elementBound()
    }

    /// Calls `body` with the walk on one member. False: there was none.
    package mutating func draw(
        _ generator: inout SeededRandom, _ body: (borrowing ElementWalk) throws(Interruption) -> Void
    ) throws(Interruption) -> Bool {
        var steps = 0
        if collection.count <= Self.countedMax {
            steps = generator.below(max(1, collection.count))
            try walk.seekToFirst()
        } else {
            steps = generator.below(Self.stepsMax)
            try walk.seek(lower.member(UInt32(truncatingIfNeeded: generator.next()), .empty), in: collection)
        }
        for _ in 0..<steps {
            if !walk.isValid { try walk.seekToFirst() }
            if !walk.isValid { return false }
            try walk.next()
        }
        if !walk.isValid { try walk.seekToFirst() }
        if !walk.isValid { return false }
        try body(walk)
        return true
    }
}

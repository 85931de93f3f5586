// Ranks in large sorted sets without counting from the end: the order is cut into blocks, and how many members each
// block has is kept.
//
//   [4][first key of the block, without its kind]  ->  members u32 LE        the first block: [4] alone
//
// A set of n members has blocks of about max(512, sqrt(n)), so that a rank costs about sqrt(n) steps: over the counts
// of the blocks before it, from the nearer end, and within its own. Members that change their score within a block cost
// nothing; others one or two counts. A set that stays below `membersMin` has no index.
//
// Invariants: the counts of all blocks add up to the members of the set, and a member belongs to the last block that
// does not begin behind it. `extra[2]` of the collection is 0 where there is no index, and otherwise a number that is
// taken anew whenever blocks are cut or dropped and is never used twice: whoever remembers where blocks begin
// (BlockMap) knows by it that they still do, also after a transaction that was undone.

import ValkBase
import ValkEngine

package enum RankIndex {
    package static var kind: UInt8 { 4 }
    /// Sets with more members get an index.
    package static var membersMin: Int { 2048 }
    private static var blockMin: Int { 512 }
    /// Larger transactions cut no blocks: each cut would sort all that they have written.
    private static var operationsMax: Int { 4096 }
    private static var versionPlace: Int { 2 }

    package static func exists(_ set: borrowing Collection) -> Bool { set.extra[versionPlace] != 0 }

    private static func blockSize(_ set: borrowing Collection) -> Int {
        max(blockMin, Int(Double(set.count).squareRoot()))
    }

    /// The part of a key behind its kind.
    private static func body(_ key: ElementKey) -> ByteView { key.bytes.dropFirst(1) }

    // MARK: Keeping it

    /// A member has come (`added`), gone (`removed`), or changed its place (both). Keys are those in the order of
    /// scores, in scratches of their own. After the elements themselves were changed.
    package static func note(
        _ keys: KeyAccess, _ set: inout Collection, added: ElementKey?, removed: ElementKey?
    ) throws(Interruption) {
        // Those that come by the thousand are counted when the set is saved.
        if !exists(set) { return }
        let map = try keys.blockMaps.map(keys, set, version: set.extra[versionPlace])
        let from = removed.map { map.block(of: body($0)) }
        let to = added.map { map.block(of: body($0)) }
        if let from, let to, from == to { return }
        if let from { try change(keys, &set, map, from, by: -1) }
        if let added {
            // Blocks may have moved.
            try change(keys, &set, map, map.block(of: body(added)), by: 1)
        }
    }

    private static func change(
        _ keys: KeyAccess, _ set: inout Collection, _ map: BlockMap, _ block: Int, by change: Int
    ) throws(Interruption) {
        let now = try count(keys, set, map, block) + change
        if now < 0 { throw .damaged }
        if now == 0 && block > 0 {
            map.withStart(block) { keys.remove(&set, keys.element.plain(kind, $0)) }
            map.drop(block)
            return try renew(keys, &set, map)
        }
        try store(keys, &set, map, block, now)
        if change > 0 && now > 2 * blockSize(set) && keys.batch.count < operationsMax {
            try cut(keys, &set, map, block, now)
        }
    }

    private static func renew(_ keys: KeyAccess, _ set: inout Collection, _ map: BlockMap) throws(Interruption) {
        set.extra[versionPlace] = try keys.keyspace.takeCollectionID(mayBlock: keys.reader.mayBlock)
        map.version = set.extra[versionPlace]
    }

    private static func count(
        _ keys: KeyAccess, _ set: borrowing Collection, _ map: BlockMap, _ block: Int
    ) throws(Interruption) -> Int {
        let key = map.withStart(block) { keys.element.plain(kind, $0) }
        guard let element = try keys.find(set, key), element.value.count == 4 else { throw .damaged }
        return number(element.value)
    }

    private static func number(_ value: ByteView) -> Int {
        Int(UInt32(littleEndian: value.base.loadUnaligned(as: UInt32.self)))
    }

    private static func store(
        _ keys: KeyAccess, _ set: inout Collection, _ map: BlockMap, _ block: Int, _ count: Int, isNew: Bool = false
    ) throws(Interruption) {
        let value = keys.allocate(4)
        value.storeBytes(of: UInt32(count).littleEndian, as: UInt32.self)
        let key = map.withStart(block) { keys.element.plain(kind, $0) }
        try keys.put(&set, key, ByteView(base: value, count: 4), isNew: isNew)
    }

    /// Cuts a block of `count` members in the middle.
    private static func cut(
        _ keys: KeyAccess, _ set: inout Collection, _ map: BlockMap, _ block: Int, _ count: Int
    ) throws(Interruption) {
        let half = count / 2
        var middle = ByteView.empty
        do {
            var walk = try blockWalk(keys, set, map, block)
            try walk.seekToFirst()
            var left = half
            while left > 0 && walk.isValid {
                try walk.next()
                left -= 1
            }
            guard walk.isValid else { throw .damaged }
            middle = keys.copied(walk.key.dropFirst(1))
        }
        try store(keys, &set, map, block, half)
        map.insert(middle, at: block + 1)
        try store(keys, &set, map, block + 1, count - half, isNew: true)
        try renew(keys, &set, map)
    }

    /// Before a set is saved: makes the index, where there should be one.
    package static func prepare(_ keys: KeyAccess, _ set: inout Collection) throws(Interruption) {
        if exists(set) || set.count <= membersMin || !set.isSpread { return }
        let size = blockSize(set)
        let map = BlockMap(id: set.id)
        var counts: [Int] = []
        do {
            var walk = try ElementWalk(keys, set, ElementKind.score)
            try walk.seekToFirst()
            var inBlock = size
            while walk.isValid {
                if inBlock == size {
                    map.insert(counts.isEmpty ? .empty : walk.key.dropFirst(1), at: counts.count)
                    counts.append(0)
                    inBlock = 0
                }
                inBlock += 1
                counts[counts.count - 1] += 1
                try walk.next()
            }
        }
        for (block, count) in counts.enumerated() { try store(keys, &set, map, block, count, isNew: true) }
        try renew(keys, &set, map)
        keys.blockMaps.remember(map)
    }

    // MARK: Asking it

    private static func blockWalk(
        _ keys: KeyAccess, _ set: borrowing Collection, _ map: BlockMap, _ block: Int
    ) throws(Interruption) -> ElementWalk {
        let lower = map.withStart(block) { keys.elementBound($0.count).plain(ElementKind.score, $0) }
        let upper: ElementKey
        if block + 1 < map.count {
            upper = map.withStart(block + 1) { keys.elementBound($0.count).plain(ElementKind.score, $0) }
        } else {
            upper = keys.elementBound().bound(ElementKind.score + 1)
        }
        return try ElementWalk(keys, set, from: lower, to: upper)
    }

    /// How many members stand before `key`, which is one in the order of scores and need not be there.
    package static func rank(
        _ keys: KeyAccess, _ set: borrowing Collection, of key: ElementKey
    ) throws(Interruption) -> Int {
        let map = try keys.blockMaps.map(keys, set, version: set.extra[versionPlace])
        let block = map.block(of: body(key))
        var rank = try membersBefore(keys, set, map, block)
        let lower = map.withStart(block) { keys.elementBound($0.count).plain(ElementKind.score, $0) }
        var walk = try ElementWalk(keys, set, from: lower, to: key)
        try walk.seekToFirst()
        while walk.isValid {
            rank += 1
            try walk.next()
        }
        return rank
    }

    private static func membersBefore(
        _ keys: KeyAccess, _ set: borrowing Collection, _ map: BlockMap, _ block: Int
    ) throws(Interruption) -> Int {
        var sum = 0
        if block <= map.count / 2 {
            try forEachBlock(keys, set, 0..<block, map) { _, count in
                sum += count
                return true
            }
            return sum
        }
        try forEachBlock(keys, set, block..<map.count, map) { _, count in
            sum += count
            return true
        }
        return set.count - sum
    }

    /// Shows the counts of blocks in order, until `body` says false.
    private static func forEachBlock(
        _ keys: KeyAccess, _ set: borrowing Collection, _ blocks: Range<Int>, _ map: BlockMap,
        _ body: (Int, Int) -> Bool
    ) throws(Interruption) {
        if blocks.isEmpty { return }
        let lower = map.withStart(blocks.lowerBound) { keys.elementBound($0.count).plain(kind, $0) }
        var walk = try ElementWalk(keys, set, from: lower, to: keys.elementBound().bound(kind + 1))
        try walk.seekToFirst()
        for block in blocks {
            guard walk.isValid else { throw .damaged }
            let value = try walk.value()
            guard value.count == 4 else { throw .damaged }
            if !body(block, number(value)) { return }
            try walk.next()
        }
    }

    /// Where the block with the member of `rank` (less than `count`) begins, and how many of its members come before
    /// that one.
    package static func place(
        _ keys: KeyAccess, _ set: borrowing Collection, of rank: Int
    ) throws(Interruption) -> (start: ElementKey, before: Int) {
        let map = try keys.blockMaps.map(keys, set, version: set.extra[versionPlace])
        var found = (block: 0, before: rank)
        var left = rank
        try forEachBlock(keys, set, 0..<map.count, map) { block, count in
            found = (block, left)
            if left < count { return false }
            left -= count
            return true
        }
        return (map.withStart(found.block) { keys.elementBound($0.count).plain(ElementKind.score, $0) }, found.before)
    }
}

// Where the blocks of a set's RankIndex begin, as one thread remembers it: a table that is searched with every change
// of a score.
//
// Flat memory: of each block the first eight bytes of its first key as a number that orders like them (they are the
// score, and decide nearly always), and where the whole key lies. Keys of blocks that were dropped stay where they are
// until the map is made anew.

import ValkBase
import ValkEngine

final class BlockMap {
    private struct Start {
        var word: UInt64
        var offset: Int
        var length: Int
    }

    let id: UInt64
    var version: UInt64 = 0
    private(set) var count = 0
    private var starts: UnsafeMutablePointer<Start>
    private var capacity = 64
    private let bytes: UnsafeMutablePointer<ByteBuffer>

    init(id: UInt64) {
        self.id = id
        starts = .allocate(capacity: capacity)
        bytes = .allocate(capacity: 1)
        bytes.initialize(to: ByteBuffer())
    }

    deinit {
        starts.deallocate()
        bytes.deinitialize(count: 1)
        bytes.deallocate()
    }

    @inline(__always)
    private func start(_ block: Int) -> ByteView {
        ByteView(base: UnsafeRawPointer(bytes.pointee.base + starts[block].offset), count: starts[block].length)
    }

    /// The first key of a block, without its kind; empty for the first block.
    func withStart<R>(_ block: Int, _ body: (ByteView) -> R) -> R { body(start(block)) }

    /// The first eight bytes, with zeros for those that are not there.
    @inline(__always)
    private static func word(_ key: ByteView) -> UInt64 {
        if key.count >= 8 { return UInt64(bigEndian: key.base.loadUnaligned(as: UInt64.self)) }
        var word: UInt64 = 0
        for i in 0..<key.count { word |= UInt64(key[i]) << UInt64(56 - 8 * i) }
        return word
    }

    func insert(_ key: ByteView, at block: Int) {
        precondition(block <= count, "block \(block) of \(count)")
        if count == capacity {
            let more = UnsafeMutablePointer<Start>.allocate(capacity: 2 * capacity)
            more.update(from: starts, count: count)
            starts.deallocate()
            starts = more
            capacity *= 2
        }
        (starts + block + 1).update(from: starts + block, count: count - block)
        starts[block] = Start(word: Self.word(key), offset: bytes.pointee.count, length: key.count)
        bytes.pointee.append(key)
        count += 1
    }

    func drop(_ block: Int) {
        precondition(block < count, "block \(block) of \(count)")
        (starts + block).update(from: starts + block + 1, count: count - block - 1)
        count -= 1
    }

    /// The last block that does not begin behind `key`.
    func block(of key: ByteView) -> Int {
        let word = Self.word(key)
        var low = 0
        var high = count
        while high &- low > 1 {
            let middle = (low &+ high) >> 1
            let isBefore =
                starts[middle].word == word ? start(middle).compare(key) <= 0 : starts[middle].word < word
            if isBefore { low = middle } else { high = middle }
        }
        return low
    }
}

/// The maps that one thread remembers: of the sets that it used last.
final class BlockMaps {
    private static let countMax = 8
    private var maps: [BlockMap] = []
    /// The one that was used last.
    private var latest: BlockMap?

    func remember(_ map: BlockMap) {
        maps.removeAll { $0.id == map.id }
        if maps.count == Self.countMax { maps.removeFirst() }
        maps.append(map)
        latest = map
    }

    func map(
        _ keys: KeyAccess, _ set: borrowing Collection, version: UInt64
    ) throws(Interruption) -> BlockMap {
        let id = set.id
        if let latest, latest.id == id, latest.version == version { return latest }
        if let known = maps.last(where: { $0.id == id }), known.version == version {
            latest = known
            return known
        }
        let map = BlockMap(id: id)
        var walk = try ElementWalk(keys, set, RankIndex.kind)
        try walk.seekToFirst()
        while walk.isValid {
            map.insert(walk.key.dropFirst(1), at: map.count)
            try walk.next()
        }
        if map.count == 0 { throw .damaged }
        map.version = version
        remember(map)
        return map
    }
}

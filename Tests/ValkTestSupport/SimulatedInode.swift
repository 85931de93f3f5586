// One file of a simulated disk: what programs read (`current`), what survives a power loss (`durable`), and the
// changes between the two, in order.
//
// How a power loss is played (`crashImage`): the changes are applied one after the other to `image`, as the page cache
// saw them. Whenever a change touches a sector, chance decides whether the device took the sector as it was then.
// So a sector ends up as one of the states it really had since the last sync, never as a blend of two writes that no
// machine could have produced; except for the policies with torn sectors, which blend on purpose. Sizes are metadata
// and reach the device in order: a cut is drawn, and size changes before it hold.
//
// Guarded by the lock of its disk.

import ValkBase

/// What a crash does with everything that was not synced.
package enum CrashPolicy: Sendable, CaseIterable {
    /// The process dies, the machine lives: everything written stays, and stays unsynced.
    case keepAll
    /// Nothing that was not synced survives.
    case dropAll
    /// Every unsynced sector, size and name is kept or dropped.
    case random
    /// As `random`, and some sectors are half old and half new, or hold garbage where they were being written. Bytes
    /// of a sector that the interrupted write did not cover survive ("powersafe overwrite").
    case torn
    /// As `torn`, with garbage over whole sectors: also over synced bytes that share a sector with unsynced ones.
    case tornSectors
}

final class SimulatedInode {
    enum Change {
        case write(offset: Int, bytes: [UInt8])
        case resize(Int)
        case allocate(Range<Int>)
        case punch(Range<Int>)
    }

    let id: UInt64
    private(set) var current = SparseBytes()
    private(set) var durable = SparseBytes()
    private(set) var pending: [Change] = []
    /// A failed sync marked pages clean that the device never got; a later sync must not save them.
    private var hasLostPages = false

    init(id: UInt64) { self.id = id }

    private init(id: UInt64, contents: SparseBytes) {
        self.id = id
        self.current = contents
        self.durable = contents
    }

    func apply(_ change: Change) {
        SimulatedInode.apply(change, to: &current)
        pending.append(change)
    }

    func sync() {
        if hasLostPages {
            for change in pending { saveTouched(by: change) }
            durable.settle(size: current.size)
        } else {
            durable = current
        }
        pending.removeAll()
    }

    private func saveTouched(by change: Change) {
        let range: Range<Int>
        switch change {
        case .write(let offset, let bytes): range = offset..<offset + bytes.count
        case .allocate(let r), .punch(let r): range = r
        case .resize(let size): range = size..<max(size, durable.size)
        }
        for page in SparseBytes.pageRange(range) { durable.copyPage(page, from: current) }
    }

    /// What ext4 and XFS do when write-back fails: the pages count as clean. Some are forgotten (reads give the old
    /// bytes again), the others stay readable, and no later sync writes either.
    func failSync(_ random: inout SeededRandom) {
        var touched: Set<Int> = []
        for case .write(let offset, let bytes) in pending {
            touched.formUnion(SparseBytes.pageRange(offset..<offset + bytes.count))
        }
        for page in touched.sorted() where random.oneIn(2) { current.copyPage(page, from: durable) }
        current.settle(size: current.size)
        pending.removeAll()
        hasLostPages = true
    }

    /// This file as the machine finds it afterwards. With `.keepAll` the unsynced changes are still unsynced there.
    func crashClone(_ policy: CrashPolicy, seed: UInt64) -> SimulatedInode {
        if policy == .keepAll {
            let clone = SimulatedInode(id: id)
            clone.current = current
            clone.durable = durable
            clone.pending = pending
            clone.hasLostPages = hasLostPages
            return clone
        }
        var random = SeededRandom(seed: seed ^ (id &* 0x9E37_79B9_7F4A_7C15))
        return SimulatedInode(id: id, contents: crashImage(policy, &random))
    }

    private func crashImage(_ policy: CrashPolicy, _ random: inout SeededRandom) -> SparseBytes {
        if pending.isEmpty || policy == .dropAll { return durable }
        var image = durable
        // Whole files that survive or vanish find missing syncs fastest; a clean cut is what most crashes look like.
        switch random.below(8) {
        case 0: return hasLostPages ? durable : current
        case 1: return durable
        case 2, 3:
            let cut = random.below(pending.count)
            for change in pending[..<cut] { SimulatedInode.apply(change, to: &image) }
            return scatter(pending[cut...cut], over: image, policy, &random)
        default:
            return scatter(pending[...], over: image, policy, &random)
        }
    }

    private func scatter(
        _ changes: ArraySlice<Change>, over start: SparseBytes, _ policy: CrashPolicy, _ random: inout SeededRandom
    ) -> SparseBytes {
        var image = start
        var result = start
        var size = start.size
        let sizeCut = changes.startIndex + random.below(changes.count + 1)
        let keepPercent = [10, 50, 90][random.below(3)]
        for (index, change) in zip(changes.indices, changes) {
            SimulatedInode.apply(change, to: &image)
            let sizeHolds = index < sizeCut
            if sizeHolds { size = image.size }
            switch change {
            case .write(let offset, let bytes):
                let range = offset..<offset + bytes.count
                for sector in SparseBytes.sectorRange(range) {
                    take(sector, range, image, &result, keepPercent, policy, &random)
                }
            case .resize(let newSize):
                if sizeHolds && newSize < result.size { result.resize(to: newSize) }
            case .allocate(let range):
                if random.oneIn(2) { result.reserve(range) }
            case .punch(let range):
                for page in SparseBytes.pageRange(range) where random.below(100) < keepPercent {
                    let bytes = page * SparseBytes.pageBytes..<(page + 1) * SparseBytes.pageBytes
                    result.punch(bytes.clamped(to: range))
                }
            }
        }
        result.settle(size: size)
        return result
    }

    /// Decides what the device made of one sector of a write of `range`.
    private func take(
        _ sector: Int, _ range: Range<Int>, _ image: SparseBytes, _ result: inout SparseBytes, _ keepPercent: Int,
        _ policy: CrashPolicy, _ random: inout SeededRandom
    ) {
        let tears = policy == .torn || policy == .tornSectors
        if tears && random.below(100) < 25 {
            result.setSector(sector, torn(sector, range, image, result, policy, &random))
        } else if random.below(100) < keepPercent {
            result.setSector(sector, image.sector(sector))
        }
    }

    private func torn(
        _ sector: Int, _ range: Range<Int>, _ image: SparseBytes, _ result: SparseBytes, _ policy: CrashPolicy,
        _ random: inout SeededRandom
    ) -> [UInt8] {
        let new = image.sector(sector)
        var bytes = result.sector(sector)
        let border = random.below(SparseBytes.sectorBytes + 1)
        switch random.below(3) {
        case 0:
            bytes.replaceSubrange(..<border, with: new[..<border])
        case 1:
            bytes.replaceSubrange(border..., with: new[border...])
        default:
            let whole = sector * SparseBytes.sectorBytes..<(sector + 1) * SparseBytes.sectorBytes
            let hit = policy == .tornSectors ? whole : whole.clamped(to: range)
            let kind = random.below(3)
            for at in hit {
                let byte = kind == 0 ? 0 : kind == 1 ? 0xFF : UInt8(truncatingIfNeeded: random.next())
                bytes[at - whole.lowerBound] = byte
            }
        }
        return bytes
    }

    private static func apply(_ change: Change, to contents: inout SparseBytes) {
        switch change {
        case .write(let offset, let bytes): bytes.withUnsafeBytes { contents.write($0, at: offset) }
        case .resize(let size): contents.resize(to: size)
        case .allocate(let range):
            contents.reserve(range)
            if range.upperBound > contents.size { contents.resize(to: range.upperBound) }
        case .punch(let range): contents.punch(range)
        }
    }
}

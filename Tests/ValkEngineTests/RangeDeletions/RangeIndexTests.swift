// The index of range deletions alone, against the plain list of them.

import Testing
import ValkBase
import ValkTestSupport

@testable import ValkEngine

@Suite struct RangeIndexTests {
    private static func key(_ number: Int) -> [UInt8] { Array("k\(1000 + number)".utf8) }

    /// Every key has the newest deletion that covers it, whatever overlaps what, and whatever was removed.
    @Test(arguments: [3, 40, 2000])
    func agreesWithAList(count: Int) {
        let seed = TestSeed("RangeIndexTests \(count)")
        var random = seed.random
        var index = RangeDeletions.none
        var list: [RangeTombstone] = []
        for sequence in 1...count {
            let lower = random.below(300)
            let width = random.oneIn(20) ? random.below(300) : random.below(4)
            let tombstone = RangeTombstone(
                lower: RangeIndexTests.key(lower), upper: RangeIndexTests.key(lower + width),
                sequence: UInt64(sequence))
            list.append(tombstone)
            index = index.adding(tombstone)
            if random.oneIn(50) || sequence == count { expectSame(index, list, "seed \(seed.value)") }
        }
        let removed = Set(list.filter { _ in random.oneIn(3) }.map(\.sequence))
        let newest = newestOf(list)
        let left = index.removing(removed)
        for number in 0..<310 {
            let was = newest[number] ?? 0
            let found = RangeIndexTests.key(number).withView { left.sequence(over: $0) }
            // What a removed one covered does not show again: who removes it knows that nothing is there to hide.
            #expect(found == (removed.contains(was) ? 0 : was), "seed \(seed.value) key \(number)")
        }
        expectSame(RangeDeletions(list), list, "made at once, seed \(seed.value)")
    }

    private func newestOf(_ list: [RangeTombstone]) -> [Int: UInt64] {
        var newest: [Int: UInt64] = [:]
        for number in 0..<310 {
            let key = RangeIndexTests.key(number)
            newest[number] = list.last { tombstone in key.withView { tombstone.covers($0) } }?.sequence
        }
        return newest
    }

    private func expectSame(_ index: RangeDeletions, _ list: [RangeTombstone], _ context: String) {
        let newest = newestOf(list)
        let flat = index.list
        var walk = RangeWalk(flat)
        for number in 0..<310 {
            let key = RangeIndexTests.key(number)
            let wanted = newest[number] ?? 0
            #expect(key.withView { index.sequence(over: $0) } == wanted, "\(context) key \(number)")
            for sequence in [wanted, max(1, wanted) - 1] {
                let isHidden = key.withView { view in
                    withUnsafePointer(to: Entry(key: view, sequence: sequence, kind: .put)) { walk.hides($0) }
                }
                #expect(isHidden == (sequence < wanted), "\(context) key \(number)")
            }
        }
        for i in 0..<flat.count {
            let piece = flat.items[i]
            #expect(piece.lower.compare(piece.upper) < 0, "\(context)")
            if i > 0 { #expect(flat.items[i - 1].upper.compare(piece.lower) <= 0, "\(context)") }
        }
        withExtendedLifetime(flat) {}
        #expect(Set(newest.values).isSubset(of: index.sequences), "\(context)")
        #expect(index.newest == index.sequences.max() ?? 0, "\(context)")
    }

    /// Thousands that do not overlap: what is copied for each stays near the square root of their number.
    @Test func insertsCheaply() {
        var index = RangeDeletions.none
        var copied = 0
        let count = 20_000
        for number in 0..<count {
            let at = number &* 7919 % count
            let lower = Array("c\(100_000 + at)".utf8)
            let before = index.recentCount
            index = index.adding(RangeTombstone(lower: lower, upper: lower + [0], sequence: UInt64(number + 1)))
            copied += index.recentCount > before ? index.recentCount : index.count
        }
        #expect(index.count == count)
        #expect(copied < count * 400, "\(copied) copies")
    }
}

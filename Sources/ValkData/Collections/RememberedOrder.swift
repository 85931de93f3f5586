// The first or last members of a spread sorted set, as this thread's reader remembers them (RememberedKeys).

import ValkBase
import ValkEngine

extension KeyAccess {
    private func orderPrefix(_ set: borrowing Collection) -> ByteView {
        element.bound(ElementKind.score).encoded(set.namespace, set.id)
    }

    /// Shows the members of the ranks `ranks` in the order of scores, counted from the end with `fromEnd`, if all of
    /// them are remembered; false when they are not.
    package func recallMembers(
        _ set: borrowing Collection, _ ranks: Range<Int>, fromEnd: Bool,
        _ body: (ByteView, Double) throws(Interruption) -> Void
    ) throws(Interruption) -> Bool {
        guard set.isSpread, ranks.upperBound <= RememberedKeys.countMax,
            let known = reader.recallKeys(orderPrefix(set), fromEnd: fromEnd), ranks.upperBound <= known.pointee.count
        else { return false }
        for rank in ranks {
            let key = known.pointee.tail(rank)
            let bits = UInt64(bigEndian: key.base.loadUnaligned(as: UInt64.self))
            try body(key.dropFirst(8), ScoreCoding.decode(bits))
        }
        return true
    }

    /// Whether the members of these ranks can be remembered: those at an end, and not too many.
    package func canRemember(_ set: borrowing Collection, _ ranks: Range<Int>) -> Bool {
        if !set.isSpread { return false }
        return ranks.lowerBound == 0 && ranks.count <= RememberedKeys.countMax
    }

    /// Has the members remembered that follow in calls of `rememberMember`, the outermost first; `endMembers` ends it.
    package func beginMembers(_ set: borrowing Collection, fromEnd: Bool) {
        reader.beginKeys(orderPrefix(set), fromEnd: fromEnd)
    }

    package func rememberMember(_ member: ByteView, _ score: Double, fromEnd: Bool) {
        var bits = ScoreCoding.encode(score).bigEndian
        withUnsafeBytes(of: &bits) { reader.rememberKey(ByteView($0), member, fromEnd: fromEnd) }
    }

    /// `isWhole`: these were all members of the set.
    package func endMembers(isWhole: Bool, fromEnd: Bool) { reader.endKeys(isWhole: isWhole, fromEnd: fromEnd) }
}

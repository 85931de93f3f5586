// The ends of ranges of sorted sets: by score, by member in byte order, by rank.

import ValkBase
import ValkData
import ValkEngine
import ValkRESP

/// `min max` of scores, each with `(` in front when it is not in the range itself.
struct ScoreRange {
    /// As `ScoreCoding` writes scores: `lower ..< upper`.
    let lower: UInt64
    let upper: UInt64

    var isEmpty: Bool { lower >= upper }

    init?(_ c: CommandContext, _ min: ByteView, _ max: ByteView) {
        guard let low = Self.bound(c, min), let high = Self.bound(c, max) else {
            c.fail(ErrorText.notRange)
            return nil
        }
        let lowBits = ScoreCoding.encode(low.value)
        let highBits = ScoreCoding.encode(high.value)
        lower = low.isExclusive ? lowBits + 1 : lowBits
        upper = high.isExclusive ? highBits : highBits + 1
    }

    private static func bound(_ c: CommandContext, _ text: ByteView) -> (value: Double, isExclusive: Bool)? {
        let isExclusive = text.count > 0 && text[0] == UInt8(ascii: "(")
        guard let value = c.number(isExclusive ? text.dropFirst(1) : text, lenient: true) else { return nil }
        return (value, isExclusive)
    }
}

/// `min max` of members, as in ZRANGEBYLEX: `-`, `+`, `[member` or `(member`.
struct LexRange {
    let lower: RangeBound
    let upper: RangeBound

    init?(_ c: CommandContext, _ min: ByteView, _ max: ByteView) {
        guard let low = RangeBound(min), let high = RangeBound(max) else {
            c.fail(ErrorText.notLexRange)
            return nil
        }
        lower = low
        upper = high
    }

    func isAbove(_ member: ByteView) -> Bool {
        switch upper {
        case .beginning: return true
        case .end: return false
        case .key(let key, let isInclusive):
            let order = member.compare(key)
            return isInclusive ? order > 0 : order >= 0
        }
    }

    func isBelow(_ member: ByteView) -> Bool {
        switch lower {
        case .beginning: return false
        case .end: return true
        case .key(let key, let isInclusive):
            let order = member.compare(key)
            return isInclusive ? order < 0 : order <= 0
        }
    }
}

/// `start stop` of ranks, negative ones from the end.
struct RankRange {
    /// Empty when nothing is in it.
    let ranks: Range<Int>

    init(start: Int, stop: Int, count: Int) {
        let first = max(0, start < 0 ? start + count : start)
        let last = min(count - 1, stop < 0 ? stop + count : stop)
        ranks = first > last || first >= count ? 0..<0 : first..<last + 1
    }
}

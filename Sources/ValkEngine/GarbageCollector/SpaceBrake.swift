// How fast writers may be while garbage comes faster than it is given back. Plain arithmetic, no clock of its own.
//
// What the collector gives back in a second of work is measured; writers may make so much garbage at half of the slack,
// where the debt comes to rest, more below it, and less above: `freed × slack / (2 × debt)`. So there is no edge: the
// limit begins at infinity where the debt begins. That is a proportional controller of an integrator with the rate fed
// forward; it is stable as long as the looks come more often than writers fill the slack. Beyond the slack the limit
// rests for a while at most of what is freed, which brings the debt down all the same: the first debt of writers who
// begin to overwrite comes to light at once, with the flushes, and need not bring them to a crawl. For the same reason
// the limit falls no faster than the slack fills: what the collector can do is known badly before it has done much, and
// its first segments have the least garbage that it will ever see.

import Glibc

struct SpaceBrake {
    /// The most that may be written in a second, bytes of log; 0: as much as one likes.
    private(set) var limit = 0.0
    /// What the collector frees in a second of work, and the work that this was learned from, in seconds.
    private(set) var freed = 0.0
    private var learned = 0.0
    /// Debt over slack, smoothed.
    private var excess = 0.0

    /// Whatever the debt: a store that has come to a stand is worse than one that is too large.
    static let limitMin = 4.0 * 1024 * 1024
    /// A limit that nobody meets is none.
    private static let limitMax = 1024.0 * 1024 * 1024
    /// Until something was measured.
    private static let freedGuess = 128.0 * 1024 * 1024
    /// Work is forgotten after so many seconds of it.
    private static let memorySeconds = 4.0
    /// Debt jumps as whole segments are freed; the mean of so many seconds counts.
    private static let smoothingSeconds = 0.25
    /// In slacks, what may be written while the limit falls by half.
    private static let fallSlack = 1.0
    /// The least garbage for each byte written that is reckoned with.
    private static let shareMin = 0.1

    init() { freed = SpaceBrake.freedGuess }

    /// The collector gave `bytes` back in `seconds` of work.
    mutating func note(freed bytes: Double, seconds: Double) {
        guard seconds > 0 else { return }
        learned = min(learned + seconds, SpaceBrake.memorySeconds)
        let weight = 1 - exp(-seconds / max(learned, seconds))
        freed += (bytes / seconds - freed) * weight
    }

    /// One look at the store. `debt`: bytes beyond the target, negative while there is room. `slack`: what the debt may
    /// be, more than 0. `share`: garbage for each byte written, 0 to 1. `intake`: what was written in a second, since
    /// the last look, which was `seconds` ago.
    mutating func look(debt: Double, slack: Double, share: Double, intake: Double, seconds: Double) {
        let now = max(-1, min(8, debt / slack))
        excess += (now - excess) * (1 - exp(-seconds / SpaceBrake.smoothingSeconds))
        guard excess > 0 else {
            limit = 0
            return
        }
        // A fall from `before` takes as long as a part of the slack lasts, which is longer at a lower rate.
        let before = limit > 0 ? limit : intake
        let least = before / (1 + before * seconds / (slack * SpaceBrake.fallSlack))
        limit = max(least, freed * SpaceBrake.part(excess) / max(share, SpaceBrake.shareMin), SpaceBrake.limitMin)
        if limit > SpaceBrake.limitMax { limit = 0 }
    }

    /// Where a debt beyond the slack is worked off, and up to how many slacks.
    private static let rest = 0.7
    private static let restEnd = 2.0

    /// The part of what is freed that writers may make anew.
    private static func part(_ excess: Double) -> Double {
        switch excess {
        case ...(1 / (2 * rest)): 1 / (2 * excess)
        case ...restEnd: rest
        default: rest * restEnd / excess
        }
    }
}

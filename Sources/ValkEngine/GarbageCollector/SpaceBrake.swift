// How fast writers may be while garbage comes faster than it is given back. Plain arithmetic, no clock of its own.
//
// The plant: what is written makes garbage in proportion, the collector frees so much a second, the debt is what piles
// up between them. Neither factor is known, and both change with the load, so the limit is not computed but found: a
// proportional-integral controller on the logarithm of the limit. Growing debt lowers it, shrinking debt raises it
// (that damps), and it drifts until the debt rests at half of the slack. The collector answers with seconds of delay,
// so the gains go with the time in which writers fill the slack: the shorter, the gentler. A store that keeps up is
// never touched; it ends when the debt is gone and the limit is beyond what writers wrote without one.

import Glibc

struct SpaceBrake {
    /// The most that may be written in a second, bytes of log; 0: as much as one likes.
    private(set) var limit = 0.0
    /// Debt over slack, smoothed.
    private var excess = 0.0
    /// What writers wrote when nobody held them up, bytes a second.
    private var freeIntake = 0.0

    /// Whatever the debt: a store that has come to a stand is worse than one that is too large.
    static let limitMin = 4.0 * 1024 * 1024
    /// Change of the limit's logarithm for a change of the excess by 1, at most and for each second in which the slack
    /// is filled; found with the model of SpaceBrakeTests.
    private static let gainMax = 2.0
    private static let gain = 0.6
    /// ... by one look, as a factor.
    private static let step = 0.5...1.5
    private static let wanted = 0.5
    /// Debt jumps as whole segments are freed; the mean of so many seconds counts.
    private static let smoothingSeconds = 1.0
    /// The slack lasts so long, whatever the collector does, at the first limit.
    private static let firstSeconds = 3.0

    /// One look at the store. `debt`: bytes beyond the target, negative while there is room. `slack`: what the debt may
    /// be, more than 0. `intake`: bytes of log written a second since the last look, `seconds` ago.
    mutating func look(debt: Double, slack: Double, intake: Double, seconds: Double) {
        let before = excess
        let now = max(-1, min(3, debt / slack))
        excess += (now - excess) * (1 - exp(-seconds / SpaceBrake.smoothingSeconds))
        if limit == 0 {
            guard excess > 0, intake > SpaceBrake.limitMin else { return }
            freeIntake = intake
            limit = min(intake, slack / SpaceBrake.firstSeconds)
        }
        let fillSeconds = slack / limit
        let gain = min(SpaceBrake.gainMax, SpaceBrake.gain * fillSeconds)
        let drift = gain * gain / (4 * fillSeconds) * (SpaceBrake.wanted - excess) * seconds
        let factor = exp(drift - gain * (excess - before))
        limit *= min(max(factor, SpaceBrake.step.lowerBound), SpaceBrake.step.upperBound)
        if excess < 0 && limit > 1.5 * freeIntake {
            limit = 0
            return
        }
        // No further than where it holds nobody up: it must take hold at once when debt grows again.
        limit = max(SpaceBrake.limitMin, min(limit, 2 * freeIntake))
    }
}

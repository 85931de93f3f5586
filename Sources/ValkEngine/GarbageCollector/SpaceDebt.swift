// How far the store is beyond its target, look by look, and what that means for writers. Plain arithmetic, no clock of
// its own; the collector's gate guards it.

import ValkBase

struct SpaceDebt {
    /// Holds writers up when garbage outruns the collector.
    var brake = SpaceBrake()
    /// When it last looked, monotonic nanoseconds, and what had been written to the log by then.
    private var lookedAt: UInt64 = 0
    private var writtenAtLook = 0
    /// Hidden bytes at the last look, and what was written before it that may yet turn out to hide something.
    private var hiddenAtLook = 0
    private var mayHide = 0
    /// Of the log, bytes a second.
    private(set) var intake = 0.0

    /// What the debt may be.
    private var slack = SpaceDebt.slackMin

    /// Writers are held up, or could fill the slack in a few seconds: it should be looked at often.
    var isPressing: Bool { brake.limit > 0 || intake > slack / 4 }

    /// Until the next round after one that did something, milliseconds. Where writers wait for it there is next to
    /// none; where they press, not so long that they would bring much of the slack in unseen.
    func pause(_ didWork: Bool) -> UInt64 {
        if !isPressing { return 1000 }
        if didWork && brake.limit > 0 { return 10 }
        return UInt64(max(10, min(200, slack / max(intake, 1) * 1000 / 8)))
    }

    private static let lookSecondsMin = 0.05
    private static let busyBytesPerSecond = 1024.0 * 1024
    /// The debt that a small store may have.
    private static let slackMin = 48.0 * 1024 * 1024

    /// Looks at a store. `written`: bytes of log since its start; `now`: monotonic nanoseconds. Sets `debtBytes` and
    /// `intakeBytesPerSecond`. Returns what writers may write in a second, 0 for no limit.
    mutating func look(_ figures: inout SpaceFigures, written: Int, now: UInt64) -> Int {
        let seconds = Double(now - lookedAt) / 1e9
        let isFirst = lookedAt == 0
        figures.isPressing = isPressing
        if isFirst || seconds >= SpaceDebt.lookSecondsMin {
            takeIn(&figures, written)
            if !isFirst {
                intake = Double(written - writtenAtLook) / seconds
                slack = max(figures.slack, SpaceDebt.slackMin)
                brake.look(
                    debt: Double(debt(figures)), slack: slack, share: figures.overlap, intake: intake, seconds: seconds)
            }
            lookedAt = now
            writtenAtLook = written
        }
        figures.intakeBytesPerSecond = intake
        figures.isBusy = intake > SpaceDebt.busyBytesPerSecond
        figures.debtBytes = debt(figures)
        return Int(brake.limit)
    }

    /// The estimate jumps when writers begin to do otherwise, but nothing hides more than it is large.
    private mutating func takeIn(_ figures: inout SpaceFigures, _ written: Int) {
        mayHide = min(mayHide + written - writtenAtLook, figures.aheadBytes)
        var hidden = figures.hiddenBytes + figures.hiddenTableBytes
        if lookedAt > 0 && hidden > hiddenAtLook {
            hidden = min(hidden, hiddenAtLook + mayHide)
            mayHide -= hidden - hiddenAtLook
        }
        hiddenAtLook = hidden
    }

    /// What the collector can do something about, and has not. What readers hold comes back when they let go.
    private func debt(_ figures: SpaceFigures) -> Int {
        figures.exposedBytes - figures.pinnedBytes + hiddenAtLook - Int(figures.garbageMaxOfRest)
    }
}

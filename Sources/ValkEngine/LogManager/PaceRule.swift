// What a written byte costs, from what is known of the background. Plain arithmetic, no clock of its own.
//
// Debt is 0 up to a soft limit and grows evenly to 1 where the background should never be; beyond that it grows on. The
// rate that is left to writers is `drain / (2 × debt)`: without limit where the debt begins, what the background
// manages at a debt of a half, where it settles, and half of that at 1. So the delay grows from nothing with the debt,
// and the debt, which is what was let in and is not worked off, finds its place without swinging.

struct PaceRule {
    private let runsSoft: Double
    private let runsHard: Double
    var runs = 0.0
    var sealed = 0
    /// Bytes a second; 0 for none.
    var spaceRate = 0.0

    /// Bytes of log in a run that a flush brings, on the average of late.
    private var runBytes = 0.0
    /// Bytes of log that are flushed in a second while one is flushing.
    private(set) var flushRate = 0.0
    /// Runs that jobs take out of the root in a second while there are too many.
    private(set) var drainRuns = 0.0
    private var windowStart = 0.0
    private var windowRuns = 0.0

    /// Until something was measured.
    private static let rateGuess = 64.0 * 1024 * 1024
    private static let rateMin = 256.0 * 1024
    private static let windowSeconds = 2.0
    /// Jobs on the root begin at `mergeWidth` runs.
    private let runsBusy: Double

    init(mergeWidth: Int) {
        runsBusy = Double(mergeWidth)
        runsSoft = 1.5 * Double(mergeWidth)
        runsHard = 3 * Double(mergeWidth)
    }

    mutating func noteFlush(logBytes: Double, seconds: Double) {
        runBytes = runBytes == 0 ? logBytes : 0.8 * runBytes + 0.2 * logBytes
        let rate = logBytes / max(seconds, 0.001)
        flushRate = flushRate == 0 ? rate : 0.8 * flushRate + 0.2 * rate
    }

    /// `now`: seconds on any clock that does not go back.
    mutating func noteDrain(runs drained: Double, now: Double) {
        // What is drained when little is there says nothing of what could be.
        guard runs >= runsBusy else {
            windowStart = 0
            return
        }
        if windowStart == 0 {
            windowStart = now
            windowRuns = 0
            return
        }
        windowRuns += max(0, drained)
        let seconds = now - windowStart
        guard seconds >= PaceRule.windowSeconds else { return }
        let rate = windowRuns / seconds
        drainRuns = drainRuns == 0 ? rate : 0.7 * drainRuns + 0.3 * rate
        windowStart = now
        windowRuns = 0
    }

    /// Of the root.
    var runDebt: Double { max(0, (runs - runsSoft) / (runsHard - runsSoft)) }

    /// Of memory: one table may wait for the one before it.
    var tableDebt: Double {
        switch sealed {
        case ...1: 0
        case 2: 0.25
        case 3: 0.75
        default: 1.5
        }
    }

    var debt: Double { max(runDebt, tableDebt) }

    /// Bytes of log that the root gets rid of in a second.
    var drain: Double { drainRuns == 0 || runBytes == 0 ? PaceRule.rateGuess : drainRuns * runBytes }

    /// Nanoseconds for 1024 bytes of log.
    var price: Double {
        func price(_ rate: Double) -> Double { 1024e9 / max(rate, PaceRule.rateMin) }
        var highest = 0.0
        if runDebt > 0 { highest = 2 * runDebt * price(drain) }
        if tableDebt > 0 {
            highest = max(highest, 2 * tableDebt * price(flushRate == 0 ? PaceRule.rateGuess : flushRate))
        }
        if spaceRate > 0 { highest = max(highest, price(spaceRate)) }
        return highest.rounded(.up)
    }
}

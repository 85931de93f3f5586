// The brake against a model of a store: writers who write as fast as they are let, garbage in proportion to what they
// write, a collector that frees so much a second, in pieces.

import Testing

@testable import ValkEngine

struct SpaceBrakeTests {
    /// Bytes and seconds; so many looks a second.
    private struct Model {
        var brake = SpaceBrake()
        var debt: Double
        let slack: Double
        /// What writers would write in a second.
        var wish: Double
        /// Garbage for each byte written.
        var share = 1.0
        /// What the collector frees in a second, as whole pieces.
        var freed: Double
        let piece: Double
        private var work = 0.0
        private static let looks = 4

        init(debt: Double, slack: Double, wish: Double, freed: Double, piece: Double) {
            self.debt = debt
            self.slack = slack
            self.wish = wish
            self.freed = freed
            self.piece = piece
        }

        var rate: Double { brake.limit == 0 ? wish : min(wish, brake.limit) }

        /// Returns the mean rate.
        @discardableResult
        mutating func second() -> Double {
            var sum = 0.0
            let part = 1 / Double(Model.looks)
            for _ in 0..<Model.looks {
                let rate = rate
                sum += rate * part
                debt += rate * share * part
                work += freed * part
                while work >= piece {
                    work -= piece
                    // Nothing to collect where nothing is dead.
                    guard debt > -slack else { continue }
                    debt -= piece
                    brake.note(freed: piece, seconds: piece / freed)
                }
                brake.look(debt: debt, slack: slack, share: share, intake: rate, seconds: part)
            }
            return sum
        }
    }

    private static let mib = 1024.0 * 1024

    @Test func leavesAStoreAloneThatKeepsUp() {
        var model = Model(
            debt: -200 * Self.mib, slack: 200 * Self.mib, wish: 100 * Self.mib, freed: 120 * Self.mib,
            piece: 30 * Self.mib)
        for _ in 0..<300 {
            model.second()
            #expect(model.brake.limit == 0)
        }
    }

    @Test(arguments: [(300, 100), (150, 90), (700, 70), (80, 60)], [100, 384, 800, 6000])
    func findsTheRateThatTheCollectorCanFollow(_ rates: (wish: Int, freed: Int), _ slackMiB: Int) {
        let slack = Double(slackMiB) * Self.mib
        var model = Model(
            debt: -slack, slack: slack, wish: Double(rates.wish) * Self.mib, freed: Double(rates.freed) * Self.mib,
            piece: 30 * Self.mib)
        var peak = 0.0
        for _ in 0..<600 {
            model.second()
            peak = max(peak, model.debt)
        }
        // The fall from full speed is given time, which shows where writers are ten times too fast.
        #expect(peak < 1.8 * slack, "a peak of \(peak / slack) of the slack")
        var sum = 0.0
        var least = Double.infinity
        for _ in 0..<200 {
            let rate = model.second()
            sum += rate
            least = min(least, rate)
            #expect(model.debt > 0 && model.debt < 1.2 * slack, "debt \(model.debt / slack) of the slack")
        }
        let mean = sum / 200
        #expect(abs(mean / model.freed - 1) < 0.1, "\(mean / model.freed) of what is freed")
        #expect(least > 0.5 * mean)
    }

    /// What writers have hidden before anybody saw it comes to light at once: it is worked off without bringing them
    /// down to much less than half of what can be freed.
    @Test func worksOffALateDebtEvenly() {
        let slack = 120 * Self.mib
        var model = Model(
            debt: 1.8 * slack, slack: slack, wish: 400 * Self.mib, freed: 200 * Self.mib, piece: 8 * Self.mib)
        // The freed rate is known from earlier.
        model.brake.note(freed: 800 * Self.mib, seconds: 4)
        var least = Double.infinity
        for _ in 0..<5 { least = min(least, model.second()) }
        #expect(model.debt < slack)
        #expect(least >= 0.4 * model.freed)
    }

    /// What the collector can do is not known when writers first overwrite: its first measure may be far too low.
    @Test func fallsNoFasterThanTheSlackFills() {
        var brake = SpaceBrake()
        let slack = 400 * Self.mib
        let intake = 300 * Self.mib
        brake.note(freed: 5 * Self.mib, seconds: 1)
        brake.look(debt: 3 * slack, slack: slack, share: 1, intake: intake, seconds: 0.25)
        #expect(brake.limit > 0.8 * intake && brake.limit < intake)
        var written = 0.25 * brake.limit
        while brake.limit > intake / 10 {
            brake.look(debt: 3 * slack, slack: slack, share: 1, intake: brake.limit, seconds: 0.25)
            written += 0.25 * brake.limit
        }
        #expect(written < 3 * slack)
        // In a small store that is at once.
        var small = SpaceBrake()
        small.note(freed: 5 * Self.mib, seconds: 1)
        small.look(debt: 60 * Self.mib, slack: 20 * Self.mib, share: 1, intake: intake, seconds: 0.25)
        #expect(small.limit < 0.25 * intake)
    }

    @Test func looksTheMoreOftenTheFasterTheSlackFills() {
        func pause(_ intakeMiB: Int) -> UInt64 {
            var debt = SpaceDebt()
            var figures = SpaceFigures()
            // A slack of 75 MiB.
            figures.referencedBytes = 1000 << 20
            figures.target = 1.3
            _ = debt.look(&figures, written: 0, now: 1_000_000_000)
            _ = debt.look(&figures, written: intakeMiB << 20, now: 2_000_000_000)
            return debt.pause(false)
        }
        #expect(pause(1) == 1000)
        #expect(pause(40) == 200)
        #expect(pause(100) == 93)
        #expect(pause(800) == 11)
        #expect(pause(5000) == 10)
    }

    @Test func letsGoWhenTheDebtIsPaid() {
        var model = Model(
            debt: 0, slack: 200 * Self.mib, wish: 300 * Self.mib, freed: 60 * Self.mib, piece: 20 * Self.mib)
        for _ in 0..<200 { model.second() }
        #expect(model.brake.limit > 0 && model.brake.limit < 100 * Self.mib)
        // From now on they write what hides nothing.
        model.share = 0
        for _ in 0..<30 { model.second() }
        #expect(model.brake.limit == 0)
    }

    @Test func neverBringsWritersToAStand() {
        var brake = SpaceBrake()
        for _ in 0..<1000 {
            brake.note(freed: 0, seconds: 1)
            brake.look(debt: 1e12, slack: 1e9, share: 1, intake: 0, seconds: 1)
        }
        #expect(brake.limit == SpaceBrake.limitMin)
    }
}

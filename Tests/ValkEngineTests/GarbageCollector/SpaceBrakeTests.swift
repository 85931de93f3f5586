// The brake against a model of a store: writers who write as fast as they are let, garbage in proportion to what they
// write, a collector that frees so much a second, in pieces.

import Testing

@testable import ValkEngine

struct SpaceBrakeTests {
    /// Bytes and seconds; one look a second.
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

        init(debt: Double, slack: Double, wish: Double, freed: Double, piece: Double) {
            self.debt = debt
            self.slack = slack
            self.wish = wish
            self.freed = freed
            self.piece = piece
        }

        var rate: Double { brake.limit == 0 ? wish : min(wish, brake.limit) }

        mutating func second() {
            let rate = rate
            debt += rate * share
            work += freed
            while work >= piece {
                work -= piece
                // Nothing to collect where nothing is dead.
                if debt > -slack { debt -= piece }
            }
            brake.look(debt: debt, slack: slack, intake: rate, seconds: 1)
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

    @Test(arguments: [(300, 100), (150, 90), (700, 70), (80, 60)], [384, 800, 6000])
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
        #expect(peak < slack + 2 * model.wish, "a peak of \(peak / slack) of the slack")
        var sum = 0.0
        var least = Double.infinity
        for _ in 0..<200 {
            model.second()
            sum += model.rate
            least = min(least, model.rate)
            #expect(model.debt > 0 && model.debt < 1.2 * slack, "debt \(model.debt / slack) of the slack")
        }
        let mean = sum / 200
        #expect(abs(mean / model.freed - 1) < 0.1, "\(mean / model.freed) of what is freed")
        #expect(least > 0.5 * mean)
    }

    @Test func letsGoWhenTheDebtIsPaid() {
        var model = Model(
            debt: 0, slack: 200 * Self.mib, wish: 300 * Self.mib, freed: 60 * Self.mib, piece: 20 * Self.mib)
        for _ in 0..<200 { model.second() }
        #expect(model.brake.limit > 0 && model.brake.limit < 100 * Self.mib)
        // From now on they write what hides nothing.
        model.share = 0
        for _ in 0..<60 { model.second() }
        #expect(model.brake.limit == 0)
    }

    @Test func neverBringsWritersToAStand() {
        var brake = SpaceBrake()
        for _ in 0..<1000 { brake.look(debt: 1e12, slack: 1e9, intake: 1e8, seconds: 1) }
        #expect(brake.limit == SpaceBrake.limitMin)
    }
}

// Which keys a look for victims finds.

import Testing
import ValkBase
import ValkData
import ValkEngine
import ValkTestSupport

@Suite struct EvictionWalkTests {
    private let seed = TestSeed("evictions").value

    private func walk(_ harness: Harness) -> EvictionWalk {
        EvictionWalk(harness.keyspace, reader: StoreReader(harness.store, mayBlock: true), seed: seed)
    }

    private func name(_ victim: EvictionVictim) -> String { String(decoding: victim.key, as: UTF8.self) }

    /// Looks at so many rows without removing anything; returns the victims and how many keys were looked at.
    private func look(
        _ harness: Harness, _ policy: EvictionPolicy, rows: Int, share: Double = 0.1
    ) throws -> (victims: [EvictionVictim], looked: Int) {
        let walk = walk(harness)
        var victims: [EvictionVictim] = []
        var looked = 0
        for _ in 0..<rows { looked += try walk.look(policy, share: share, now: harness.now, into: &victims) }
        return (victims, looked)
    }

    @Test func theLeastUsedGo() throws {
        for policy in [EvictionPolicy.allKeysLRU, .allKeysLFU] {
            let harness = try Harness()
            let accesses = harness.keyspace.accesses
            accesses.count(frequency: policy.countsFrequency, FrequencyRule(logFactor: 0, decayMinutes: 0))
            accesses.setTime(milliseconds: 0)
            for n in 0..<5000 { harness.run("SET", "key:\(n * 7919 % 5000)", "v") }
            accesses.setTime(milliseconds: 60_000)
            // Four in five are used again.
            for n in 0..<5000 where n % 5 != 0 { harness.run("GET", "key:\(n)") }
            let (victims, looked) = try look(harness, policy, rows: 40)
            #expect(looked >= 40 * 100)
            let unused = victims.filter { (Int(name($0).dropFirst(4)) ?? 1) % 5 == 0 }
            #expect(Double(unused.count) > 0.97 * Double(victims.count), "\(unused.count) of \(victims.count)")
            // About a tenth of what was looked at.
            #expect((0.05...0.16).contains(Double(victims.count) / Double(looked)), "\(victims.count) of \(looked)")
        }
    }

    @Test func keysWithoutExpiryAreSafeFromVolatilePolicies() throws {
        let harness = try Harness()
        for n in 0..<1000 { harness.run("SET", "stays:\(n)", "v") }
        for policy in [EvictionPolicy.volatileLRU, .volatileLFU, .volatileRandom, .volatileTTL] {
            #expect(try look(harness, policy, rows: 1).looked == 0)
        }
        for n in 0..<1000 { harness.run("SET", "goes:\(n)", "v", "EX", "\(1000 + n)") }
        for policy in [EvictionPolicy.volatileLRU, .volatileLFU, .volatileRandom, .volatileTTL] {
            let (victims, _) = try look(harness, policy, rows: 5)
            #expect(!victims.isEmpty)
            #expect(victims.allSatisfy { name($0).hasPrefix("goes:") })
        }
    }

    @Test func theNextToExpireGoFirst() throws {
        let harness = try Harness()
        for n in 0..<1000 { harness.run("SET", "key:\(n)", "v", "EX", "\(1000 + n * 7919 % 1000)") }
        let (victims, _) = try look(harness, .volatileTTL, rows: 1)
        let times = victims.map { Int(harness.run("TTL", name($0)).dropFirst()) ?? 0 }
        #expect(times == times.sorted())
        #expect(times.first == 1000)
        #expect(times.count == (times.last ?? 0) - 1000 + 1)
    }

    @Test func ofManyKeysTheNextToExpireGo() throws {
        let harness = try Harness()
        for n in 0..<6000 { harness.run("SET", "key:\(n)", "v", "EX", "\(1000 + n * 7919 % 6000)") }
        let (victims, _) = try look(harness, .volatileTTL, rows: 60)
        let times = victims.map { Int(harness.run("TTL", name($0)).dropFirst()) ?? 0 }
        #expect(times.count > 300)
        // A tenth was wanted, and so the times are among the first tenth, or nearly.
        let late = times.filter { $0 > 1000 + 900 }
        #expect(late.count * 20 < times.count, "\(late.count) of \(times.count)")
    }

    /// Most keys expire late: a fifth of the keys is not a fifth of the times.
    @Test func theNextToExpireAreAShareOfTheKeys() throws {
        let harness = try Harness()
        for n in 0..<10_000 {
            let lifetime = n % 20 == 0 ? 1000 + n * 10 : 101_000 + n * 7919 % 10_000
            harness.run("SET", "key:\(n * 7919 % 10_000)", "v", "EX", "\(lifetime)")
        }
        let (victims, looked) = try look(harness, .volatileTTL, rows: 60, share: 0.2)
        #expect(looked > 10_000)
        let names = Set(victims.map(name))
        #expect((1400...2600).contains(names.count), "\(names.count) of 10,000")
        let late = names.filter { (Int(harness.run("TTL", $0).dropFirst()) ?? 0) > 104_000 }
        #expect(late.count * 20 < names.count, "\(late.count) of \(names.count)")
    }

    @Test func chanceTakesAll() throws {
        let harness = try Harness()
        for n in 0..<2000 { harness.run("SET", "key:\(n)", "v") }
        let (victims, looked) = try look(harness, .allKeysRandom, rows: 60)
        #expect((0.05...0.16).contains(Double(victims.count) / Double(looked)))
        #expect(Set(victims.map { name($0).prefix(5) }).count >= 9)
    }

    @Test func everyDatabaseIsLookedAt() throws {
        let harness = try Harness()
        for database in 0..<4 {
            harness.database = database
            for n in 0..<300 { harness.run("SET", "key:\(n)", "v") }
        }
        let (victims, _) = try look(harness, .allKeysRandom, rows: 60, share: 0.5)
        #expect(Set(victims.map(\.database)) == [0, 1, 2, 3])
        #expect(try look(harness, .volatileRandom, rows: 3).looked == 0)
    }

    @Test func halfGoWhenHalfIsWanted() throws {
        let harness = try Harness()
        for n in 0..<5000 { harness.run("SET", "key:\(n)", "v") }
        let (victims, looked) = try look(harness, .allKeysLRU, rows: 40, share: 0.5)
        #expect((0.4...0.6).contains(Double(victims.count) / Double(looked)), "\(victims.count) of \(looked)")
    }

    @Test func expiredKeysAreLeftToTheirExpiry() throws {
        let harness = try Harness()
        for n in 0..<100 { harness.run("SET", "key:\(n)", "v", "PX", "10") }
        harness.clock.advance(100)
        #expect(try look(harness, .allKeysLRU, rows: 1).victims.isEmpty)
    }
}

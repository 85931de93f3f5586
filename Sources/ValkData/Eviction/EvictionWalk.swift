// Finding keys to evict: some dozens of neighbouring keys at a time, of which those go that are among the least used of
// all that were looked at lately.
//
// Redis draws some keys at random and evicts the worst of them, again and again. Here a key at random is a search in
// the tree and perhaps a read of the disk, and its neighbours cost next to nothing more; so a look takes a row of
// keys. Which of them go is decided by a threshold: the scores of the last few thousand keys that were looked at are
// kept, and whatever is worse than all but the wanted share of them goes. Neighbours that are all in use stay all, a
// row of forgotten ones goes whole. Where a row yields as much as expected the walk goes on behind it, otherwise it
// jumps to a place at random.
//
// For volatile-ttl the score is the time, and the rows are those of the expiry index, from its start up to the
// threshold and round again. Of few keys it takes the very next to expire; of many any of the next ones, as Redis does
// with its samples: otherwise keys that live shortly would never stay long enough to be of use. The scores are of keys
// in the order of their names then: places of the index by chance are spread evenly over the times, not over the keys,
// and most keys may expire late.
//
// One walk belongs to one thread at a time. It only reads; who removes a victim looks at it again with its stripe held.

import ValkBase
import ValkEngine

package struct EvictionVictim: Sendable {
    package let database: Int
    package let key: [UInt8]
}

package final class EvictionWalk {
    private static let rowKeys = 256
    private static let scoresKept = 4096
    /// So many new scores, and the threshold is set anew.
    private static let scoresPerThreshold = 256
    /// Before the first keys go, so many are looked at.
    private static let scoresAtFirst = 2048
    private static let placesPerSample = 16
    /// Times are sampled with every so many looks.
    private static let looksPerSample = 4
    /// So few keys that the next to expire go in their order.
    private static let keysInOrderMax: Int64 = 4096

    private let keyspace: Keyspace
    private let reader: StoreReader
    private let scratch = KeyScratch()
    private let lower = KeyScratch()
    private let upper = KeyScratch()
    private var generator: SeededRandom
    /// Scores of keys looked at lately, in a ring.
    private var scores: [UInt32] = []
    private var nextScore = 0
    private var scoresSince = 0
    /// Keys with a higher score go, and `chance` of those with this one (of 2^32).
    private var threshold: UInt32 = 0
    private var chance: UInt64 = 0
    private var policy = EvictionPolicy.noEviction
    /// Where to go on; nil: anywhere.
    private var place: (database: Int, key: [UInt8])?
    /// Milliseconds since 1970 that times are compared from.
    private var timeBase: UInt64 = 0
    /// Looks until times are sampled again.
    private var looksToSample = 0

    /// `reader` is used by this walk alone, and may block.
    package init(_ keyspace: Keyspace, reader: StoreReader, seed: UInt64 = Monotonic.nanoseconds()) {
        self.keyspace = keyspace
        self.reader = reader
        generator = SeededRandom(seed: seed)
    }

    deinit {
        scratch.deallocate()
        lower.deallocate()
        upper.deallocate()
    }

    /// Looks at a row of keys and adds those that should go to `victims`: of all keys about `share` (more than 0, at
    /// most 1). Returns how many were looked at; 0 when the policy has no keys at all.
    package func look(
        _ policy: EvictionPolicy, share: Double, now: UInt64, into victims: inout [EvictionVictim]
    ) throws(Interruption) -> Int {
        if policy != self.policy { begin(policy, now) }
        reader.begin()
        defer { reader.end() }
        let keys = keyCount
        if keys == 0 { return 0 }
        let isInOrder = policy == .volatileTTL && keys <= EvictionWalk.keysInOrderMax
        if policy == .volatileTTL && !isInOrder { return try lookByTime(share, now, into: &victims) }
        if isInOrder {
            place = nil
        } else if !policy.isRandom {
            try learn(now, min(EvictionWalk.scoresAtFirst, Int(keys)))
        }
        // A place may have nothing behind it, and a database hold only what has expired.
        for _ in 0..<4 {
            guard let database = place?.database ?? drawDatabase() else { return 0 }
            let row = try row(database, now, fromStart: isInOrder)
            if row.isEmpty {
                place = nil
                continue
            }
            if isInOrder {
                for candidate in row { victims.append(EvictionVictim(database: database, key: candidate.user)) }
            } else {
                choose(row, share: share, database, into: &victims)
            }
            return row.count
        }
        return 0
    }

    /// The next row in the order of time, up to the threshold; then from the start again.
    private func lookByTime(
        _ share: Double, _ now: UInt64, into victims: inout [EvictionVictim]
    ) throws(Interruption) -> Int {
        if looksToSample == 0 {
            looksToSample = EvictionWalk.looksPerSample
            var rows = 0
            repeat {
                try sampleTimes(now)
                rows += 1
            } while scores.count < EvictionWalk.scoresAtFirst && rows < 32
        }
        looksToSample -= 1
        // Where hardly a key expires, chance meets none of them.
        if scores.count < EvictionWalk.scoresPerThreshold {
            try learn(now, EvictionWalk.scoresAtFirst)
            place = nil
        }
        if scoresSince >= EvictionWalk.scoresPerThreshold { setThreshold(share) }
        for _ in 0..<4 {
            let isAtStart = place == nil
            guard let database = place?.database ?? drawDatabase() else { return 0 }
            let row = try row(database, now, fromStart: isAtStart)
            if row.isEmpty {
                place = nil
                continue
            }
            var taken = row.firstIndex { $0.score < threshold } ?? row.count
            if taken < row.count { place = nil }
            // Whatever was sampled before: the first ones may go.
            if isAtStart && taken == 0 { taken = max(1, Int(share * Double(row.count))) }
            for candidate in row[..<taken] { victims.append(EvictionVictim(database: database, key: candidate.user)) }
            return row.count
        }
        return 0
    }

    /// Notes the times of keys by their names, at some places by chance: neighbours may expire at much the same time.
    private func sampleTimes(_ now: UInt64) throws(Interruption) {
        guard let database = drawDatabase() else { return }
        let namespace = keyspace.namespace(database)
        let cursor = try reader.cursor(
            lower: lower.bound(namespace, KeySpace.keys), upper: upper.bound(namespace, KeySpace.keys + 1))
        for _ in 0..<EvictionWalk.placesPerSample {
            guard try RandomKey.place(cursor, &generator) else { return }
            for _ in 0..<EvictionWalk.rowKeys / EvictionWalk.placesPerSample where cursor.isValid {
                let expireAt = cursor.entry.pointee.expireAt
                if expireAt > now { note(score(namespace, .empty, expireAt)) }
                try cursor.next()
            }
        }
    }

    /// Looks at keys only, until so many scores are known.
    private func learn(_ now: UInt64, _ wanted: Int) throws(Interruption) {
        var rows = 0
        while scores.count < wanted && rows < 32 {
            place = nil
            guard let database = drawDatabase() else { return }
            for candidate in try row(database, now, fromStart: false) { note(candidate.score) }
            rows += 1
            place = nil
        }
    }

    private func begin(_ policy: EvictionPolicy, _ now: UInt64) {
        self.policy = policy
        timeBase = now
        place = nil
        scores.removeAll(keepingCapacity: true)
        (nextScore, scoresSince) = (0, EvictionWalk.scoresPerThreshold)
        looksToSample = 0
    }

    // MARK: Where to look

    /// A database by the number of its keys; nil when there are none.
    private func drawDatabase() -> Int? {
        var counts: [(database: Int, keys: Int)] = []
        var sum = 0
        for database in 0..<keyspace.databaseCount {
            let keys = Int(keyCount(database))
            if keys == 0 { continue }
            counts.append((database, keys))
            sum += keys
        }
        if sum == 0 { return nil }
        var drawn = generator.below(sum)
        for (database, keys) in counts {
            if drawn < keys { return database }
            drawn -= keys
        }
        return nil
    }

    /// Keys that may go, as far as counts tell.
    private func keyCount(_ database: Int) -> Int64 {
        let found = keyspace.counts(database)
        return max(0, policy.isVolatile ? found.expires : found.keys + found.unknown)
    }

    private var keyCount: Int64 { (0..<keyspace.databaseCount).reduce(0) { $0 + keyCount($1) } }

    private struct Candidate {
        let user: [UInt8]
        let score: UInt32
    }

    /// The keys at `place`, or at a place by chance, of a database; leaves `place` behind them.
    private func row(_ database: Int, _ now: UInt64, fromStart: Bool) throws(Interruption) -> [Candidate] {
        let namespace = keyspace.namespace(database)
        let space = policy.isVolatile ? KeySpace.expiry : KeySpace.keys
        let cursor = try reader.cursor(lower: lower.bound(namespace, space), upper: upper.bound(namespace, space + 1))
        if let key = place?.key {
            var fault: Interruption?
            key.withView { view in do throws(Interruption) { try cursor.seek(view) } catch { fault = error } }
            if let fault { throw fault }
        } else if fromStart {
            try cursor.seekToFirst()
        } else if !(try RandomKey.place(cursor, &generator)) {
            return []
        }
        var row: [Candidate] = []
        let prefix = policy.isVolatile ? KeyEncoding.expiryPrefixBytes : KeyEncoding.prefixBytes
        while cursor.isValid && row.count < EvictionWalk.rowKeys {
            let user = cursor.key.dropFirst(prefix)
            let expireAt =
                policy.isVolatile ? cursor.key.base.bigEndian(5, UInt64.self) : cursor.entry.pointee.expireAt
            // What has expired goes anyway.
            if expireAt == 0 || expireAt > now {
                row.append(Candidate(user: user.array, score: score(namespace, user, expireAt)))
            }
            try cursor.next()
        }
        place = cursor.isValid ? (database, cursor.key.array) : nil
        return row
    }

    private func score(_ namespace: UInt32, _ user: ByteView, _ expireAt: UInt64) -> UInt32 {
        switch policy {
        case .volatileRandom, .allKeysRandom, .noEviction: 0
        // In steps of 8 ms, so that a year fits.
        case .volatileTTL: UInt32.max - UInt32(clamping: (expireAt - min(expireAt, timeBase)) / 8)
        default: keyspace.accesses.score(scratch.key(namespace, user).hash64)
        }
    }

    // MARK: Who goes

    private func choose(
        _ row: [Candidate], share: Double, _ database: Int, into victims: inout [EvictionVictim]
    ) {
        for candidate in row { note(candidate.score) }
        if scoresSince >= EvictionWalk.scoresPerThreshold { setThreshold(share) }
        var taken = 0
        for candidate in row
        where candidate.score > threshold || candidate.score == threshold && generator.next() >> 32 < chance {
            victims.append(EvictionVictim(database: database, key: candidate.user))
            taken += 1
        }
        // By chance one row is as good as another.
        if !policy.isRandom && Double(taken) < Double(row.count) * share / 2 { place = nil }
    }

    private func note(_ score: UInt32) {
        if scores.count < EvictionWalk.scoresKept {
            scores.append(score)
        } else {
            scores[nextScore] = score
            nextScore = (nextScore + 1) % EvictionWalk.scoresKept
        }
        scoresSince += 1
    }

    /// Such that `share` of the scores are above it, or are it and lucky.
    private func setThreshold(_ share: Double) {
        scoresSince = 0
        let sorted = scores.sorted()
        let wanted = min(Double(sorted.count), max(1, share * Double(sorted.count)))
        threshold = sorted[max(0, sorted.count - Int(wanted.rounded(.up)))]
        let above = sorted.count - (sorted.firstIndex { $0 > threshold } ?? sorted.count)
        let same = sorted.reduce(0) { $1 == threshold ? $0 + 1 : $0 }
        chance = UInt64(max(0, min(1, (wanted - Double(above)) / Double(max(1, same)))) * 4_294_967_296)
    }
}

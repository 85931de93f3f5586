// Exact key counts without reading before each write.
//
// Every write to a counted key changes the count of its namespace by what it found: a put of a key that was absent adds
// one, a delete of a present key takes one. A blind put does not look, so its effect is unknown. It is carried as the
// flag `priorUnknown` until the version meets what lies below it: at a merge, for nothing, or when somebody asks for
// the exact count. The flag of a merged entry belongs to the oldest version that was merged into it, because only that
// one's prior is still open. Deletes always know their prior (a delete of an absent key is not written), so an open
// flag is always a put's: it added a key if nothing lay below, and it hid an expiring key if one did.

import ValkBase

enum CountedKey {
    /// The byte behind the namespace.
    static let space: UInt8 = 1

    /// The namespace of a counted key (space 1), nil for all other keys.
    @inline(__always)
    static func namespace(_ key: ByteView) -> UInt32? {
        guard key.count >= 5, key[4] == space else { return nil }
        return key.base.bigEndian(0, UInt32.self)
    }
}

extension CountDeltas {
    /// Accounts for a put whose prior is now known: `prior` is the newest older version, nil when there is none.
    mutating func resolve(_ namespace: UInt32, prior: (kind: EntryKind, expires: Bool)?) {
        withCounts(namespace) { counts in
            counts.unknown -= 1
            if let prior, prior.kind == .put {
                if prior.expires { counts.expires -= 1 }
            } else {
                counts.keys += 1
            }
        }
    }
}

/// Walks the versions of one key from newest to oldest, as a merge meets them, and settles what can be settled.
struct VersionChain {
    private var openNamespace: UInt32?

    /// Takes the next older version. `isResolved`: the flag of this version's run has been accounted for already.
    mutating func take(_ entry: Entry, isResolved: Bool, deltas: inout CountDeltas) {
        if let open = openNamespace {
            deltas.resolve(open, prior: (entry.kind, entry.expireAt != 0))
            openNamespace = nil
        }
        if entry.flags.contains(.priorUnknown) && !isResolved { openNamespace = CountedKey.namespace(entry.key) }
    }

    /// Ends the chain. `isBottom`: nothing older exists anywhere. Returns whether the prior is still unknown.
    mutating func finish(isBottom: Bool, deltas: inout CountDeltas) -> Bool {
        guard let open = openNamespace else { return false }
        openNamespace = nil
        if !isBottom { return true }
        deltas.resolve(open, prior: nil)
        return false
    }
}

// What is remembered of the uses of keys, for commands that ask for it or say it.

import ValkBase
import ValkEngine

extension KeyAccess {
    private func hash(_ user: ByteView) -> UInt64 { encoded(user).hash64 }

    /// Seconds since a key of the selected database was last used; nil where frequency is counted instead.
    package func idleSeconds(_ user: ByteView) -> Int? {
        let accesses = keyspace.accesses
        return accesses.countsFrequency ? nil : accesses.idleSeconds(hash(user))
    }

    /// How often it is used, 0 to 255; nil where time is counted instead.
    package func frequency(_ user: ByteView) -> Int? {
        let accesses = keyspace.accesses
        return accesses.countsFrequency ? accesses.frequency(hash(user)) : nil
    }

    /// Says how long a key was idle and how often it was used before it came here; what is not counted is dropped.
    package func noteUse(_ user: ByteView, idleSeconds: Int?, frequency: Int?) {
        let accesses = keyspace.accesses
        if accesses.countsFrequency {
            if let frequency { accesses.setFrequency(hash(user), frequency) }
        } else if let idleSeconds {
            accesses.setIdle(hash(user), seconds: idleSeconds)
        }
    }
}

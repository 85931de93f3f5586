// Why an operation could not be finished here and now. A trivial enum, so that typed throws cost a register compare.
// The story for people (file, offset, errno) is kept by whoever met the fault and is asked for by name.

package enum Interruption: Error, Sendable, Equatable {
    /// The bytes are not in memory and this thread must not wait: run the whole operation again on a worker.
    case wouldBlock
    /// Stored bytes failed their checksum; the keys in them cannot be read.
    case damaged
    /// A write or sync of the log failed earlier; nothing more is accepted until a restart.
    case writesStopped
    /// No room on the device for more log.
    case noSpace
    /// A read failed in the device or the file system.
    case readFailed
}

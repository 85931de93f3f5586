// The incremental request parser: RESP multibulk requests and inline commands out of a byte stream.
//
// The bytes lie in memory that the caller owns: [base, base + length). The caller appends to them, may move them, and
// tells the parser with every call where they are now. `next` yields one command a call as views into those bytes.
//
// Invariants:
// 1. No byte is looked at twice: where a search for a line end stopped, the next call goes on.
// 2. `position` is the offset of the first byte that is not yet part of a finished command (in the middle of a command:
//    of that command's first byte not yet taken in). `commandStart` is where the unfinished command begins; bytes
//    before it are no longer needed once the finished commands have been answered.
// 3. Views handed out earlier for the unfinished command move with the bytes: when `base` changed, they are shifted.
// 4. `bytesWanted` is the length that the input must reach before the argument under way is whole. A caller that makes
//    room for it at once reads a big argument straight into place.
// 5. The argument list is kept in memory of the parser's own, taken at the first command, given back by `release`.
//
// Errors are final: the connection answers and closes. One thread at a time.

import Glibc
import ValkBase

/// What the server allows a client to send.
@frozen
package struct RequestLimits: Sendable {
    /// Longest single argument in bytes (`proto-max-bulk-len`).
    package var bulkBytesMax: Int
    /// False while a password is needed and not given: at most 10 arguments of at most 16 KiB.
    package var authenticated: Bool

    package init(bulkBytesMax: Int = 512 << 20, authenticated: Bool = true) {
        self.bulkBytesMax = bulkBytesMax
        self.authenticated = authenticated
    }

    /// Longest inline command, count line or length line without its end, in bytes.
    static let lineBytesMax = 64 << 10
    static let unauthenticatedArgumentsMax = 10
    static let unauthenticatedBulkBytesMax = 16 << 10
    /// Arguments for which room is made before they have arrived; a lie about the count must not cost memory.
    static let argumentsReservedMax = 1024
}

package struct RequestParser: ~Copyable {
    package enum Outcome: Equatable {
        /// A command is in `arguments`.
        case command
        /// More bytes are needed.
        case incomplete
        case failed(ProtocolError)
    }

    /// First byte not yet taken in, from the start of the input.
    package private(set) var position = 0
    /// First byte of the command under way or just finished, from the start of the input.
    package private(set) var commandStart = 0
    /// Input length at which the argument under way is whole; 0 when that is not known.
    package private(set) var bytesWanted = 0

    private var views: UnsafeMutablePointer<ByteView>?
    private var viewCapacity = 0
    private var viewCount = 0
    /// Arguments still to come of the multibulk request under way; 0 between commands.
    private var argumentsLeft = 0
    /// Length of the argument under way, -1 when its length line has not been read.
    private var bulkLength = -1
    /// Where the search for a line end goes on.
    private var scanned = 0
    /// Where the input lay at the last call; views of an unfinished command point there.
    private var inputBase: UnsafeRawPointer?

    package init() {}

    deinit { views?.deallocate() }

    /// The command that `next` found; valid while the input stays where it is, until the next call.
    package var arguments: ArgumentList {
        guard let views else { return ArgumentList(views: noViews, count: 0) }
        return ArgumentList(views: UnsafePointer(views), count: viewCount)
    }

    /// Bytes of the command that `next` has just found, from its first to its last.
    package var commandBytes: Int { position - commandStart }

    /// True in the middle of a command.
    package var isMidCommand: Bool { argumentsLeft > 0 || scanned > position }

    /// Looks for the next command in `length` bytes at `base`. Bytes of an inline command are decoded in place.
    package mutating func next(_ base: UnsafeMutableRawPointer, _ length: Int, _ limits: RequestLimits) -> Outcome {
        if argumentsLeft > 0 {
            if inputBase != UnsafeRawPointer(base) { moveViews(to: base) }
            return multibulkArguments(base, length, limits)
        }
        while position < length {
            commandStart = position
            viewCount = 0
            if base.load(fromByteOffset: position, as: UInt8.self) != UInt8(ascii: "*") {
                let outcome = inlineCommand(base, length)
                // An empty line is no command.
                if outcome == .command && viewCount == 0 { continue }
                return outcome
            }
            guard let end = lineEnd(base, length) else {
                if length - position > RequestLimits.lineBytesMax { return .failed(.tooBigMultibulkCount) }
                return .incomplete
            }
            guard let count = number(base + (position + 1), end - position - 1), count <= Int64(Int32.max) else {
                return .failed(.invalidMultibulkLength)
            }
            if count > RequestLimits.unauthenticatedArgumentsMax && !limits.authenticated {
                return .failed(.unauthenticatedMultibulkLength)
            }
            position = end + 2
            scanned = position
            // "*0" and "*-1" are nothing.
            if count <= 0 { continue }
            argumentsLeft = Int(count)
            makeRoom(min(argumentsLeft, RequestLimits.argumentsReservedMax))
            inputBase = UnsafeRawPointer(base)
            return multibulkArguments(base, length, limits)
        }
        commandStart = position
        return .incomplete
    }

    /// The input's first `n` bytes (at most `commandStart`, or `position` between commands) are gone.
    package mutating func discard(_ n: Int) {
        precondition(n <= (argumentsLeft > 0 ? commandStart : position), "discard(\(n)) at \(position)")
        position -= n
        commandStart = max(0, commandStart - n)
        scanned = max(0, scanned - n)
        if bytesWanted > 0 { bytesWanted -= n }
        // The new first byte is where byte `n` was; views are measured from there when the input turns up elsewhere.
        if let at = inputBase { inputBase = at + n }
    }

    /// The input moved to `base` while the arguments of the finished command are still in use.
    package mutating func rebase(_ base: UnsafeRawPointer) { moveViews(to: base) }

    /// Gives the argument memory back; between commands only.
    package mutating func release() {
        precondition(argumentsLeft == 0, "release in the middle of a command")
        views?.deallocate()
        views = nil
        viewCapacity = 0
        viewCount = 0
    }

    /// Bytes of memory that this parser holds besides itself.
    package var memoryBytes: Int { viewCapacity * MemoryLayout<ByteView>.stride }

    // MARK: Multibulk

    private mutating func multibulkArguments(
        _ base: UnsafeMutableRawPointer, _ length: Int, _ limits: RequestLimits
    ) -> Outcome {
        while argumentsLeft > 0 {
            if bulkLength < 0 {
                guard let end = lineEnd(base, length) else {
                    // The argument before this one is whole.
                    bytesWanted = 0
                    if length - position > RequestLimits.lineBytesMax { return .failed(.tooBigBulkCount) }
                    return .incomplete
                }
                let type = base.load(fromByteOffset: position, as: UInt8.self)
                if type != UInt8(ascii: "$") { return .failed(.expectedBulk(type)) }
                guard let count = number(base + (position + 1), end - position - 1), count >= 0,
                    count <= Int64(limits.bulkBytesMax)
                else { return .failed(.invalidBulkLength) }
                if count > Int64(RequestLimits.unauthenticatedBulkBytesMax) && !limits.authenticated {
                    return .failed(.unauthenticatedBulkLength)
                }
                position = end + 2
                bulkLength = Int(count)
            }
            if length - position < bulkLength + 2 {
                bytesWanted = position + bulkLength + 2
                scanned = position
                return .incomplete
            }
            appendArgument(ByteView(base: UnsafeRawPointer(base) + position, count: bulkLength))
            position += bulkLength + 2
            scanned = position
            bulkLength = -1
            argumentsLeft -= 1
        }
        bytesWanted = 0
        inputBase = UnsafeRawPointer(base)
        return .command
    }

    /// Offset of the '\r' that ends the line at `position`, once the byte after it has arrived too. Count and length
    /// lines are a few bytes, so a plain loop beats a library call.
    private mutating func lineEnd(_ base: UnsafeMutableRawPointer, _ length: Int) -> Int? {
        var at = scanned > position ? scanned : position
        while at < length {
            if base.load(fromByteOffset: at, as: UInt8.self) == 0x0D {
                scanned = at
                return at + 1 < length ? at : nil
            }
            at &+= 1
        }
        scanned = at
        return nil
    }

    /// A decimal number of `count` bytes, in canonical form.
    private func number(_ at: UnsafeMutableRawPointer, _ count: Int) -> Int64? {
        if count == 1 {
            let digit = at.load(as: UInt8.self) &- 0x30
            return digit <= 9 ? Int64(digit) : nil
        }
        return Decimal.parse(ByteView(base: UnsafeRawPointer(at), count: count))
    }

    // MARK: Inline

    private mutating func inlineCommand(_ base: UnsafeMutableRawPointer, _ length: Int) -> Outcome {
        let from = scanned > position ? scanned : position
        guard let found = memchr(base + from, 0x0A, length - from) else {
            scanned = length
            if length - position > RequestLimits.lineBytesMax { return .failed(.tooBigInlineRequest) }
            return .incomplete
        }
        let newline = found - base
        var end = newline
        if end > position, base.load(fromByteOffset: end - 1, as: UInt8.self) == 0x0D { end -= 1 }
        if end - position > RequestLimits.lineBytesMax { return .failed(.tooBigInlineRequest) }
        if !splitInline(base + position, end - position) { return .failed(.unbalancedQuotes) }
        position = newline + 1
        scanned = position
        inputBase = UnsafeRawPointer(base)
        return .command
    }

    // MARK: Arguments

    mutating func appendArgument(_ view: ByteView) {
        if viewCount == viewCapacity { makeRoom(viewCount + 1) }
        guard let views else { preconditionFailure("no room for an argument") }
        (views + viewCount).initialize(to: view)
        viewCount &+= 1
    }

    @inline(never)
    private mutating func makeRoom(_ wanted: Int) {
        if wanted <= viewCapacity { return }
        let capacity = max(8, wanted, viewCapacity * 2)
        let grown = UnsafeMutablePointer<ByteView>.allocate(capacity: capacity)
        if let views {
            grown.update(from: views, count: viewCount)
            views.deallocate()
        }
        views = grown
        viewCapacity = capacity
    }

    private mutating func moveViews(to base: UnsafeRawPointer) {
        guard let views, let old = inputBase, old != base else {
            inputBase = base
            return
        }
        // SAFETY: the old address may be gone, so the distance is taken between numbers, not pointers.
        for i in 0..<viewCount {
            let offset = Int(bitPattern: views[i].base) - Int(bitPattern: old)
            views[i] = ByteView(base: base + offset, count: views[i].count)
        }
        inputBase = base
    }
}

/// Where empty argument lists point; never read.
// SAFETY: allocated once, never written, never freed.
private nonisolated(unsafe) let noViews = UnsafePointer(UnsafeMutablePointer<ByteView>.allocate(capacity: 1))

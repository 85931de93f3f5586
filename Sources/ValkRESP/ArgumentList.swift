// The arguments of one command: a plain pointer and a count, no ownership, no reference counting.
//
// The views point into the connection's input buffer. They stay valid until the command has been answered: nobody moves
// or reuses those bytes while a command runs, also when it waits for a worker.

import ValkBase

@frozen
@usableFromInline
package struct ArgumentList {
    @usableFromInline package let views: UnsafePointer<ByteView>
    /// Number of arguments, the command's name included; at least 1 for a parsed command.
    @usableFromInline package let count: Int

    @inlinable
    package init(views: UnsafePointer<ByteView>, count: Int) {
        self.views = views
        self.count = count
    }

    /// The argument at `index`, 0-based; 0 is the command's name. The caller proves the range.
    @inlinable
    package subscript(index: Int) -> ByteView {
        assert(index >= 0 && index < count, "argument \(index) of \(count)")
        return views[index]
    }

    /// Bytes of all arguments together.
    @inlinable
    package var byteCount: Int {
        var sum = 0
        for i in 0..<count { sum &+= views[i].count }
        return sum
    }

    /// The list without its first `n` arguments.
    @inlinable
    package func dropFirst(_ n: Int) -> ArgumentList { ArgumentList(views: views + n, count: count &- n) }
}

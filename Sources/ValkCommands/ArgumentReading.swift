// Turning arguments into what they mean, with Redis's replies when they do not mean it.

import ValkBase
import ValkData
import ValkRESP

extension CommandContext {
    /// The argument at `index` as an integer; nil after an error reply.
    @inline(__always)
    func integer(_ index: Int, _ message: StaticString = ErrorText.notInteger) -> Int64? {
        if let value = Decimal.parse(args[index]) { return value }
        fail(message)
        return nil
    }

    /// As `integer`, within C's `int`.
    func smallInteger(_ index: Int, _ message: StaticString? = nil) -> Int? {
        guard let value = integer(index, message ?? ErrorText.notInteger) else { return nil }
        if value < Int64(Int32.min) || value > Int64(Int32.max) {
            if let message {
                fail(message)
            } else {
                fail("ERR value is out of range, value must between -2147483648 and 2147483647")
            }
            return nil
        }
        return Int(value)
    }

    /// Whether the argument at `index` is the word `lower`, in any case.
    @inline(__always)
    func isWord(_ index: Int, _ lower: StaticString) -> Bool { args[index].equalsIgnoringCase(lower) }

    /// False after an error reply: `key` is too long to be stored.
    @inline(__always)
    func canStore(_ key: ByteView) -> Bool {
        if keys.fits(key) { return true }
        fail(ErrorText.keyTooLong)
        return false
    }

    /// False after an error reply: a string of these lengths together would be too long.
    func canHold(_ length: Int, _ more: Int) -> Bool {
        let (sum, overflow) = length.addingReportingOverflow(more)
        if !overflow && sum <= stringBytesMax { return true }
        fail(ErrorText.stringTooLong)
        return false
    }
}

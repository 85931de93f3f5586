// Passwords are never kept: what stays of one is its SHA-256 in 64 lower-case hexadecimal digits, as Redis writes it
// into its files, so that files with users go from one to the other.

import COpenSSL
import ValkBase

package enum PasswordDigest {
    static let digitCount = 64

    /// The digits that stand for a password.
    package static func digits(of password: ByteView) -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: Int(SHA256_DIGEST_LENGTH))
        SHA256(password.base.assumingMemoryBound(to: UInt8.self), password.count, &digest)
        return hexadecimal(digest)
    }

    /// 64 digits, letters in lower case.
    static func isValid(_ digits: ArraySlice<UInt8>) -> Bool {
        digits.count == digitCount && digits.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
    }

    /// Equality in a time that does not depend on where they differ; both have 64 digits.
    static func areEqual(_ a: [UInt8], _ b: [UInt8]) -> Bool {
        guard a.count == b.count else { return false }
        var difference: UInt8 = 0
        for (x, y) in zip(a, b) { difference |= x ^ y }
        return difference == 0
    }

    /// `count` digits that nobody can guess; nil where the system has no such randomness.
    static func randomDigits(_ count: Int) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: (count + 1) / 2)
        guard RAND_bytes(&bytes, Int32(bytes.count)) == 1 else { return nil }
        return Array(hexadecimal(bytes).prefix(count))
    }

    private static func hexadecimal(_ bytes: [UInt8]) -> [UInt8] {
        let digits = Array("0123456789abcdef".utf8)
        return bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
    }
}

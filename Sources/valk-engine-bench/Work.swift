// What one operation of the benchmark does. Any thread; keys and values are made on the stack and from one pool.

import Glibc
import ValkBase
import ValkEngine

final class Work: Sendable {
    let database: Database
    private let valueBytes: Int
    // SAFETY: written in `init` only.
    private nonisolated(unsafe) let pool: UnsafeMutableRawBufferPointer

    private static let poolBytes = 4 << 20
    static let keyBytes = 16

    init(_ database: Database, valueBytes: Int) {
        self.database = database
        self.valueBytes = valueBytes
        pool = .allocate(byteCount: Work.poolBytes + valueBytes & ~7, alignment: 8)
        for i in stride(from: 0, to: pool.count, by: 8) {
            pool.storeBytes(of: Work.mix(UInt64(i) ^ 0x5EED), toByteOffset: i, as: UInt64.self)
        }
    }

    deinit { pool.deallocate() }

    /// A bijection: numbers become keys in random order, and numbers that were never written stay absent.
    static func mix(_ number: UInt64) -> UInt64 {
        var x = number &+ 0x9E37_79B9_7F4A_7C15
        x = (x ^ (x >> 30)) &* 0xBF58_476D_1CE4_E5B9
        x = (x ^ (x >> 27)) &* 0x94D0_49BB_1331_11EB
        return x ^ (x >> 31)
    }

    /// 16 hexadecimal digits.
    private func withKey<R>(_ number: UInt64, _ body: (UnsafeRawBufferPointer) -> R) -> R {
        var key: (UInt64, UInt64) = (0, 0)
        return withUnsafeMutableBytes(of: &key) { bytes in
            let mixed = Work.mix(number)
            for i in 0..<16 {
                let digit = UInt8(truncatingIfNeeded: mixed >> UInt64(60 - 4 * i) & 15)
                bytes[i] = digit < 10 ? 0x30 + digit : 0x57 + digit
            }
            return body(UnsafeRawBufferPointer(bytes))
        }
    }

    private func fail(_ error: DatabaseError) -> Never {
        var text = "valk: \(error)\n"
        text.withUTF8 { _ = write(2, $0.baseAddress, $0.count) }
        exit(1)
    }

    /// The value: the number in front, then bytes that do not compress.
    func put(_ number: UInt64, pass: UInt64) -> UInt64 {
        let at = Int(Work.mix(number &* 31 &+ pass) % UInt64(Work.poolBytes - 8))
        return withUnsafeTemporaryAllocation(byteCount: valueBytes, alignment: 8) { value in
            value.copyMemory(from: UnsafeRawBufferPointer(rebasing: pool[at..<at + valueBytes]))
            value.storeBytes(of: number, as: UInt64.self)
            return withKey(number) { key in
                do throws(DatabaseError) {
                    try database.set(UnsafeRawBufferPointer(value), for: key)
                } catch {
                    fail(error)
                }
                return 1
            }
        }
    }

    func remove(_ number: UInt64) -> UInt64 {
        withKey(number) { key in
            do throws(DatabaseError) {
                try database.remove(key)
            } catch {
                fail(error)
            }
            return 1
        }
    }

    /// 1 when the right value was found.
    func get(_ number: UInt64) -> UInt64 {
        withKey(number) { key in
            do throws(DatabaseError) {
                return try database.withValue(of: key) { value in
                    guard let value else { return 0 }
                    return value.loadUnaligned(as: UInt64.self) == number && value.count == valueBytes ? 1 : 0
                }
            } catch {
                fail(error)
            }
        }
    }

    /// How many of the next 100 entries were there.
    func seek(_ number: UInt64) -> UInt64 {
        let lower = withKey(number) { Array($0) }
        var steps: UInt64 = 0
        var found: UInt64 = 0
        do throws(DatabaseError) {
            try database.scan(from: lower) { key, value in
                found += key.count == 16 && value.count == valueBytes ? 1 : 0
                steps += 1
                return steps < 100
            }
        } catch {
            fail(error)
        }
        return found
    }
}

// CRC32C against published vectors, and the processor's instruction against the portable form.

import CValk
import Testing
import ValkBase
import ValkTestSupport

@Suite struct ChecksumTests {
    private func both(_ bytes: [UInt8], seed: UInt32 = 0) -> (fast: UInt32, portable: UInt32) {
        (valk_crc32c(seed, bytes, bytes.count), valk_crc32c_portable(seed, bytes, bytes.count))
    }

    @Test func givesThePublishedValues() {
        // RFC 3720, B.4, and the check value of the CRC catalogues.
        let vectors: [([UInt8], UInt32)] = [
            ([], 0), (Array("123456789".utf8), 0xE306_9283), ([UInt8](repeating: 0, count: 32), 0x8A91_36AA),
            ([UInt8](repeating: 0xFF, count: 32), 0x62A8_AB43), (Array(0..<32), 0x46DD_794E),
            (Array((0..<32).reversed()), 0x113F_DB5C), (Array("a".utf8), 0xC1D0_4330),
        ]
        for (bytes, value) in vectors {
            #expect(both(bytes).fast == value)
            #expect(both(bytes).portable == value)
        }
    }

    @Test func instructionAndTableAgree() {
        let seed = TestSeed("instructionAndTableAgree")
        var random = seed.random
        for length in Array(0..<80) + [255, 4096, 4097, 10_001] {
            let bytes = (0..<length + 7).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            let start = UInt32(truncatingIfNeeded: random.next())
            // Every alignment of the first byte.
            for offset in 0..<8 {
                bytes.withUnsafeBytes { raw in
                    let part = UnsafeRawBufferPointer(
                        rebasing: raw[min(offset, raw.count)..<min(offset + length, raw.count)])
                    let fast = valk_crc32c(start, part.baseAddress, part.count)
                    #expect(fast == valk_crc32c_portable(start, part.baseAddress, part.count))
                }
            }
        }
    }

    @Test func continuesWhereItStopped() {
        let seed = TestSeed("continuesWhereItStopped")
        var random = seed.random
        let bytes = (0..<500).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        let whole = both(bytes).fast
        for cut in 0...bytes.count {
            let first = both(Array(bytes[..<cut]))
            #expect(both(Array(bytes[cut...]), seed: first.fast) == (whole, whole))
        }
    }

    @Test func everySingleBitCounts() {
        var bytes = [UInt8](repeating: 0, count: 64)
        var seen: Set<UInt32> = [both(bytes).fast]
        for bit in 0..<512 {
            bytes[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(seen.insert(both(bytes).fast).inserted)
            bytes[bit / 8] ^= 1 << UInt8(bit % 8)
        }
    }

    @Test func hashesAsXXH3Does() {
        // The published XXH3 (64 bits, seed 0) of nothing and of one known text.
        #expect(ByteView.empty.hash64 == 0x2D06_8005_38D3_94C2)
        #expect(ByteView("abc").hash64 == 0x78AF_5F94_892F_3950)
    }
}

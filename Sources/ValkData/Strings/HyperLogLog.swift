// HyperLogLog in Redis's own bytes, so that values go to and come from other servers as they are: 16,384 registers of
// the highest number of leading zeros seen, 0.81 % standard error (Flajolet et al. 2007; Ertl 2017 for the estimate).
//
// A string of this type: "HYLL", encoding (0 dense, 1 sparse), three unused bytes, the last estimate in 8 bytes little
// endian, whose highest bit says that it is out of date; then the registers. Dense: 6 bits each, the lowest first.
// Sparse: 00xxxxxx are x + 1 zeros, 01xxxxxx yyyyyyyy are xy + 1 zeros, 1vvvvvxx are x + 1 registers of v + 1.
//
// A value of its own with a copy of the bytes: commands here are not on anybody's hottest path.

import Glibc
import ValkBase

package struct HyperLogLog {
    package static let registerCount = 1 << 14
    private static let indexBits: UInt64 = 14
    /// Values of registers, 0 to 51.
    private static let rankMax = 51
    private static let headerBytes = 16
    private static let denseBytes = headerBytes + registerCount * 6 / 8
    /// Of the sparse encoding.
    private static let sparseValueMax = 32
    private static let sparseRunMax = 4

    private static let encodingAt = 4
    private static let staleAt = 15

    package private(set) var bytes: [UInt8]

    /// Something that a string of this type cannot be.
    package struct Corrupt: Error {}

    /// One without elements.
    package init() {
        bytes = [UInt8](repeating: 0, count: HyperLogLog.headerBytes)
        bytes.replaceSubrange(0..<4, with: Array("HYLL".utf8))
        bytes[HyperLogLog.encodingAt] = 1
        bytes += [0x7F, 0xFF]
    }

    /// Nil when the bytes do not look like one; the registers are looked at when they are used.
    package init?(_ view: ByteView) {
        guard HyperLogLog.isOne(view) else { return nil }
        bytes = view.array
    }

    package static func isOne(_ view: ByteView) -> Bool {
        guard view.count >= headerBytes, view[0..<4] == ByteView("HYLL" as StaticString), view[encodingAt] <= 1 else {
            return false
        }
        return view[encodingAt] == 1 || view.count == denseBytes
    }

    package var isDense: Bool { bytes[HyperLogLog.encodingAt] == 0 }

    /// The estimate that is kept with the registers; nil when they have changed since.
    package static func kept(_ view: ByteView) -> UInt64? {
        if view[staleAt] & 0x80 != 0 { return nil }
        return UInt64(littleEndian: view.base.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
    }

    package mutating func keep(_ estimate: UInt64) {
        for i in 0..<8 { bytes[8 + i] = UInt8(truncatingIfNeeded: estimate >> UInt64(8 * i)) }
    }

    package mutating func invalidate() { bytes[HyperLogLog.staleAt] |= 0x80 }

    // MARK: Adding

    /// Where an element counts, and how high. (MurmurHash64A with Redis's seed.)
    package static func place(_ element: ByteView) -> (register: Int, rank: Int) {
        let hash = murmur(element, seed: 0xADC8_3B19)
        let rest = hash >> indexBits | 1 << (64 - indexBits)
        return (Int(hash & UInt64(registerCount - 1)), rest.trailingZeroBitCount + 1)
    }

    /// Raises a register; true when it was lower. `sparseMax`: bytes beyond which the sparse encoding ends
    /// (`hll-sparse-max-bytes`).
    package mutating func raise(_ register: Int, to rank: Int, sparseMax: Int) throws(Corrupt) -> Bool {
        if isDense { return raiseDense(register, to: rank) }
        return try raiseSparse(register, to: rank, sparseMax)
    }

    private mutating func raiseDense(_ register: Int, to rank: Int) -> Bool {
        if HyperLogLog.dense(bytes, register) >= rank { return false }
        let at = HyperLogLog.headerBytes + register * 6 / 8
        let shift = UInt16(register * 6 & 7)
        func put(_ at: Int, _ mask: UInt16, _ value: UInt16) {
            bytes[at] = bytes[at] & ~UInt8(truncatingIfNeeded: mask) | UInt8(truncatingIfNeeded: value)
        }
        let mask = UInt16(63) << shift
        let value = UInt16(rank) << shift
        put(at, mask, value)
        if shift > 2 { put(at + 1, mask >> 8, value >> 8) }
        return true
    }

    private static func dense(_ bytes: [UInt8], _ register: Int) -> Int {
        let at = headerBytes + register * 6 / 8
        let shift = register * 6 & 7
        var pair = Int(bytes[at])
        if shift > 2 { pair |= Int(bytes[at + 1]) << 8 }
        return pair >> shift & 63
    }

    // MARK: Sparse

    private enum Piece {
        case zeros(Int)
        case values(Int, count: Int)

        var count: Int {
            switch self {
            case .zeros(let count): count
            case .values(_, let count): count
            }
        }

        func encode(_ out: inout [UInt8]) {
            switch self {
            case .zeros(0), .values(_, count: 0): break
            case .zeros(let count) where count <= 64: out.append(UInt8(count - 1))
            case .zeros(let count):
                out.append(0x40 | UInt8((count - 1) >> 8))
                out.append(UInt8((count - 1) & 0xFF))
            case .values(let value, let count): out.append(0x80 | UInt8(value - 1) << 2 | UInt8(count - 1))
            }
        }
    }

    /// The piece at `at` and where the next one begins.
    private static func piece(_ bytes: [UInt8], _ at: Int) throws(Corrupt) -> (Piece, next: Int) {
        let byte = Int(bytes[at])
        if byte & 0x80 != 0 { return (.values(byte >> 2 & 31 + 1, count: byte & 3 + 1), at + 1) }
        if byte & 0x40 == 0 { return (.zeros(byte + 1), at + 1) }
        guard at + 1 < bytes.count else { throw Corrupt() }
        return (.zeros((byte & 63) << 8 + Int(bytes[at + 1]) + 1), at + 2)
    }

    private mutating func raiseSparse(_ register: Int, to rank: Int, _ sparseMax: Int) throws(Corrupt) -> Bool {
        if rank > HyperLogLog.sparseValueMax {
            try makeDense()
            return raiseDense(register, to: rank)
        }
        // The piece that holds the register, and the one before it.
        var at = HyperLogLog.headerBytes
        var before: Int?
        var first = 0
        var found: (Piece, next: Int)?
        while at < bytes.count {
            let (piece, next) = try HyperLogLog.piece(bytes, at)
            if register < first + piece.count {
                found = (piece, next)
                break
            }
            before = at
            first += piece.count
            at = next
        }
        guard let (piece, next) = found else { throw Corrupt() }
        let last = first + piece.count - 1
        var new: [UInt8] = []
        switch piece {
        case .values(let value, _):
            if value >= rank { return false }
            Piece.values(value, count: register - first).encode(&new)
            Piece.values(rank, count: 1).encode(&new)
            Piece.values(value, count: last - register).encode(&new)
        case .zeros:
            Piece.zeros(register - first).encode(&new)
            Piece.values(rank, count: 1).encode(&new)
            Piece.zeros(last - register).encode(&new)
        }
        let growth = new.count - (next - at)
        if growth > 0 && bytes.count + growth > sparseMax {
            try makeDense()
            return raiseDense(register, to: rank)
        }
        bytes.replaceSubrange(at..<next, with: new)
        joinValues(from: before ?? HyperLogLog.headerBytes)
        return true
    }

    /// Joins equal neighbours among the next few pieces, which are those that a change can have made neighbours. What
    /// is broken is left for who reads the registers.
    private mutating func joinValues(from start: Int) {
        var at = start
        var left = 5
        while at < bytes.count, left > 0 {
            left -= 1
            guard let (piece, next) = try? HyperLogLog.piece(bytes, at) else { return }
            if case .values(let value, let count) = piece, next < bytes.count,
                case .values(value, let more) = try? HyperLogLog.piece(bytes, next).0,
                count + more <= HyperLogLog.sparseRunMax
            {
                var joined: [UInt8] = []
                Piece.values(value, count: count + more).encode(&joined)
                bytes.replaceSubrange(at..<next + 1, with: joined)
                continue
            }
            at = next
        }
    }

    /// Changes to the dense encoding; the kept estimate stays.
    package mutating func makeDense() throws(Corrupt) {
        if isDense { return }
        var dense = HyperLogLog()
        dense.bytes = [UInt8](repeating: 0, count: HyperLogLog.denseBytes)
        dense.bytes.replaceSubrange(0..<HyperLogLog.headerBytes, with: bytes[0..<HyperLogLog.headerBytes])
        dense.bytes[HyperLogLog.encodingAt] = 0
        try forEachRun { (registers, value) throws(Corrupt) in
            if value > 0 { for register in registers { _ = dense.raiseDense(register, to: value) } }
        }
        self = dense
    }

    // MARK: Reading

    /// All registers in order, as runs of one value.
    package func forEachRun(_ body: (Range<Int>, Int) throws(Corrupt) -> Void) throws(Corrupt) {
        if isDense {
            for register in 0..<HyperLogLog.registerCount {
                try body(register..<register + 1, HyperLogLog.dense(bytes, register))
            }
            return
        }
        var at = HyperLogLog.headerBytes
        var first = 0
        while at < bytes.count {
            let (piece, next) = try HyperLogLog.piece(bytes, at)
            let end = first + piece.count
            if end > HyperLogLog.registerCount { throw Corrupt() }
            if case .values(let value, _) = piece { try body(first..<end, value) } else { try body(first..<end, 0) }
            first = end
            at = next
        }
        if first != HyperLogLog.registerCount { throw Corrupt() }
    }

    /// Raises `registers` (one byte each) to this one's where they are lower.
    package func merge(into registers: inout [UInt8]) throws(Corrupt) {
        try forEachRun { (run, value) throws(Corrupt) in
            for register in run where registers[register] < value { registers[register] = UInt8(value) }
        }
    }

    package func estimate() throws(Corrupt) -> UInt64 {
        var histogram = [Int](repeating: 0, count: 64)
        try forEachRun { (run, value) throws(Corrupt) in histogram[value] += run.count }
        return HyperLogLog.estimate(histogram)
    }

    package static func estimate(registers: [UInt8]) -> UInt64 {
        var histogram = [Int](repeating: 0, count: 64)
        for value in registers { histogram[Int(value & 63)] += 1 }
        return estimate(histogram)
    }

    /// Ertl's improved estimator of how many registers have which value.
    private static func estimate(_ histogram: [Int]) -> UInt64 {
        let m = Double(registerCount)
        var z = m * tau((m - Double(histogram[rankMax])) / m)
        for rank in stride(from: rankMax - 1, through: 1, by: -1) { z = (z + Double(histogram[rank])) * 0.5 }
        z += m * sigma(Double(histogram[0]) / m)
        // 1 / (2 ln 2)
        let estimate = (0.721347520444481703680 * m * m / z).rounded()
        return estimate.isFinite ? UInt64(estimate) : 0
    }

    private static func tau(_ start: Double) -> Double {
        if start == 0 || start == 1 { return 0 }
        var x = start
        var y = 1.0
        var z = 1 - x
        while true {
            x = x.squareRoot()
            let last = z
            y *= 0.5
            z -= (1 - x) * (1 - x) * y
            if z == last { return z / 3 }
        }
    }

    private static func sigma(_ start: Double) -> Double {
        if start == 1 { return .infinity }
        var x = start
        var y = 1.0
        var z = x
        while true {
            x *= x
            let last = z
            z += x * y
            y += y
            if z == last { return z }
        }
    }

    // MARK: Hash

    /// MurmurHash64A by Austin Appleby.
    static func murmur(_ bytes: ByteView, seed: UInt64) -> UInt64 {
        let m: UInt64 = 0xC6A4_A793_5BD1_E995
        var h = seed ^ UInt64(bytes.count) &* m
        var i = 0
        while i + 8 <= bytes.count {
            var k = UInt64(littleEndian: bytes.base.loadUnaligned(fromByteOffset: i, as: UInt64.self))
            k = k &* m
            k ^= k >> 47
            k = k &* m
            h ^= k
            h = h &* m
            i += 8
        }
        if i < bytes.count {
            for at in i..<bytes.count { h ^= UInt64(bytes[at]) << UInt64(8 * (at - i)) }
            h = h &* m
        }
        h ^= h >> 47
        h = h &* m
        return h ^ h >> 47
    }

    // MARK: For people

    /// PFDEBUG DECODE: the pieces of the sparse encoding.
    package var pieces: String {
        get throws(Corrupt) {
            var words: [String] = []
            var at = HyperLogLog.headerBytes
            while at < bytes.count {
                let (piece, next) = try HyperLogLog.piece(bytes, at)
                switch piece {
                case .zeros(let count): words.append("\(next - at == 2 ? "Z" : "z"):\(count)")
                case .values(let value, let count): words.append("v:\(value),\(count)")
                }
                at = next
            }
            return words.joined(separator: " ")
        }
    }
}

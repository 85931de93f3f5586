// The longest common subsequence of two strings: the classic table of prefix lengths, filled forward and read backward.
//
// cells[i][j] is the length for the first i bytes of `a` and the first j of `b`. Reading back from the far corner,
// equal bytes belong to the subsequence; otherwise the step goes to the longer neighbour, and on a tie to the shorter
// `b`, which decides *which* of several longest subsequences is reported (the one Redis reports). Time and memory O(|a|
// |b|).

import Glibc
import ValkBase

package struct LongestCommonSubsequence: ~Copyable {
    /// A run of equal bytes; 0-based, both ends included.
    package struct Match: Equatable {
        package var aFirst: Int
        package var aLast: Int
        package var bFirst: Int
        package var bLast: Int
        package var length: Int { aLast - aFirst + 1 }
    }

    private let a: ByteView
    private let b: ByteView
    private let cells: UnsafeMutablePointer<UInt32>
    private let width: Int

    /// Bytes of transient memory for inputs of these lengths; nil when that overflows.
    package static func tableBytes(_ a: Int, _ b: Int) -> Int? {
        let (cells, tooMany) = (a + 1).multipliedReportingOverflow(by: b + 1)
        let (bytes, tooLarge) = cells.multipliedReportingOverflow(by: 4)
        return tooMany || tooLarge ? nil : bytes
    }

    /// `a` and `b` stay valid as long as this value. Nil when there is no memory for the table.
    package init?(_ a: ByteView, _ b: ByteView) {
        self.a = a
        self.b = b
        width = b.count + 1
        guard let bytes = Self.tableBytes(a.count, b.count), let memory = malloc(bytes) else { return nil }
        cells = memory.bindMemory(to: UInt32.self, capacity: bytes / 4)
        for j in 0..<width { cells[j] = 0 }
        for i in 0..<a.count {
            let above = cells + i * width
            let row = above + width
            row[0] = 0
            let byte = a[i]
            for j in 0..<b.count {
                row[j + 1] = byte == b[j] ? above[j] + 1 : max(above[j + 1], row[j])
            }
        }
    }

    deinit { free(cells) }

    package var length: Int { Int(cells[a.count * width + b.count]) }

    /// Writes the subsequence's `length` bytes at `text` (nil: not wanted) and hands every run of equal bytes to
    /// `found`, the last one first.
    package func walk(text: UnsafeMutableRawPointer?, _ found: (Match) -> Void) {
        var at = length
        var i = a.count
        var j = b.count
        var run: Match?
        while i > 0 && j > 0 {
            var runEnds = false
            if a[i - 1] == b[j - 1] {
                at -= 1
                text?.storeBytes(of: a[i - 1], toByteOffset: at, as: UInt8.self)
                if let open = run, open.aFirst == i, open.bFirst == j {
                    run = Match(aFirst: i - 1, aLast: open.aLast, bFirst: j - 1, bLast: open.bLast)
                } else {
                    if let open = run { found(open) }
                    run = Match(aFirst: i - 1, aLast: i - 1, bFirst: j - 1, bLast: j - 1)
                }
                runEnds = i == 1 || j == 1
                i -= 1
                j -= 1
            } else {
                if cells[(i - 1) * width + j] > cells[i * width + j - 1] { i -= 1 } else { j -= 1 }
                runEnds = run != nil
            }
            if runEnds, let open = run {
                found(open)
                run = nil
            }
        }
    }
}

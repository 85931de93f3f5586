import Testing
import ValkBase
import ValkTestSupport

@testable import ValkEngine

@Suite struct MergePickerTests {
    let picker = MergePicker(width: 4, runsMax: 12, smallestBytes: 1 << 20)

    @Test func waitsForEnoughRunsOfOneSize() {
        #expect(picker.pick([]) == nil)
        #expect(picker.pick([64 << 20]) == nil)
        #expect(picker.pick([64 << 20, 64 << 20, 64 << 20]) == nil)
        #expect(picker.pick([64 << 20, 64 << 20, 64 << 20, 64 << 20]) == 0..<4)
    }

    @Test func youngSmallRunsRideAlong() {
        #expect(picker.pick([1 << 20, 64 << 20, 64 << 20, 64 << 20, 64 << 20]) == 0..<5)
    }

    @Test func oldBigRunsStay() {
        #expect(picker.pick([64 << 20, 64 << 20, 64 << 20, 64 << 20, 4 << 30]) == 0..<4)
        #expect(picker.pick([64 << 20, 4 << 30]) == nil)
    }

    /// Simulates a long load: each byte is rewritten a logarithmic number of times and runs stay few.
    @Test func keepsRunsFewAndRewritesLogarithmic() {
        var random = TestSeed("MergePicker").random
        var sizes: [Int] = []
        var written = 0
        var flushed = 0
        for _ in 0..<1000 {
            let bytes = (8 + random.below(56)) << 20
            sizes.insert(bytes, at: 0)
            flushed += bytes
            while let range = picker.pick(sizes) {
                let sum = sizes[range].reduce(0, +)
                written += sum
                sizes.replaceSubrange(range, with: [sum])
            }
            #expect(sizes.count <= 3 * 7)
        }
        #expect(Double(written) / Double(flushed) < 7.5)
    }
}

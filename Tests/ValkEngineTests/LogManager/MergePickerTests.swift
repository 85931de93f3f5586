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

    @Test func aBigRunWaitsForItsEquals() {
        #expect(picker.pick([8 << 20, 8 << 20, 8 << 20, 1 << 30]) == nil)
        #expect(picker.pick([8 << 20, 8 << 20, 8 << 20, 8 << 20, 1 << 30]) == 0..<4)
    }

    @Test func manyRunsAreMergedWhateverTheirSizes() {
        let sizes = (0..<13).map { 1 << (20 + $0) }
        #expect(picker.pick(Array(sizes.dropLast())) == nil)
        #expect(picker.pick(sizes) != nil)
    }

    /// Simulates a long load: each byte is rewritten about log4(1000) = 5 times and runs stay few, whatever the sizes
    /// of the flushes.
    @Test(arguments: ["even", "alike", "wide", "falling"])
    func keepsRunsFewAndRewritesLogarithmic(kind: String) {
        var random = TestSeed("MergePicker").random
        var sizes: [Int] = []
        var written = 0
        var flushed = 0
        for i in 0..<1000 {
            let bytes: Int
            switch kind {
            case "even": bytes = 40 << 20
            case "alike": bytes = (8 + random.below(56)) << 20
            case "wide": bytes = 1 << (20 + random.below(8))
            default: bytes = max(1, 2000 - 2 * i) << 16
            }
            sizes.insert(bytes, at: 0)
            flushed += bytes
            while let range = picker.pick(sizes) {
                let sum = sizes[range].reduce(0, +)
                written += sum
                sizes.replaceSubrange(range, with: [sum])
            }
            #expect(sizes.count <= picker.runsMax)
        }
        #expect(Double(written) / Double(flushed) < 6)
    }
}

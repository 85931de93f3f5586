// Views order and compare as unsigned bytes, whatever their length and alignment.

import Testing
import ValkBase
import ValkTestSupport

@Suite struct ByteViewTests {
    @Test func ordersAsUnsignedBytesShorterFirst() {
        let ordered: [[UInt8]] = [
            [], [0], [0, 0], [0, 1], [1], [0x61], [0x61, 0x62], [0x61, 0x62, 0x63], [0x62], [0x7F], [0x80], [0xFF],
            [0xFF, 0],
        ]
        for (i, a) in ordered.enumerated() {
            for (j, b) in ordered.enumerated() {
                a.withView { x in
                    b.withView { y in
                        #expect(x.compare(y).signum() == (i - j).signum(), "\(a) and \(b)")
                        #expect((x == y) == (i == j))
                    }
                }
            }
        }
    }

    @Test func agreesWithComparingByteByByte() {
        let seed = TestSeed("agreesWithComparingByteByByte")
        var random = seed.random
        for _ in 0..<5000 {
            let a = (0..<random.below(40)).map { _ in UInt8(random.below(3)) }
            // Mostly equal beginnings, so that long common prefixes of every length come up.
            var b = random.oneIn(4) ? a : Array(a.prefix(random.below(a.count + 1)))
            b += (0..<random.below(20)).map { _ in UInt8(random.below(3)) }
            let shared = zip(a, b).prefix { $0 == $1 }.count
            let order = a.lexicographicallyPrecedes(b) ? -1 : a == b ? 0 : 1
            // Offset 1 makes the eight-byte loads unaligned.
            let offset = random.below(2)
            (Array(repeating: 9, count: offset) + a).withView { x in
                b.withView { y in
                    let view = x.dropFirst(offset)
                    #expect(view.compare(y).signum() == order)
                    #expect(view.commonPrefix(with: y) == shared)
                    #expect(y.commonPrefix(with: view) == shared)
                    #expect((view == y) == (a == b))
                    #expect(view.starts(with: y) == a.starts(with: b))
                    if a == b { #expect(view.hash64 == y.hash64) }
                }
            }
        }
    }

    @Test func findsDifferencesAtEveryPlaceOfAWord() {
        let base = [UInt8](repeating: 0xAA, count: 33)
        for place in 0..<33 {
            for bit in 0..<8 {
                var other = base
                other[place] ^= 1 << UInt8(bit)
                base.withView { x in other.withView { y in #expect(x.commonPrefix(with: y) == place) } }
            }
        }
    }

    @Test func cutsWithoutCopying() {
        [UInt8]([1, 2, 3, 4]).withView { view in
            #expect(view[1..<3].array == [2, 3])
            #expect(view[2..<2].isEmpty)
            #expect(view.dropFirst(4).isEmpty)
            #expect(view.dropFirst(1).array == [2, 3, 4])
            #expect(view[1..<3].base == view.base + 1)
            #expect(
                view.starts(with: .empty) && ByteView.empty.starts(with: .empty) && !ByteView.empty.starts(with: view))
        }
        #expect(
            ByteView.empty.array.isEmpty && ByteView.empty == ByteView(UnsafeRawBufferPointer(start: nil, count: 0)))
        #expect(ByteView("caf\u{e9}").count == 5 && ByteView("abc").string == "abc")
    }

    @Test func ignoresTheCaseOfLettersOnly() {
        #expect(ByteView("GeT").equalsIgnoringCase("get"))
        #expect(!ByteView("GETX").equalsIgnoringCase("get"))
        #expect(!ByteView("GE").equalsIgnoringCase("get"))
        #expect(ByteView("A-Z@[`{").equalsIgnoringCase("a-z@[`{"))
        // '@' and '`' differ in the same bit as letters do.
        #expect(!ByteView("@").equalsIgnoringCase("`"))
        #expect(!ByteView("[").equalsIgnoringCase("{"))
        #expect(ByteView.empty.equalsIgnoringCase(""))
    }

    @Test func buffersGrowAndForget() {
        var buffer = ByteBuffer()
        #expect(buffer.isEmpty && buffer.view.isEmpty)
        for round in 0..<1000 { buffer.append(UInt8(truncatingIfNeeded: round)) }
        buffer.append("xyz" as StaticString)
        buffer.append(String("\u{e4}"))
        buffer.append("" as String)
        #expect(buffer.count == 1005)
        #expect(buffer.view[1000..<1005].array == [0x78, 0x79, 0x7A, 0xC3, 0xA4])
        buffer.removeFirst(999)
        #expect(buffer.view[0] == UInt8(truncatingIfNeeded: 999) && buffer.count == 6)
        buffer.truncate(1)
        #expect(buffer.count == 1)
        buffer.release()
        #expect(buffer.isEmpty && buffer.capacity == 0)
        buffer.append([1, 2])
        #expect(buffer.view.array == [1, 2])
        buffer.removeAll()
        #expect(buffer.isEmpty && buffer.capacity > 0)
    }
}

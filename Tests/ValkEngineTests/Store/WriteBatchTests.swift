import Testing
import ValkBase
import ValkTestSupport

@testable import ValkEngine

@Suite struct WriteBatchTests {
    /// A batch that is read back while it grows answers as a dictionary does, small (scanned) and large (indexed), also
    /// after a rollback.
    @Test(arguments: [5, 40, 2000])
    func readsItsOwnWrites(count: Int) {
        let seed = TestSeed("WriteBatchTests").value
        var random = SeededRandom(seed: seed)
        let batch = WriteBatch()
        var model: [[UInt8]: [UInt8]?] = [:]
        var saved: (WriteBatch.Mark, [[UInt8]: [UInt8]?])?
        func check() {
            for number in 0..<60 {
                let key = Array("k\(number)".utf8)
                let own = key.withView { batch.lookUp($0) }
                switch own {
                case .put(let operation):
                    #expect(model[key] == .some(.some(batch.value(operation).array)), "seed \(seed)")
                case .deleted: #expect(model[key] == .some(nil), "seed \(seed)")
                case nil: #expect(model[key] == nil, "seed \(seed)")
                }
            }
        }
        for i in 0..<count {
            let key = Array("k\(random.below(60))".utf8)
            switch random.below(12) {
            case 0..<8:
                let value = Array("v\(i)".utf8)
                key.withView { k in value.withView { batch.put(k, tag: 1, value: $0, prior: .unknown) } }
                model[key] = .some(value)
            case 8, 9:
                key.withView { batch.delete($0, prior: .absent) }
                model[key] = .some(nil)
            case 10 where random.oneIn(6):
                Array("k2".utf8).withView { l in Array("k4".utf8).withView { batch.deleteRange(l, $0) } }
                for number in 0..<60 where "k\(number)" >= "k2" && "k\(number)" < "k4" {
                    model[Array("k\(number)".utf8)] = .some(nil)
                }
            case 11:
                if let (mark, old) = saved, random.oneIn(2) {
                    batch.rollback(to: mark)
                    model = old
                    saved = nil
                } else {
                    saved = (batch.mark(), model)
                }
            default: break
            }
            if i % 37 == 0 { check() }
        }
        check()
        batch.clear()
        if Array("k1".utf8).withView({ batch.lookUp($0) }) != nil { Issue.record("a cleared batch still answers") }
    }
}

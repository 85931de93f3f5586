// What is added comes back: through replay after a restart, and through reads of separated values.

import Testing
import ValkBase
import ValkDisk
import ValkTestSupport

@testable import ValkEngine

@Suite struct LogRoundTripTests {
    @Test func replayFindsEveryKindOfRecord() throws {
        let disk = SimulatedDisk()
        let fixture = try LogFixture(disk, "/log", options: LogFixture.quiet())
        var expected = try fixture.add([.put("a", "1"), .put("b", "", expireAt: 1_700_000_000_123)]).records
        expected += try fixture.add([.delete("a")]).records
        expected += try fixture.add([.put("big", bytes: 20_000, isSeparated: true), .put("c", "3")]).records
        let range = Written(type: .deleteRange, flags: [], key: [], value: Array("zz".utf8))
        let last = try fixture.add([range, .put("mid", bytes: 1500, isSeparated: true)])
        expected += last.records
        #expect(try fixture.log.flush(upTo: last.position))
        let (records, report) = try LogFixture.replay(disk, "/log")
        #expect(records == expected)
        #expect(report.frames == 1)
        #expect(report.lastSequence == 7)
        #expect(report.tornTail == nil)
    }

    @Test func framesFollowOneAnotherAndSegmentsRoll() throws {
        let disk = SimulatedDisk()
        let seed = TestSeed("framesFollowOneAnotherAndSegmentsRoll")
        var random = seed.random
        let fixture = try LogFixture(disk, "/log", options: LogFixture.quiet())
        var expected: [Written] = []
        for _ in 0..<400 {
            let batch = (0..<1 + random.below(5)).map { _ in Written.random(&random, valueBytesMax: 9000) }
            let added = try fixture.add(batch)
            expected += added.records
            if random.oneIn(3) { #expect(try fixture.log.flush(upTo: added.position)) }
        }
        try fixture.log.close()
        let (records, report) = try LogFixture.replay(disk, "/log")
        #expect(records == expected)
        #expect(report.resume.segments.count > 5)
        #expect(report.resume.discarded.isEmpty)
        #expect(report.tornTail == nil)
    }

    @Test func replayStartsAtAPositionAndSkipsBySequence() throws {
        let disk = SimulatedDisk()
        let fixture = try LogFixture(disk, "/log", options: LogFixture.quiet())
        _ = try fixture.log.flush(upTo: fixture.add([.put("a", "1")]).position)
        try fixture.add([.put("b", "2")])
        // The table is sealed here, in the middle of the open frame.
        let checkpoint = fixture.log.replayPosition
        let skipped = fixture.sequence
        let expected = try fixture.add([.put("c", "3")])
        _ = try fixture.log.flush(upTo: expected.position)
        let (records, report) = try LogFixture.replay(disk, "/log", from: checkpoint, after: skipped)
        #expect(records == expected.records)
        #expect(report.lastSequence == 3)
    }

    @Test func replayFromTheEndOfARetiredSegmentContinuesInTheNext() throws {
        let disk = SimulatedDisk()
        let fixture = try LogFixture(disk, "/log", options: LogFixture.quiet())
        _ = try fixture.log.flush(upTo: fixture.add([.put("a", bytes: 50_000, isSeparated: false)]).position)
        let checkpoint = fixture.log.replayPosition
        let expected = try fixture.add([.put("b", bytes: 50_000, isSeparated: false)])
        try fixture.log.sync()
        #expect(expected.position.segment == checkpoint.segment + 1)
        fixture.log.retire(checkpoint.segment)
        let (records, report) = try LogFixture.replay(disk, "/log", from: checkpoint, after: 1, floor: checkpoint)
        #expect(records == expected.records)
        #expect(report.resume.end == fixture.log.written)
    }

    @Test func separatedValuesReadBackBeforeAndAfterTheWrite() throws {
        let disk = SimulatedDisk()
        let fixture = try LogFixture(disk, "/log", options: LogFixture.quiet())
        for bytes in [0, 1, 100, 1024, 16_384, 30_000, 65_503, 65_504, 65_536, 90_000] {
            let key = "key-\(bytes)"
            let record = Written.put(key, bytes: bytes, isSeparated: true)
            let added = try fixture.add([.put("x", "small"), record])
            let pointer = added.pointers[1]
            #expect(pointer.length == UInt32(bytes))
            #expect(try fixture.read(pointer, key: record.key) == record.value)
            _ = try fixture.log.flush(upTo: added.position)
            #expect(try fixture.read(pointer, key: record.key) == record.value)
            #expect(try fixture.read(pointer, key: record.key, mayBlock: false) == record.value)
            if bytes >= LogFormat.alignedValueBytesMin { #expect(pointer.offset % 4096 == 0) }
        }
    }

    @Test func aBatchLargerThanASegmentGetsOneOfItsOwn() throws {
        let disk = SimulatedDisk()
        let fixture = try LogFixture(disk, "/log", options: LogFixture.quiet())
        var expected = try fixture.add([.put("a", "1")]).records
        let large = try fixture.add([
            .put("l1", bytes: 150_000, isSeparated: true), .put("l2", bytes: 90_000, isSeparated: false),
        ])
        expected += large.records
        let after = try fixture.add([.put("b", bytes: 10_000, isSeparated: false)])
        expected += after.records
        _ = try fixture.log.flush(upTo: after.position)
        #expect(large.position.segment == 2)
        #expect(try LogFixture.replay(disk, "/log").records == expected)
        #expect(try fixture.read(large.pointers[0], key: Array("l1".utf8)) == large.records[0].value)
    }

    @Test func aBatchOverTheCapIsRefusedBeforeAnythingIsApplied() throws {
        let disk = SimulatedDisk()
        let fixture = try LogFixture(disk, "/log", options: LogFixture.quiet())
        fixture.log.commitLock.lock()
        #expect(throws: Interruption.noSpace) {
            try fixture.log.reserve(LogFormat.batchBytesMax + 1, mayBlock: true)
        }
        fixture.log.commitLock.unlock()
    }

    @Test func wrongPointersAreDamage() throws {
        let disk = SimulatedDisk()
        let fixture = try LogFixture(disk, "/log", options: LogFixture.quiet())
        let added = try fixture.add([.put("key", bytes: 2000, isSeparated: true)])
        _ = try fixture.log.flush(upTo: added.position)
        let pointer = added.pointers[0]
        var wrong = pointer
        wrong.crc ^= 1
        #expect(throws: Interruption.damaged) { try fixture.read(wrong, key: Array("key".utf8)) }
        wrong = pointer
        wrong.length -= 1
        #expect(throws: Interruption.damaged) { try fixture.read(wrong, key: Array("key".utf8)) }
        #expect(throws: Interruption.damaged) { try fixture.read(pointer, key: Array("kez".utf8)) }
        wrong = pointer
        wrong.offset = 60_000
        #expect(throws: Interruption.damaged) { try fixture.read(wrong, key: Array("key".utf8)) }
        #expect(fixture.events.damages.count == 4)
        #expect(fixture.events.damages[0].path == "/log/0000000000000001-0.vseg")
        wrong.segment = 77
        #expect(throws: Interruption.readFailed) { try fixture.read(wrong, key: Array("key".utf8)) }
    }

    @Test func theLogGoesOnInANewSegmentAfterARestart() throws {
        let disk = SimulatedDisk()
        var expected: [Written] = []
        var resume = LogResume()
        var last: UInt64 = 0
        for round in 0..<5 {
            let fixture = try LogFixture(
                disk, "/log", options: LogFixture.quiet(), resume: resume, lastSequence: last)
            expected += try fixture.add([.put("r\(round)", "v"), .put("s\(round)", bytes: 3000, isSeparated: true)])
                .records
            if round % 2 == 0 { try fixture.log.close() } else { try fixture.log.sync() }
            let (records, report) = try LogFixture.replay(disk, "/log")
            #expect(records == expected, "round \(round)")
            resume = report.resume
            last = report.lastSequence
        }
        #expect(resume.segments.map(\.number) == [1, 2, 3, 4, 5])
    }

    @Test func deadSegmentsAreRecycledAndTheirOldFramesIgnored() throws {
        let disk = SimulatedDisk()
        let fixture = try LogFixture(disk, "/log", options: LogFixture.quiet())
        var checkpoint = LogPosition.zero
        var retired: UInt32 = 1
        var expected: [Written] = []
        var skipped: UInt64 = 0
        for round in 0..<30 {
            checkpoint = fixture.log.replayPosition
            skipped = fixture.sequence
            expected = []
            for part in 0..<7 {
                let added = try fixture.add([.put("r\(round).\(part)", bytes: 9_000, isSeparated: part % 2 == 0)])
                expected += added.records
                _ = try fixture.log.flush(upTo: added.position)
            }
            try fixture.log.sync()
            for segment in retired..<max(retired, checkpoint.segment) { fixture.log.retire(segment) }
            retired = max(retired, checkpoint.segment)
        }
        #expect(fixture.log.statistics.segmentsRecycled > 15)
        let (records, report) = try LogFixture.replay(disk, "/log", from: checkpoint, after: skipped)
        #expect(records == expected)
        #expect(report.tornTail == nil)
    }

    @Test func aLogOpenedForReadingChangesNothing() throws {
        let disk = SimulatedDisk()
        let writer = try LogFixture(disk, "/log", options: LogFixture.quiet())
        let added = try writer.add([.put("big", bytes: 5000, isSeparated: true)])
        #expect(writer.log.appendedBytes > 5000)
        try writer.log.sync()
        let report = try LogFixture.replay(disk, "/log").report
        let operations = disk.operationCount
        var options = LogFixture.quiet()
        options.isReadOnly = true
        let reader = try LogFixture(disk, "/log", options: options, resume: report.resume, lastSequence: 1)
        #expect(try reader.read(added.pointers[0], key: Array("big".utf8)) == added.records[0].value)
        #expect(reader.log.segments == [1])
        #expect(throws: Interruption.writesStopped) { try reader.add([.put("a", "1")]) }
        try reader.log.close()
        #expect(disk.operationCount == operations)
    }
}

// SCAN's promise across restarts of the store.

import Testing
import ValkBase
import ValkCommands
import ValkData
import ValkTestSupport

extension ScanBookmarkTests {
    @Test func nothingIsMissedAcrossRestarts() throws {
        try iterate("nothingIsMissedAcrossRestarts", rounds: 2000, bookmarks: 60, reopenEvery: 97)
    }

    @Test func nothingIsMissedWhenDroppedAcrossRestarts() throws {
        try iterate("nothingIsMissedWhenDroppedAcrossRestarts", rounds: 2000, bookmarks: 5, reopenEvery: 41)
    }

    @Test func cursorsSurviveRestarts() throws {
        let h = try Harness()
        for i in 0..<100 { h.run("SET", "k\(100 + i)", "v") }
        let first = ScanCommandTests.scan(h, "0")
        try h.reopen()
        let second = ScanCommandTests.scan(h, first.cursor)
        #expect(second.keys.first == "k110")
        #expect((UInt64(second.cursor) ?? 0) > (UInt64(first.cursor) ?? 0))
    }
}

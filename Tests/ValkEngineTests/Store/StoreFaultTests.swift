// The store on a disk whose operations fail: no answer is ever wrong, writing stops with a reason or goes on, and a
// later start finds what was promised.

import Testing
import ValkBase
import ValkDisk
import ValkTestSupport

@testable import ValkEngine

@Suite struct StoreFaultTests {
    enum Fault: String, CaseIterable {
        case io, noSpace, shortWrite, lostPages

        func rule(nth: Int) -> FaultRule {
            switch self {
            case .io: .change(nth: nth, .io)
            case .noSpace: .change(nth: nth, .noSpace)
            case .shortWrite: FaultRule([.write], nth: nth, .shortWrite(5))
            case .lostPages: FaultRule([.sync], nth: nth, .lostPages)
            }
        }
    }

    /// Every operation that changes something fails once.
    @Test(arguments: Fault.allCases)
    func everyOperationMayFail(fault: Fault) throws {
        let seed = TestSeed("StoreFaultTests.everyOperationMayFail \(fault)").value
        let policy: SyncPolicy = fault == .noSpace ? .everySecond : .always
        for nth in 1...2000 {
            let base = SimulatedDisk()
            let disk = FaultyDisk(base, rules: [fault.rule(nth: nth)], seed: UInt64(nth))
            let promises = StorePromises()
            let script = StoreScript(disk, promises, policy: policy, seed: seed)
            script.survivesFaults = true
            var context = ""
            do {
                try script.run(lives: 2, steps: 12)
                context = "went on after \(disk.injected)"
            } catch {
                context = "stopped by \(disk.injected) with \(error)"
                #expect(error as? Interruption == .writesStopped, "\(context)")
                if case .stopped(let reason)? = script.store?.writeState {
                    #expect(reason.kind == .disk || reason.kind == .noSpace, "\(context)")
                    #expect(!reason.message.isEmpty)
                } else {
                    Issue.record("writing has not stopped: \(context)")
                }
            }
            if disk.injected.isEmpty {
                #expect(nth > 15)
                return
            }
            if let store = script.store {
                // What was committed is seen, written or not. Lost pages may take values with them.
                expectState(store, promises.state, mayFail: fault == .lostPages, context)
            }
            disk.removeRules()
            script.abandon()
            let promised = fault == .lostPages ? promises.durable : promises.acknowledged
            let clone = base.crashClone(seed: UInt64(nth), policy: .dropAll)
            StoreCrashTests.check(base, promises, promised: promised, .always, thoroughly: true, context)
            // A kernel that has forgotten pages cannot be made to write them, so nothing is promised after lost ones.
            if fault != .lostPages {
                StoreCrashTests.check(
                    clone, promises, promised: promises.durable, .always, thoroughly: false, "power lost, \(context)")
            }
        }
        Issue.record("the script never got through")
    }

    private func put(_ store: Store, _ key: [UInt8], _ bytes: Int) throws -> ModelValue {
        let value = ModelValue(tag: 1, expireAt: 0, bytes: [UInt8](repeating: key[key.count - 1], count: bytes))
        let batch = WriteBatch()
        key.withView { k in value.bytes.withView { batch.put(k, tag: 1, value: $0, prior: .unknown) } }
        _ = try store.flushLog(try store.commit(batch, mayBlock: true))
        return value
    }

    private func delete(_ store: Store, _ key: [UInt8]) throws {
        let batch = WriteBatch()
        key.withView { batch.delete($0, prior: .present(hadExpiry: false)) }
        _ = try store.flushLog(try store.commit(batch, mayBlock: true))
    }

    private func key(_ number: Int) -> [UInt8] { [0, 0, 0, 1, 1] + Array("key:\(number)".utf8) }

    @Test func aFullDeviceTakesDeletesUntilThereIsRoom() throws {
        let disk = SimulatedDisk()
        var state: [[UInt8]: ModelValue] = [:]
        var store = try StoreScript.open(disk, .always)
        for i in 0..<20 { state[key(i)] = try put(store, key(i), 40) }
        // Room for no table file.
        let space = try disk.space("/store")
        disk.capacityBytes = Int(space.total - space.free) + 1024
        let error = #expect(throws: StoreError.self) { try store.flushTables() }
        #expect(error?.kind == .noSpace)
        guard case .deletesOnly = store.writeState else {
            Issue.record("\(store.writeState)")
            return
        }
        #expect(throws: Interruption.noSpace) { try put(store, key(3), 10) }
        for i in 0..<5 {
            try delete(store, key(i))
            state[key(i)] = nil
        }
        expectState(store, state, "full")
        expectCounts(store, state, "full")
        disk.capacityBytes = 1 << 30
        try store.flushTables()
        guard case .open = store.writeState else {
            Issue.record("\(store.writeState)")
            return
        }
        state[key(3)] = try put(store, key(3), 10)
        expectState(store, state, "room again")
        expectCounts(store, state, "room again")
        try store.close()
        store = try StoreScript.open(disk, .always)
        expectState(store, state, "opened again")
        expectCounts(store, state, "opened again")
        #expect(try disk.list("/store/tables").count == store.statistics.tableFiles)
        try store.close()
    }

    @Test func aLogWithoutRoomRefusesAndGoesOn() throws {
        let disk = SimulatedDisk()
        disk.capacityBytes = 400 << 10
        var state: [[UInt8]: ModelValue] = [:]
        var store = try StoreScript.open(disk, .always)
        var written = 0
        var isFull = false
        for i in 0..<500 where !isFull {
            do {
                state[key(i % 24)] = try put(store, key(i % 24), 1500)
                written += 1
            } catch Interruption.noSpace {
                isFull = true
            }
        }
        #expect(isFull && written > 40)
        expectState(store, state, "full")
        try delete(store, key(0))
        state[key(0)] = nil
        expectState(store, state, "full, after a delete")
        disk.capacityBytes = 1 << 30
        state[key(1)] = try put(store, key(1), 1500)
        try store.flushTables()
        expectState(store, state, "room again")
        try store.close()
        store = try StoreScript.open(disk, .always)
        expectState(store, state, "opened again")
        expectCounts(store, state, "opened again")
        try store.close()
    }

    @Test(arguments: [DiskOperation.write, .sync])
    func aManifestWithoutRoomIsStartedAnew(operation: DiskOperation) throws {
        let base = SimulatedDisk()
        let disk = FaultyDisk(base)
        var state: [[UInt8]: ModelValue] = [:]
        var store = try StoreScript.open(disk, .always)
        for i in 0..<20 { state[key(i)] = try put(store, key(i), 40) }
        disk.add(FaultRule([operation], suffix: "MANIFEST-1", .noSpace))
        let error = #expect(throws: StoreError.self) { try store.flushTables() }
        #expect(error?.kind == .noSpace)
        let clone = base.crashClone(seed: 1, policy: .keepAll)
        expectState(try StoreScript.open(clone, .always), state, "crash after the failed edit")
        try store.flushTables()
        state[key(3)] = try put(store, key(3), 10)
        expectState(store, state, "room again")
        try store.close()
        store = try StoreScript.open(disk, .always)
        expectState(store, state, "opened again")
        expectCounts(store, state, "opened again")
        #expect(store.recoveryReport.orphansRemoved <= 1)  // The manifest before.
        try store.close()
    }

    /// Without the position that a clean end leaves in the manifest, this would look like a torn tail.
    @Test func damageInTheLastFrameAfterACleanEndIsRefused() throws {
        let disk = SimulatedDisk()
        let store = try StoreScript.open(disk, .everySecond)
        _ = try put(store, key(1), 40)
        try store.sync()
        let end = store.log.durable
        _ = try put(store, key(2), 40)
        try store.close()
        let path = "/store/log/" + LogFormat.segmentName(end.segment, generation: 0)
        let file = try disk.open(path, .readWrite)
        let byte = try file.read(1, at: Int(end.offset) + LogFormat.frameHeaderBytes + 3)
        try file.write([byte[0] ^ 1], at: Int(end.offset) + LogFormat.frameHeaderBytes + 3)
        let error = #expect(throws: StoreError.self) { try StoreScript.open(disk, .everySecond) }
        #expect(error?.kind == .corruption)
        #expect(error?.path == path)
        #expect(error?.offset == Int(end.offset))
    }
}

// One Lua interpreter, and what it asks of the server while a script runs.
//
// Lua itself is on the other side of CValkLua: its errors, which are long jumps, never cross a frame of this language.
// What comes back from there is a status. A host is used by one thread at a time.

import CValkLua
import ValkBase
import ValkRESP

/// What became of a command that a script called.
package enum ScriptAnswer {
    /// Its reply in RESP; stays in place until the next call.
    case reply(ByteView)
    /// It was not run: "text", or "-CODE text". Has been counted.
    case refused(ByteView)
    /// The script must end without a trace, because it has to run again elsewhere.
    case undo
}

package enum TickAdvice {
    case goOn, undo, kill
    /// A library takes too long to load.
    case timeOut
}

/// Who runs the commands of scripts. Nothing here may wait longer than a command may.
package protocol ScriptCaller: AnyObject {
    /// Runs a command; `version` is that of its reply's protocol.
    func call(_ arguments: ArgumentList, version: UInt8) -> ScriptAnswer
    /// redis.log; levels from 0 (debug) to 3 (warning).
    func log(level: Int, _ text: ByteView)
    /// Whether the caller may run this; nil when there is no such command.
    func permits(_ arguments: ArgumentList) -> Bool?
    /// After every few thousand instructions.
    func tick() -> TickAdvice
}

/// How a run ended.
package struct ScriptOutcome {
    /// It was undone; there is no reply.
    package var undone: Bool
    /// The reply is an error that nobody has counted.
    package var failed: Bool
    /// In RESP; valid until the host is used again.
    package var reply: ByteView
}

package struct ScriptFlags: OptionSet, Sendable, Hashable {
    package let rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }
    package static let noWrites = ScriptFlags(rawValue: UInt32(VALK_LUA_NO_WRITES))
    package static let allowOOM = ScriptFlags(rawValue: UInt32(VALK_LUA_ALLOW_OOM))
    package static let allowStale = ScriptFlags(rawValue: UInt32(VALK_LUA_ALLOW_STALE))
    package static let noCluster = ScriptFlags(rawValue: UInt32(VALK_LUA_NO_CLUSTER))
    package static let allowCrossSlot = ScriptFlags(rawValue: UInt32(VALK_LUA_ALLOW_CROSS_SLOT))
    /// The script did not say anything about itself ("#!lua"): it is taken for what scripts were before they could.
    package static let compatibility = ScriptFlags(rawValue: 1 << 16)

    package static let names: [(ScriptFlags, StaticString)] = [
        (.noWrites, "no-writes"), (.allowOOM, "allow-oom"), (.allowStale, "allow-stale"), (.noCluster, "no-cluster"),
        (.allowCrossSlot, "allow-cross-slot-keys"),
    ]
}

package final class LuaHost {
    private let lua: OpaquePointer
    unowned(unsafe) let caller: any ScriptCaller
    /// While a library is loaded: what it registers.
    var enlisting: LibraryDraft?

    /// `functions`: for libraries. `deprecated`: with newproxy, getfenv and setfenv. Nil without memory.
    init?(caller: any ScriptCaller, functions: Bool, deprecated: Bool, version: String) {
        self.caller = caller
        let holder = HostHolder()
        let callbacks = ValkLuaCallbacks(
            context: Unmanaged.passUnretained(holder).toOpaque(), call: hostCall, log: hostLog, permits: hostPermits,
            tick: hostTick, enlist: hostEnlist)
        guard let lua = valk_lua_new(callbacks, functions, deprecated, version) else { return nil }
        self.lua = lua
        self.holder = holder
        holder.host = self
    }

    /// What callbacks are given: it is there before the host is.
    private let holder: HostHolder

    deinit { valk_lua_free(lua) }

    /// Bytes that the interpreter holds.
    package var memoryBytes: Int { valk_lua_memory(lua) }

    package func collect() { valk_lua_collect(lua, true) }

    /// Makes a function of a script; its reference, or the complaint.
    func compile(_ source: ByteView) -> Result<Int32, Complaint> {
        var complaint = ValkLuaBytes(base: emptyBytes, count: 0)
        let reference = valk_lua_compile(lua, ValkLuaBytes(source), &complaint)
        return reference < 0 ? .failure(Complaint(bytes: ByteView(complaint).array)) : .success(reference)
    }

    func forget(_ reference: Int32) { valk_lua_forget(lua, reference) }

    /// Runs the text of a library; what it registers goes to `enlisting`.
    func load(_ source: ByteView) -> RunResult {
        var complaint = ValkLuaBytes(base: emptyBytes, count: 0)
        switch valk_lua_load(lua, ValkLuaBytes(source), &complaint) {
        case Int32(VALK_LUA_LOADED): return .success
        case Int32(VALK_LUA_UNDONE): return .failure(nil)
        default: return .failure(Complaint(bytes: ByteView(complaint).array))
        }
    }

    /// Runs a function. `name` (with a NUL at its end) stands in its errors; `version` is the client's protocol.
    func run(
        _ reference: Int32, name: UnsafePointer<CChar>, keys: ArgumentList, arguments: ArgumentList, version: UInt8
    ) -> ScriptOutcome {
        let outcome = valk_lua_run(
            lua, reference, name, UnsafePointer(luaBytes: keys.views), keys.count,
            UnsafePointer(luaBytes: arguments.views), arguments.count, Int32(version))
        return ScriptOutcome(undone: outcome.undone, failed: outcome.failed, reply: ByteView(outcome.reply))
    }
}

/// Why a script cannot be had, in the words of the compiler.
package struct Complaint: Error {
    package var bytes: [UInt8]

    package init(bytes: [UInt8]) { self.bytes = bytes }
    package init(_ text: String) { bytes = Array(text.utf8) }
}

// MARK: Callbacks

final class HostHolder {
    unowned(unsafe) var host: LuaHost?
}

@inline(__always)
private func withHost<R>(_ context: UnsafeMutableRawPointer?, _ body: (LuaHost) -> R) -> R {
    guard let context else { preconditionFailure("a script without a host") }
    return Unmanaged<HostHolder>.fromOpaque(context)._withUnsafeGuaranteedRef { holder in
        guard let host = holder.host else { preconditionFailure("a script without a host") }
        return body(host)
    }
}

private func hostCall(
    _ context: UnsafeMutableRawPointer?, _ arguments: UnsafePointer<ValkLuaBytes>?, _ count: Int, _ version: Int32,
    _ reply: UnsafeMutablePointer<ValkLuaBytes>?
) -> Int32 {
    guard let arguments, let reply else { return Int32(VALK_LUA_ABORT) }
    return withHost(context) { host in
        switch host.caller.call(ArgumentList(luaBytes: arguments, count: count), version: UInt8(version)) {
        case .reply(let bytes):
            reply.pointee = ValkLuaBytes(bytes)
            return Int32(VALK_LUA_REPLY)
        case .refused(let text):
            reply.pointee = ValkLuaBytes(text)
            return Int32(VALK_LUA_REFUSED)
        case .undo: return Int32(VALK_LUA_ABORT)
        }
    }
}

private func hostLog(_ context: UnsafeMutableRawPointer?, _ level: Int32, _ text: ValkLuaBytes) {
    withHost(context) { $0.caller.log(level: Int(level), ByteView(text)) }
}

private func hostPermits(
    _ context: UnsafeMutableRawPointer?, _ arguments: UnsafePointer<ValkLuaBytes>?, _ count: Int
) -> Int32 {
    guard let arguments else { return -1 }
    return withHost(context) { host in
        switch host.caller.permits(ArgumentList(luaBytes: arguments, count: count)) {
        case nil: -1
        case true?: 1
        case false?: 0
        }
    }
}

private func hostTick(_ context: UnsafeMutableRawPointer?) -> Int32 {
    withHost(context) { host in
        switch host.caller.tick() {
        case .goOn: Int32(VALK_LUA_GO_ON)
        case .undo: Int32(VALK_LUA_UNDO)
        case .kill: Int32(VALK_LUA_KILL)
        case .timeOut: Int32(VALK_LUA_TIME_OUT)
        }
    }
}

private func hostEnlist(
    _ context: UnsafeMutableRawPointer?, _ name: ValkLuaBytes, _ description: ValkLuaBytes, _ flags: UInt32,
    _ reference: Int32, _ complaint: UnsafeMutablePointer<ValkLuaBytes>?
) -> Bool {
    withHost(context) { host in
        guard let draft = host.enlisting else { return false }
        let problem = draft.add(
            ByteView(name).array, description: description.count < 0 ? nil : ByteView(description).array,
            ScriptFlags(rawValue: flags), reference)
        guard let problem else { return true }
        complaint?.pointee = ValkLuaBytes(ByteView(problem))
        return false
    }
}

// MARK: The same bytes in two languages

extension ValkLuaBytes {
    @inline(__always)
    init(_ view: ByteView) { self.init(base: view.base, count: view.count) }
}

extension ByteView {
    @inline(__always)
    init(_ bytes: ValkLuaBytes) { self.init(base: bytes.base ?? emptyBytes, count: bytes.count) }
}

extension UnsafePointer where Pointee == ValkLuaBytes {
    /// SAFETY: both are a pointer and a count, in this order, and nothing else.
    @inline(__always)
    init(luaBytes views: UnsafePointer<ByteView>) {
        self = UnsafeRawPointer(views).assumingMemoryBound(to: ValkLuaBytes.self)
    }
}

extension ArgumentList {
    /// SAFETY: as above.
    @inline(__always)
    init(luaBytes arguments: UnsafePointer<ValkLuaBytes>, count: Int) {
        self.init(views: UnsafeRawPointer(arguments).assumingMemoryBound(to: ByteView.self), count: count)
    }
}

// Brings stored libraries back at the start: each is run once, to learn of its functions. One that cannot be run stays
// stored and is named in the log.

import ValkBase
import ValkRESP
import ValkScripting

enum LibraryLoader {
    /// Runs no commands: libraries cannot call any while they are loaded.
    private final class Caller: ScriptCaller {
        private var deadline: UInt64 = 0

        func begin() { deadline = Monotonic.nanoseconds() + 5_000_000_000 }

        func call(_ arguments: ArgumentList, version: UInt8) -> ScriptAnswer {
            .refused(ByteView("This Redis command is not allowed from script"))
        }

        func log(level: Int, _ text: ByteView) {}

        func permits(_ arguments: ArgumentList) -> Bool? { nil }

        func tick() -> TickAdvice { Monotonic.nanoseconds() < deadline ? .goOn : .timeOut }
    }

    static func load(_ stored: [(name: [UInt8], text: [UInt8])], _ server: Server, _ log: ServerLog) {
        if stored.isEmpty { return }
        let caller = Caller()
        let functions = FunctionCache(
            server.libraries, caller: caller, deprecated: server.options.luaDeprecatedAPI, version: ServerVersion.redis)
        var set = LibrarySet()
        for (name, text) in stored {
            caller.begin()
            do throws(Complaint) {
                switch functions.load(text) {
                case .loaded(let library): try set.insert(library)
                case .broken(let complaint): throw complaint
                case .undone: throw Complaint("it was undone")
                }
            } catch {
                log.warning(
                    "the library '\(String(decoding: name, as: UTF8.self))' cannot be loaded: "
                        + String(decoding: error.bytes, as: UTF8.self))
            }
        }
        server.libraries.put(set)
        log.notice("\(set.libraries.count) libraries with \(set.functionCount) functions")
        withExtendedLifetime(caller) {}
    }
}

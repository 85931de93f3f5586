// Texts of libraries and sets of them, without a server.

import Testing
import ValkBase
import ValkRESP
import ValkScripting

@Suite struct LibraryTests {
    @Test(arguments: [
        ("#!lua name=a\n", "a"), ("#!LUA name=a\n", "a"), ("#!lua   NAME=\"a\"\n", "a"), ("#!lua name='a'\n", "a"),
        ("#!lua name=\"\\x61\"\n", "a"), ("abc\n", "Missing library metadata"),
        ("#!lua name=a", "Invalid library metadata"),
        ("#!lua name=\"a\n", "Invalid library metadata"), ("#!lua name='a'b\n", "Invalid library metadata"),
        ("#!lua\n", "Library name was not given"), ("#!lua name=\n", LibraryText.nameComplaint),
        ("#!lua name=a-b\n", LibraryText.nameComplaint),
        ("#!lua name=a name=b\n", "Invalid metadata value, name argument was given multiple times"),
        ("#!lua name=a b\n", "Invalid metadata value given: b"), ("#!foo name=a\n", "Engine 'foo' not found"),
    ])
    func firstLines(_ text: String, _ expected: String) {
        let got = Views([text]).with { list in
            do throws(Complaint) {
                return String(decoding: try LibraryText(list[0]).name, as: UTF8.self)
            } catch {
                return String(decoding: error.bytes, as: UTF8.self)
            }
        }
        #expect(got == expected, "\(text)")
    }

    private func load(_ cache: FunctionCache, _ text: String) throws -> Library {
        switch cache.load(Array(text.utf8)) {
        case .loaded(let library): return library
        case .broken(let complaint): throw complaint
        case .undone: throw Complaint("undone")
        }
    }

    @Test func functionsBelongToOneLibraryInAnyCase() throws {
        let caller = FakeCaller()
        let registry = LibraryRegistry()
        let cache = FunctionCache(registry, caller: caller, deprecated: false, version: "7.0.15")
        let a = try load(cache, "#!lua name=a\nredis.register_function('Fun', function() return 1 end)")
        let b = try load(cache, "#!lua name=b\nredis.register_function('fUN', function() return 2 end)")
        var set = LibrarySet()
        try set.insert(a)
        #expect(throws: Complaint.self) { try set.insert(b) }
        #expect(set.functionCount == 1)
        set.remove(a.name)
        try set.insert(b)
        registry.put(set)
        let name = Array("FUN".utf8)
        let function = try #require(name.withView { cache.function($0, draft: nil) })
        #expect(function.name == Array("fUN".utf8))
        let none = Views([]).with { list in
            cache.run(function, keys: list, arguments: list, version: 2).reply.string
        }
        #expect(none == ":2\r\n")
        // Another thread loads what is new to it.
        let other = FunctionCache(registry, caller: caller, deprecated: false, version: "7.0.15")
        #expect(name.withView { other.function($0, draft: nil) } != nil)
        registry.put(LibrarySet())
        #expect(name.withView { other.function($0, draft: nil) } == nil)
        withExtendedLifetime(caller) {}
    }

    @Test func librariesSeeLittleWhileTheyLoad() throws {
        let caller = FakeCaller()
        let cache = FunctionCache(LibraryRegistry(), caller: caller, deprecated: false, version: "7.0.15")
        for name in ["pairs", "_G", "error", "string", "redis.call", "redis.pcall", "redis.sha1hex"] {
            let text = "#!lua name=a\nlocal x = \(name)"
            guard case .broken(let complaint) = cache.load(Array(text.utf8)) else {
                Issue.record("\(name) is there")
                continue
            }
            #expect(String(decoding: complaint.bytes, as: UTF8.self).contains("nonexistent global variable"), "\(name)")
        }
        // And everything afterwards, also after an error.
        let library = try load(cache, "#!lua name=a\nredis.register_function('f', function() return type(pairs) end)")
        #expect(library.functions.count == 1)
        withExtendedLifetime(caller) {}
    }
}

import Testing
import ValkBase
import ValkCommands
import ValkEngine

@Suite struct CommandTableTests {
    private static func table() -> CommandTable {
        CommandTable(
            CommandSpecs.all.enumerated().map { i, spec in
                func attached(_ spec: CommandSpec) -> CommandSpec {
                    if case .unattached = spec.action { spec.hosted(i) } else { spec }
                }
                return attached(spec.subcommands(attached))
            })
    }

    private func find(_ table: CommandTable, _ name: String) -> Int {
        Array(name.utf8).withView { table.lookup(fullName: $0) }
    }

    @Test func findsEveryNameInAnyCase() {
        let table = Self.table()
        #expect(table.count > 150)
        for (i, name) in table.fullNames.enumerated() {
            #expect(find(table, name) == i, "\(name)")
            #expect(find(table, name.uppercased()) == i, "\(name)")
            #expect(find(table, name.prefix(1).uppercased() + name.dropFirst()) == i, "\(name)")
            #expect(find(table, name + "x") == -1 || table.fullNames.contains(name + "x"))
            #expect(find(table, String(name.dropLast())) != i)
        }
        for other in ["", "gex", "ge", "g", "g\u{5}t", "get\u{0}", "client|nothing", "nothing|list", "list", "@et"] {
            #expect(find(table, other) == -1, "\(other)")
        }
    }

    /// Only ASCII letters fold; bytes that differ from them in the same bit do not.
    @Test func foldsLettersOnly() {
        let table = CommandTable([
            CommandSpec("a[b", arity: 1, categories: [], since: "", group: "", summary: "").hosted(1),
            CommandSpec("a{c", arity: 1, categories: [], since: "", group: "", summary: "").hosted(2),
            CommandSpec("averylongcommandname1", arity: 1, categories: [], since: "", group: "", summary: "").hosted(3),
            CommandSpec(
                "averylongcXmmandname1".lowercased() + "2", arity: 1, categories: [], since: "", group: "", summary: ""
            )
            .hosted(4),
        ])
        #expect(find(table, "A[B") == 0)
        #expect(find(table, "A{B") == -1)
        #expect(find(table, "A[C") == -1)
        #expect(find(table, "AVERYLONGCOMMANDNAME1") == 2)
        #expect(find(table, "AVERYLONGCOMmANDNBME1") == -1)
        #expect(find(table, "AVERYLONGCXMMANDNAME1") == -1)
    }

    @Test func entriesTellWhatTheDispatcherNeeds() {
        let table = Self.table()
        let get = table.entries[find(table, "get")]
        #expect(get.firstKey == 1 && get.lastKey == 1 && get.keyStep == 1)
        #expect(get.accepts(argumentCount: 2) && !get.accepts(argumentCount: 1) && !get.accepts(argumentCount: 3))
        let mset = table.entries[find(table, "mset")]
        #expect(mset.firstKey == 1 && mset.lastKey == -1 && mset.keyStep == 2)
        #expect(mset.accepts(argumentCount: 3) && mset.accepts(argumentCount: 300) && !mset.accepts(argumentCount: 2))
        let rename = table.entries[find(table, "rename")]
        #expect(rename.firstKey == 1 && rename.lastKey == 2 && rename.flags.contains(.write))
        #expect(table.entries[find(table, "flushall")].flags.contains(.allKeys))
        let client = find(table, "client")
        #expect(table.entries[client].isContainer)
        #expect(table.subcommands(of: client).contains(find(table, "client|list")))
        #expect(table.entries[find(table, "client|list")].parent == Int32(client))
    }

    /// Arity, flags, key positions, categories, tips and key flags are those that Redis 7.0.15 answers.
    @Test func factsAreThoseOfRedis() throws {
        let table = Self.table()
        var seen = 0
        for line in try TestData.lines("command-facts.tsv") {
            let columns = line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
            try #require(columns.count == 7)
            let index = find(table, columns[0])
            try #require(index >= 0, "\(columns[0]) is missing")
            let spec = table.specs[index]
            let entry = table.entries[index]
            func set(_ text: String) -> Set<String> { Set(text.split(separator: ",").map(String.init)) }
            #expect(String(spec.arity) == columns[1], "\(columns[0])")
            #expect(Set(spec.flags.wireNames) == set(columns[2]), "\(columns[0])")
            #expect("\(entry.firstKey) \(entry.lastKey) \(entry.keyStep)" == columns[3], "\(columns[0])")
            #expect(Set(spec.categories.wireNames) == set(columns[4]), "\(columns[0])")
            #expect(Set(spec.tips) == set(columns[5]), "\(columns[0])")
            let keys = spec.keys.map { Set($0.flags.wireNames) }
            #expect(keys == columns[6].split(separator: ";").map { set(String($0)) }, "\(columns[0])")
            seen += 1
        }
        #expect(seen > 150)
    }

    @Test func everyCommandIsDescribed() {
        let table = Self.table()
        for (spec, name) in zip(table.specs, table.fullNames) {
            #expect(spec.summary.hasSuffix("."), "\(name)")
            #expect(!spec.group.isEmpty && !spec.since.isEmpty, "\(name)")
        }
    }
}

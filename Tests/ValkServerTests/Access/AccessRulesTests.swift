// Rules of users: what they say, what is wrong with others, and that the text of rights leads back to the same rights.

import Testing
import ValkBase
import ValkCommands
import ValkTestSupport

@testable import ValkServer

@Suite struct AccessRulesTests {
    private let server: FullServer
    private var catalog: AccessCatalog { server.server.users.catalog }
    private var grammar: AccessGrammar { AccessGrammar(catalog: catalog, allChannels: false) }

    init() throws { server = try FullServer() }

    private func rights(_ rules: String...) throws -> AccessRights { try rights(rules) }

    private func rights(_ rules: [String]) throws -> AccessRights {
        var rights = AccessRights(grammar)
        for rule in rules { try rights.apply(Array(rule.utf8), grammar) }
        return rights
    }

    private func text(_ rights: AccessRights) -> String {
        String(decoding: rights.description(catalog), as: UTF8.self)
    }

    @Test func passwordsAreKeptAsDigits() throws {
        let digits = "fb001dfcffd1c899f3297871406242f097aecf1a5342ccf3ebcd116146188e4b"
        let rights = try rights("on", ">secret1", ">secret1")
        #expect(
            text(rights) == "on #5b11618c2e44027877d0cd0921ed166b9f176f50587fc91e7534dd2946db77d6 resetchannels -@all")
        #expect(rights.admits(ByteView("secret1")))
        #expect(!rights.admits(ByteView("secret2")))
        let hashed = try self.rights("on", "#\(digits)")
        #expect(!hashed.admits(ByteView("secret1")))
        #expect(text(try self.rights("on", "#\(digits)", "!\(digits)")) == "on resetchannels -@all")
        #expect(throws: AccessRuleError.noSuchPassword) { try self.rights("<other") }
        #expect(throws: AccessRuleError.badHash) { try self.rights("#\(digits.uppercased())") }
        #expect(throws: AccessRuleError.badHash) { try self.rights("#\(digits.dropLast())") }
    }

    @Test func whoIsOffDoesNotGetIn() throws {
        #expect(!(try rights("nopass").admits(ByteView("x"))))
        #expect(try rights("nopass", "on").admits(ByteView("x")))
        #expect(!(try rights("nopass", "on", "resetpass").admits(ByteView(""))))
    }

    @Test(arguments: [
        ("+nosuch", AccessRuleError.unknownCommand), ("+@nosuch", .unknownCommand), ("-config|nosuch", .unknownCommand),
        ("-get|x", .unknownCommand), ("+get|", .syntax), ("%~x", .syntax), ("%X~x", .syntax), ("%RR~x", .syntax),
        ("~a b", .syntax), ("&a b", .syntax), ("(~a", .syntax), ("nosense", .syntax),
        ("+config|get|x", .argumentOfSubcommand),
    ])
    func whatIsWrongIsSaid(_ rule: String, _ error: AccessRuleError) throws {
        #expect(throws: error) { try rights(rule) }
    }

    @Test func patternsAfterAllOfThemAreRefused() throws {
        #expect(throws: AccessRuleError.keyAfterAll) { try rights("allkeys", "~x") }
        #expect(throws: AccessRuleError.keyAfterAll) { try rights("~*", "%R~x") }
        #expect(throws: AccessRuleError.channelAfterAll) { try rights("allchannels", "&x") }
    }

    @Test func whatTakesACommandAwayEndsEverything() throws {
        #expect(try rights("+@all", "~*", "&*").isUnrestricted)
        #expect(!(try rights("+@all", "~*", "&*", "-get").isUnrestricted))
        #expect(!(try rights("+@all", "~*", "&*", "-@read").isUnrestricted))
        #expect(try rights("(+@all ~* &*)").isUnrestricted)
        #expect(!(try rights("(+@all ~*)", "(&*)").isUnrestricted))
    }

    /// Rights made by random rules are the same after they were written down and read again.
    @Test func theTextOfRightsLeadsBackToThem() throws {
        let seed = TestSeed("theTextOfRights")
        var random = seed.random
        let commands = catalog.commands.map(\.name)
        for _ in 0..<300 {
            func pick(_ count: Int) -> Int { Int(random.next() % UInt64(count)) }
            func rule() -> String {
                let sign = pick(2) == 0 ? "+" : "-"
                switch pick(12) {
                case 0: return ["on", "off", "nopass", "resetpass", ">a", ">b"][pick(6)]
                case 1: return ["sanitize-payload", "skip-sanitize-payload"][pick(2)]
                case 2...4: return sign + commands[pick(commands.count)]
                case 5...7: return sign + "@" + (CommandCategories.names + ["all"])[pick(22)]
                case 8: return "+select|\(pick(3))"
                case 9: return ["~a*", "%R~b", "%W~b", "resetkeys", "%RW~c?"][pick(5)]
                case 10: return ["&a*", "&b", "resetchannels"][pick(3)]
                default: return "(\(sign)@\(CommandCategories.names[pick(21)]) ~s\(pick(3)) &t)"
                }
            }
            let rules = (0..<pick(12)).map { _ in rule() }
            let made = try rights(rules)
            let written = text(made)
            guard case .success(let words) = AccessRights.joined(written.split(separator: " ").map { Array($0.utf8) })
            else {
                Issue.record("\(written)")
                continue
            }
            var again = AccessRights(grammar)
            for word in words { try again.apply(word, grammar) }
            #expect(text(again) == written, "\(rules)")
            #expect(again.selectors.count == made.selectors.count)
            for (a, b) in zip(again.selectors, made.selectors) {
                #expect(a.commands.allowsTheSame(as: b.commands), "\(rules)")
                #expect(a.keys == b.keys && a.channels == b.channels)
            }
        }
    }
}

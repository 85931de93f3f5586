// COMMAND INFO and COMMAND DOCS: the command table, written as Redis 7.0 writes its own.
//
// Pure functions from a table to a reply. The whole of COMMAND DOCS is some 200 KiB; it is built when a client asks
// (redis-cli does at its start), not kept.

import ValkBase
import ValkCommands
import ValkRESP

struct CommandDescriptions {
    let table: CommandTable

    // MARK: COMMAND INFO

    /// Ten elements about the command at `index`; null for -1.
    func writeInfo(_ index: Int, _ reply: ReplyWriter) {
        guard index >= 0 else { return reply.null() }
        let spec = table.specs[index]
        let range = spec.legacyRange
        reply.array(10)
        reply.bulk(table.fullNames[index])
        reply.integer(spec.arity)
        writeWords(spec.flags.wireNames, reply)
        reply.integer(range.first)
        reply.integer(range.last)
        reply.integer(range.step)
        writeWords(spec.categories.wireNames, reply)
        reply.set(spec.tips.count)
        for tip in spec.tips { reply.bulk(tip) }
        reply.set(spec.keys.count)
        for key in spec.keys { writeKeySpec(key, reply) }
        let subcommands = table.subcommands(of: index)
        if subcommands.isEmpty {
            reply.set(0)
        } else {
            reply.array(subcommands.count)
            for subcommand in subcommands { writeInfo(subcommand, reply) }
        }
    }

    /// Flags go as simple strings in a set.
    private func writeWords(_ words: [String], _ reply: ReplyWriter) {
        reply.set(words.count)
        for word in words { writeSimple(word, reply) }
    }

    private func writeKeySpec(_ key: KeySpec, _ reply: ReplyWriter) {
        reply.map(key.notes == nil ? 3 : 4)
        if let notes = key.notes {
            reply.bulk("notes" as StaticString)
            reply.bulk(notes)
        }
        reply.bulk("flags" as StaticString)
        writeWords(key.flags.wireNames, reply)
        reply.bulk("begin_search" as StaticString)
        switch key.begin {
        case .index(let position):
            writeSearch("index", [("index", .integer(position))], reply)
        case .keyword(let word, let startFrom):
            writeSearch("keyword", [("keyword", .text(word)), ("startfrom", .integer(startFrom))], reply)
        case .unknown: writeSearch("unknown", [], reply)
        }
        reply.bulk("find_keys" as StaticString)
        switch key.find {
        case .range(let last, let step, let limit):
            writeSearch(
                "range",
                [("lastkey", .integer(last)), ("keystep", .integer(step)), ("limit", .integer(limit))], reply)
        case .keyCount(let countIndex, let first, let step):
            writeSearch(
                "keynum",
                [("keynumidx", .integer(countIndex)), ("firstkey", .integer(first)), ("keystep", .integer(step))],
                reply)
        case .unknown: writeSearch("unknown", [], reply)
        }
    }

    private enum Value {
        case integer(Int)
        case text(String)
    }

    private func writeSearch(_ type: StaticString, _ values: [(StaticString, Value)], _ reply: ReplyWriter) {
        reply.map(2)
        reply.bulk("type" as StaticString)
        reply.bulk(type)
        reply.bulk("spec" as StaticString)
        reply.map(values.count)
        for (name, value) in values {
            reply.bulk(name)
            switch value {
            case .integer(let number): reply.integer(number)
            case .text(let text): reply.bulk(text)
            }
        }
    }

    // MARK: COMMAND DOCS

    /// The name and the documentation of the command at `index`: one pair of a map.
    func writeDocs(_ index: Int, _ reply: ReplyWriter) {
        let spec = table.specs[index]
        let subcommands = table.subcommands(of: index)
        reply.bulk(table.fullNames[index])
        var pairs = 3
        if !spec.complexity.isEmpty { pairs += 1 }
        if !spec.docFlags.isEmpty { pairs += 1 }
        if spec.deprecatedSince != nil { pairs += 1 }
        if spec.replacedBy != nil { pairs += 1 }
        if !spec.history.isEmpty { pairs += 1 }
        if !spec.arguments.isEmpty { pairs += 1 }
        if !subcommands.isEmpty { pairs += 1 }
        reply.map(pairs)
        writePair("summary", spec.summary, reply)
        writePair("since", spec.since, reply)
        writePair("group", spec.group, reply)
        if !spec.complexity.isEmpty { writePair("complexity", spec.complexity, reply) }
        if !spec.docFlags.isEmpty {
            reply.bulk("doc_flags" as StaticString)
            writeWords(spec.docFlags, reply)
        }
        if let version = spec.deprecatedSince { writePair("deprecated_since", version, reply) }
        if let replacement = spec.replacedBy { writePair("replaced_by", replacement, reply) }
        if !spec.history.isEmpty {
            reply.bulk("history" as StaticString)
            reply.set(spec.history.count)
            for entry in spec.history {
                reply.array(2)
                reply.bulk(entry.version)
                reply.bulk(entry.change)
            }
        }
        if !spec.arguments.isEmpty {
            reply.bulk("arguments" as StaticString)
            writeArguments(spec.arguments, reply)
        }
        if !subcommands.isEmpty {
            reply.bulk("subcommands" as StaticString)
            reply.map(subcommands.count)
            for subcommand in subcommands { writeDocs(subcommand, reply) }
        }
    }

    private func writeArguments(_ arguments: [ArgumentSpec], _ reply: ReplyWriter) {
        reply.array(arguments.count)
        for argument in arguments {
            var pairs = 2
            if argument.keySpecIndex != nil { pairs += 1 }
            if argument.token != nil { pairs += 1 }
            if argument.since != nil { pairs += 1 }
            if argument.deprecatedSince != nil { pairs += 1 }
            if !argument.flags.isEmpty { pairs += 1 }
            if !argument.arguments.isEmpty { pairs += 1 }
            reply.map(pairs)
            writePair("name", argument.name, reply)
            writePair("type", argument.kind.rawValue, reply)
            if let index = argument.keySpecIndex {
                reply.bulk("key_spec_index" as StaticString)
                reply.integer(index)
            }
            if let token = argument.token { writePair("token", token, reply) }
            if let since = argument.since { writePair("since", since, reply) }
            if let version = argument.deprecatedSince { writePair("deprecated_since", version, reply) }
            if !argument.flags.isEmpty {
                reply.bulk("flags" as StaticString)
                writeWords(argument.flags.wireNames, reply)
            }
            if !argument.arguments.isEmpty {
                reply.bulk("arguments" as StaticString)
                writeArguments(argument.arguments, reply)
            }
        }
    }

    private func writePair(_ name: StaticString, _ value: String, _ reply: ReplyWriter) {
        reply.bulk(name)
        reply.bulk(value)
    }
}

/// A simple string out of text made at run time; it must not hold line ends.
func writeSimple(_ text: String, _ reply: ReplyWriter) {
    reply.out.pointee.append(UInt8(ascii: "+"))
    reply.out.pointee.append(text)
    reply.crlf()
}
